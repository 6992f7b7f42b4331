//! What nobody asked to be told is told nowhere: secrets in metadata, in the registry, in URLs, in the credentials of TLS.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use http_body_util::BodyExt;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::{
    metrics::{InMemoryMetricExporter, SdkMeterProvider},
    trace::SdkTracerProvider,
};
use tonic::{Status, metadata::MetadataValue, transport::Server};
use tower::{Layer as _, ServiceExt};
use tower_micro::{
    AttemptMetricsLayer, AttemptTraceLayer, Attempts, CallMetricsLayer, CallOptions,
    CallTraceLayer, Client, HandlerMetricsLayer, HandlerTraceLayer, HttpCallTraceLayer, Metadata,
    Service, Static,
    connect::{H2, Tls},
    crates::metrics::Otel,
    handlers,
};
use tower_micro_testkit::{
    Answer, Greeter, TestServer,
    tls::{Secured, Signer, TlsServer},
};
use tracing::subscriber::{DefaultGuard, set_default};
use tracing_subscriber::{
    Layer, Registry,
    filter::LevelFilter,
    fmt::{MakeWriter, format::FmtSpan},
    layer::SubscriberExt,
};

use crate::{
    support::{Recording, failing, greeter, greeting, hello, number_of, scripted, soon},
    tracing_ends::exported,
    tracing_support::recorder,
};

/// Cannot be part of anything else.
const SECRET: &str = "c4n4ry-in-the-mine";

/// All that is printed.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Paper {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// A request full of secrets.
fn request() -> tonic::Request<tower_micro_testkit::proto::greeter::HelloRequest> {
    let mut request = hello();
    let metadata = request.metadata_mut();
    for key in [
        "authorization",
        "cookie",
        "x-api-key",
        "baggage",
        "x-tenant",
    ] {
        metadata.insert(key, SECRET.parse().unwrap());
    }
    metadata.insert_bin("token-bin", MetadataValue::from_bytes(SECRET.as_bytes()));
    request
}

/// Everything, whoever says it: ours, h2's, hyper's, tonic's.
fn listen(paper: &Paper, provider: &SdkTracerProvider) -> DefaultGuard {
    let print = tracing_subscriber::fmt::layer().with_writer(paper.clone());
    let print = print.with_span_events(FmtSpan::FULL);
    let record = recorder(provider).with_filter(LevelFilter::TRACE);
    set_default(Registry::default().with(record).with(print))
}

/// What `secret` may look like: as it is, in base64 as `-bin` headers have it, as a list of bytes.
fn disguises(secret: &[u8]) -> [String; 3] {
    let bytes = format!("{secret:?}");
    [
        String::from_utf8_lossy(secret).into_owned(),
        STANDARD_NO_PAD.encode(secret),
        bytes.trim_matches(['[', ']']).to_owned(),
    ]
}

/// None of `secrets` is in `texts`, each of which says something.
fn assert_hidden(texts: &[String], secrets: &[String]) {
    for text in texts {
        assert!(text.len() > 200, "something was told: {text}");
        for secret in secrets {
            let at = text.find(secret);
            let around =
                at.map(|at| String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(200)..at]));
            assert_eq!(around, None, "followed by a secret");
        }
    }
}

#[tokio::test]
async fn secrets_appear_in_no_log_span_number_error_or_debug_text() {
    let (paper, spans) = (Paper::default(), exported());
    let _subscriber = listen(&paper, &spans.1);
    let numbers = InMemoryMetricExporter::default();
    let meter = SdkMeterProvider::builder()
        .with_periodic_exporter(numbers.clone())
        .build();
    let otel = Arc::new(Otel::new(&meter.meter("tests")));

    let node = Greeter::new("n0");
    let mut server = Server::builder()
        .layer(HandlerTraceLayer::new())
        .layer(HandlerMetricsLayer::new(Arc::clone(&otel)))
        .layer(handlers());
    let server = TestServer::serve("n0", server.add_service(node.service()))
        .await
        .unwrap();
    let mut listed = server.node();
    listed.metadata.insert("password".into(), SECRET.into());
    let service = Service::new("greeter", "latest").with_node(listed);
    let as_listed = format!("{service:?}");
    let mut metadata = Metadata::new();
    metadata.insert("x-secret", SECRET).unwrap();
    let client = Client::builder()
        .registry(Static::new([service]))
        .options(CallOptions::new().idempotent(true).metadata(metadata))
        .wrap_client((
            CallTraceLayer::new(),
            CallMetricsLayer::new(Arc::clone(&otel)),
        ))
        .wrap_call((
            AttemptTraceLayer::new().attempts(Attempts::Always),
            AttemptMetricsLayer::new(otel),
        ))
        .build()
        .unwrap();

    let mut told = vec![as_listed];
    for answer in [
        Answer::Hello,
        Answer::Fail(Status::unavailable("busy")),
        Answer::Never,
    ] {
        node.answer(answer);
        let mut request = request();
        request.set_timeout(std::time::Duration::from_millis(200));
        let answer = soon(greeter(&client).say_hello(request)).await;
        if let Err(error) = answer {
            told.push(format!("{error} {error:?}"));
        }
    }
    server.kill();
    told.push(format!(
        "{:?}",
        soon(greeter(&client).say_hello(request()))
            .await
            .unwrap_err()
    ));
    told.push(format!("{client:?} {:?}", client.channel("greeter")));
    let site = axum::Router::<()>::new().into_service::<axum::body::Body>();
    let get = http::Request::get(format!("https://ada:{SECRET}@example.com/?key={SECRET}"));
    let get = get
        .header("authorization", SECRET)
        .body(axum::body::Body::empty())
        .unwrap();
    let answer = HttpCallTraceLayer::new()
        .layer(site)
        .oneshot(get)
        .await
        .unwrap();
    let _ = answer.into_body().collect().await;

    meter.force_flush().unwrap();
    let texts = [
        paper.text(),
        format!("{:?}", spans.0.get_finished_spans().unwrap()),
        format!("{:?}", numbers.get_finished_metrics().unwrap()),
        told.join("\n"),
    ];
    assert!(texts[0].contains("h2::"), "the transport is listened to");
    assert_hidden(&texts, &disguises(SECRET.as_bytes()));
}

