//! TLS: who a node must prove to be, and what is said when it cannot.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::net::TcpListener;
use tonic::Code;
use tower_micro::{
    CallOptions, Client, Kind, Settings, Static,
    connect::{H2, Tls, h2::InvalidTls},
};
use tower_micro_testkit::{
    Greeter,
    tls::{Secured, Signer, TlsServer},
};

use crate::support::{builder, call, server, start};

const NAME: &str = "greeter.internal";

async fn serve(secured: &Secured) -> TlsServer {
    let router = server().add_service(Greeter::new("n0").service());
    TlsServer::start(router, secured).await.unwrap()
}

fn trusting(signer: &Signer) -> Tls {
    Tls::new(NAME, signer.certificate.as_bytes()).unwrap()
}

fn client(address: impl ToString, connect: H2) -> Client {
    let registry = Static::addresses("greeter", [address.to_string()]).unwrap();
    let client = builder().registry(registry).connect(connect);
    let once = CallOptions::new().retries(0);
    client.options(once).build().unwrap()
}

/// What a call fails with, which could not connect.
async fn refusal(client: &Client) -> String {
    let status = call(client).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let error = std::error::Error::source(&status).unwrap();
    let error = error.downcast_ref::<tower_micro::Error>().unwrap();
    assert_eq!(error.kind(), Kind::Connect, "{status:?}");
    status.message().to_owned()
}

/// Calls a server that must not be believed, and looks how often it is dialled.
async fn refused(server: &TlsServer, connect: H2, why: &str) {
    const CALLS: usize = 40;
    let client = client(server.address(), connect);
    let first = refusal(&client).await;
    assert!(first.contains(why), "{first}");
    for _ in 1..CALLS {
        let next = refusal(&client).await;
        assert!(next.contains(why), "{next}");
    }
    let dials = server.accepted();
    assert!(dials < CALLS / 4, "{dials} dials for {CALLS} calls");
}

#[tokio::test]
async fn a_node_that_proves_its_name_is_called() {
    let signer = Signer::new();
    let server = serve(&Secured::new(signer.identity(NAME))).await;
    let client = client(server.address(), H2::new().tls(trusting(&signer)));
    assert_eq!(call(&client).await.unwrap().node, "n0");
}

#[tokio::test]
async fn a_node_may_prove_its_address_of_either_kind() {
    let signer = Signer::new();
    for address in ["127.0.0.1", "::1"] {
        let server = serve(&Secured::new(signer.identity(address))).await;
        let tls = Tls::new(address, signer.certificate.as_bytes()).unwrap();
        let client = client(server.address(), H2::new().tls(tls));
        assert_eq!(call(&client).await.unwrap().node, "n0", "{address}");
    }
}

#[tokio::test]
async fn a_node_with_another_name_is_not() {
    let signer = Signer::new();
    let server = serve(&Secured::new(signer.identity("other.internal"))).await;
    let why = "not valid for name \"greeter.internal\"";
    refused(&server, H2::new().tls(trusting(&signer)), why).await;
}

#[tokio::test]
async fn nor_one_whose_certificate_has_expired() {
    let signer = Signer::new();
    let server = serve(&Secured::new(signer.expired(NAME))).await;
    refused(
        &server,
        H2::new().tls(trusting(&signer)),
        "certificate expired",
    )
    .await;
}

#[tokio::test]
async fn nor_one_whose_signer_is_not_known() {
    let server = serve(&Secured::new(Signer::new().identity(NAME))).await;
    let stranger = H2::new().tls(trusting(&Signer::new()));
    refused(&server, stranger, "invalid peer certificate").await;
}

#[tokio::test]
async fn nor_one_that_does_not_agree_to_http2() {
    let signer = Signer::new();
    let server = serve(&Secured::new(signer.identity(NAME)).without_alpn()).await;
    refused(&server, H2::new().tls(trusting(&signer)), "ALPN").await;
}

#[tokio::test]
async fn a_node_without_tls_is_told_from_one_with() {
    let server = start("n0", Greeter::new("n0").service()).await.unwrap();
    let secure = client(server.address(), H2::new().tls(trusting(&Signer::new())));
    let told = refusal(&secure).await;
    assert!(told.contains("TLS failed"), "{told}");
}

// What the connect timeout is for: TCP, TLS and SETTINGS together.
#[tokio::test]
async fn a_node_that_says_nothing_to_tls_is_told_from_one_that_cannot_be_reached() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let secure = H2::new().tls(trusting(&Signer::new()));
    let client = client(silent.local_addr().unwrap(), secure);
    let quick = CallOptions::new().connect_timeout(Duration::from_millis(100));
    let quick = |settings: &mut Settings| {
        settings.options(quick);
    };
    client.configure(quick).unwrap();
    let told = refusal(&client).await;
    let why = "no connection within 100ms: the peer does not answer to TLS";
    assert!(told.contains(why), "{told}");
}

#[tokio::test]
async fn a_client_without_tls_is_told_that_the_node_may_want_it() {
    let server = serve(&Secured::new(Signer::new().identity(NAME))).await;
    refused(&server, H2::new(), "want TLS").await;
}

#[tokio::test]
async fn a_client_proves_who_it_is() {
    let (nodes, clients) = (Signer::new(), Signer::new());
    let server = serve(&Secured::new(nodes.identity(NAME)).wanting(&clients)).await;
    let own = clients.identity("frontend.internal");
    let tls = trusting(&nodes).identity(own.chain.as_bytes(), own.key.as_bytes());
    let client = client(server.address(), H2::new().tls(tls.unwrap()));
    assert_eq!(call(&client).await.unwrap().node, "n0");
}

#[tokio::test]
async fn a_client_that_does_not_is_told_that_it_must() {
    let (nodes, clients) = (Signer::new(), Signer::new());
    let server = serve(&Secured::new(nodes.identity(NAME)).wanting(&clients)).await;
    refused(
        &server,
        H2::new().tls(trusting(&nodes)),
        "CertificateRequired",
    )
    .await;
}

#[test]
fn settings_that_cannot_work_are_found_when_they_are_made() {
    let signer = Signer::new();
    let told = |made: Result<Tls, InvalidTls>| made.unwrap_err().to_string();
    let name = told(Tls::new("not a name", signer.certificate.as_bytes()));
    assert!(name.contains("certificate cannot name"), "{name}");
    let roots = told(Tls::new(NAME, b"not PEM"));
    assert!(roots.contains("holds no certificate"), "{roots}");
    let (one, other) = (signer.identity(NAME), signer.identity(NAME));
    let key = told(trusting(&signer).identity(one.chain.as_bytes(), other.key.as_bytes()));
    assert!(key.contains("rustls does not take"), "{key}");
}

#[test]
fn no_key_is_printed() {
    let signer = Signer::new();
    let own = signer.identity(NAME);
    let tls = trusting(&signer).identity(own.chain.as_bytes(), own.key.as_bytes());
    let tls = tls.unwrap();
    let shown = format!("{tls:?} {:?}", H2::new().tls(tls.clone()));
    for form in forms_of(&own.key) {
        assert!(!shown.contains(&form), "{form:?} in {shown}");
    }
}

/// How a key might be printed: the lines of its PEM, or bytes, be they those of the PEM or the key's own.
fn forms_of(pem: &str) -> Vec<String> {
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    let own = STANDARD.decode(lines.clone().collect::<String>()).unwrap();
    let bytes = [pem.as_bytes(), &own].map(|bytes| format!("{bytes:?}"));
    lines.map(str::to_owned).chain(bytes).collect()
}