/// The parts of a private key by which one would know it.
fn parts(key: &str) -> Vec<String> {
    let lines = key.lines().filter(|line| !line.starts_with("-----"));
    let text: String = lines.collect();
    let bytes = STANDARD.decode(&text).unwrap();
    // Its last bytes are the key itself; before them stands what all keys of its kind have.
    let last = &bytes[bytes.len() - 16..];
    let of_text = text.as_bytes()[text.len() - 40..].chunks(20);
    let mut parts: Vec<_> = of_text
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect();
    parts.extend(disguises(last));
    parts.push(last.iter().map(|byte| format!("{byte:02x}")).collect());
    parts
}

#[tokio::test]
async fn the_key_that_a_client_proves_itself_with_is_told_nowhere() {
    const NAME: &str = "greeter.internal";
    let (paper, spans) = (Paper::default(), exported());
    let _subscriber = listen(&paper, &spans.1);
    let (nodes, clients, strangers) = (Signer::new(), Signer::new(), Signer::new());
    let own = clients.identity("frontend.internal");
    let theirs = nodes.identity(NAME);
    let mut secrets = [parts(&own.key), parts(&theirs.key)].concat();
    let trusting = || Tls::new(NAME, nodes.certificate.as_bytes()).unwrap();
    let tls = trusting()
        .identity(own.chain.as_bytes(), own.key.as_bytes())
        .unwrap();

    let mut told = Vec::new();
    let mut call = async |server: &TlsServer, tls: &Tls| {
        let registry = Static::addresses("greeter", [server.address().to_string()]).unwrap();
        let builder = Client::builder()
            .registry(registry)
            .connect(H2::new().tls(tls.clone()))
            .options(CallOptions::new().retries(0))
            .wrap_client(CallTraceLayer::new())
            .wrap_call(AttemptTraceLayer::new().attempts(Attempts::Always));
        told.push(format!("{tls:?} {builder:?}"));
        let client = builder.build().unwrap();
        let answer = soon(greeter(&client).say_hello(request())).await;
        told.push(format!("{client:?}"));
        answer
            .map(drop)
            .map_err(|status| told.push(format!("{status} {status:?}")))
    };
    let serve = async |wanting: &Signer| {
        let router = Server::builder().add_service(Greeter::new("n0").service());
        let secured = Secured::new(nodes.identity(NAME)).wanting(wanting);
        TlsServer::start(router, &secured).await.unwrap()
    };
    call(&serve(&clients).await, &tls)
        .await
        .expect("it is believed");
    call(&serve(&strangers).await, &tls)
        .await
        .expect_err("it is not known there");
    call(&serve(&clients).await, &trusting())
        .await
        .expect_err("it proves nothing");
    // A key that is none, and one of somebody else.
    let broken = own.key.replace("PRIVATE KEY", "PRIVAT KEY");
    for key in [&broken, &theirs.key, &format!("{SECRET}{}", own.key)] {
        let wrong = trusting().identity(own.chain.as_bytes(), key.as_bytes());
        told.push(format!("{wrong:?}"));
    }

    secrets.extend(disguises(SECRET.as_bytes()));
    let told = told.join("\n");
    assert!(told.contains("CertificateRequired"), "{told}");
    let spans = format!("{:?}", spans.0.get_finished_spans().unwrap());
    assert_hidden(&[paper.text(), spans, told], &secrets);
}

#[tokio::test]
async fn what_is_marked_as_sensitive_stays_so_in_every_attempt() {
    let marks: &'static Mutex<Vec<[bool; 3]>> = Box::leak(Box::default());
    let client = scripted(&Recording::of(2), move |request| async move {
        let names = ["x-tenant", "authorization", "x-plain"];
        let is_marked = |name| request.headers()[name].is_sensitive();
        marks.lock().unwrap().push(names.map(is_marked));
        Ok(match number_of(&request) {
            0 => failing(Status::unavailable("busy")),
            _ => greeting("n1"),
        })
    });
    let mut metadata = Metadata::new();
    metadata.insert("Authorization", SECRET).unwrap();
    metadata.insert("X-Plain", "plain").unwrap();
    let options = CallOptions::new().idempotent(true).metadata(metadata);
    let client = client.options(options).build().unwrap();
    let mut request = hello();
    let mut value: MetadataValue<_> = SECRET.parse().unwrap();
    value.set_sensitive(true);
    request.metadata_mut().insert("x-tenant", value);
    soon(greeter(&client).say_hello(request)).await.unwrap();
    assert_eq!(*marks.lock().unwrap(), [[true, true, false]; 2]);
}

#[test]
fn a_secret_is_known_in_each_of_its_disguises() {
    for disguise in disguises(SECRET.as_bytes()) {
        let text = format!("{:200}{disguise}", "");
        let found =
            std::panic::catch_unwind(|| assert_hidden(&[text], &disguises(SECRET.as_bytes())));
        assert!(found.is_err(), "{disguise}");
    }
}
