//! Plain HTTP in front of gRPC: one trace through both.

use std::{convert::Infallible, net::SocketAddr};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{MatchedPath, State},
    http::StatusCode,
    routing,
};
use futures_util::{StreamExt, stream};
use http::Request;
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client as Hyper, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_micro::{
    Attempts, Channel, HandlerTraceLayer, HttpCallTraceLayer, HttpHandlerTraceLayer,
    crates::trace::http::{HttpCallTrace, UrlTemplate},
};
use tower_micro_testkit::proto::greeter::greeter_client::GreeterClient;

use crate::{
    support::{greeter, hello, soon},
    tracing_shape::Traced,
    tracing_support::Telescope,
    tracing_table::tree,
};

type Browser = HttpCallTrace<Hyper<HttpConnector, Body>>;

fn browser() -> Browser {
    ServiceBuilder::new()
        .layer(HttpCallTraceLayer::new())
        .service(Hyper::builder(TokioExecutor::new()).build_http())
}

/// Serves `router` inside of the layer, on a free port.
async fn serve(router: Router) -> SocketAddr {
    let layer = HttpHandlerTraceLayer::new()
        .route(|extensions| Some(extensions.get::<MatchedPath>()?.as_str()));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router.layer(layer)).await });
    address
}

async fn get(url: String) -> (StatusCode, Bytes) {
    let mut request = Request::get(url).body(Body::empty()).unwrap();
    request
        .extensions_mut()
        .insert(UrlTemplate("/hello/{name}"));
    let answer = soon(browser().oneshot(request)).await.unwrap();
    let status = answer.status();
    (
        status,
        soon(answer.into_body().collect()).await.unwrap().to_bytes(),
    )
}

#[tokio::test]
async fn a_trace_runs_from_a_browser_through_a_gateway_to_the_node() {
    let (telescope, fleet) = (Telescope::new(), Traced::of(1).await);
    let ask = |State(mut stub): State<GreeterClient<Channel>>| async move {
        stub.say_hello(hello()).await.unwrap().into_inner().message
    };
    let client = fleet.client(Attempts::Always);
    let router = Router::new().route("/hello/{name}", routing::get(ask));
    let address = serve(router.with_state(greeter(&client))).await;
    let (status, body) = get(format!("http://{address}/hello/Ada?token=hunter2")).await;
    assert_eq!((status, &*body), (StatusCode::OK, &b"Hello Ada"[..]));
    let seen = telescope.until(5).await;
    let expected = "\
GET /hello/{name} CLIENT
  GET /hello/{name} SERVER
    greeter.Greeter/SayHello CLIENT OK
      greeter.Greeter/SayHello attempt INTERNAL OK
        greeter.Greeter/SayHello SERVER OK
";
    assert_eq!(tree(&seen), expected);
    let (call, handler) = (&seen[0], &seen[1]);
    assert_eq!(
        call.get("url.full"),
        format!("http://{address}/hello/Ada?REDACTED")
    );
    assert_eq!(call.get("http.response.status_code"), "int 200");
    assert_eq!(handler.get("http.route"), "/hello/{name}");
    assert_eq!(handler.get("url.path"), "/hello/Ada");
}

#[tokio::test]
async fn four_hundred_is_the_callers_error_and_five_hundred_the_servers_too() {
    for (status, both) in [
        (StatusCode::NOT_FOUND, false),
        (StatusCode::BAD_GATEWAY, true),
    ] {
        let telescope = Telescope::new();
        let router = Router::new().route("/", routing::get(move || async move { status }));
        let address = serve(router).await;
        get(format!("http://{address}/")).await;
        let seen = telescope.until(2).await;
        tree(&seen);
        assert_eq!(
            seen.iter().map(|span| span.is_error).collect::<Vec<_>>(),
            [true, both]
        );
        assert_eq!(seen[0].get("error.type"), status.as_str());
    }
}

#[tokio::test]
async fn nobody_there_is_an_error_with_a_type() {
    let telescope = Telescope::new();
    let nobody = tower_micro_testkit::closed_port().await.unwrap();
    let request = Request::get(format!("http://{nobody}/"))
        .body(Body::empty())
        .unwrap();
    soon(browser().oneshot(request)).await.unwrap_err();
    let seen = telescope.seen();
    assert_eq!(tree(&seen), "GET CLIENT !\n");
    assert!(seen[0].get("error.type").ends_with("::Error"), "{seen:?}");
}

// The handler has returned long before its body is read.
#[tokio::test]
async fn a_streamed_body_is_part_of_the_span_and_what_it_does_stands_under_it() {
    let (telescope, fleet) = (Telescope::new(), Traced::of(1).await);
    let pages = |State(stub): State<GreeterClient<Channel>>| async move {
        let pages = stream::iter(0..2).then(move |_| {
            let mut stub = stub.clone();
            async move {
                stub.say_hello(hello())
                    .await
                    .map(|reply| reply.into_inner().message)
            }
        });
        Body::from_stream(pages)
    };
    let client = fleet.client(Attempts::OnRetry);
    let router = Router::new().route("/", routing::get(pages));
    let address = serve(router.with_state(greeter(&client))).await;
    let (_, body) = get(format!("http://{address}/")).await;
    assert_eq!(&*body, b"Hello AdaHello Ada");
    let seen = telescope.until(6).await;
    let call = "    greeter.Greeter/SayHello CLIENT OK\n      greeter.Greeter/SayHello SERVER OK\n";
    assert_eq!(
        tree(&seen),
        format!("GET /hello/{{name}} CLIENT\n  GET / SERVER\n{call}{call}")
    );
}

#[tokio::test]
async fn a_method_that_anybody_can_make_up_is_no_name() {
    let telescope = Telescope::new();
    let address = serve(Router::new().route("/", routing::any(|| async {}))).await;
    let request = Request::builder()
        .method("BREW")
        .uri(format!("http://{address}/"));
    soon(browser().oneshot(request.body(Body::empty()).unwrap()))
        .await
        .unwrap();
    let seen = telescope.until(2).await;
    assert_eq!(tree(&seen), "HTTP CLIENT\n  HTTP / SERVER\n");
    assert!(
        seen.iter()
            .all(|span| span.get("http.request.method") == "_OTHER"
                && span.get("http.request.method_original") == "BREW")
    );
}

#[tokio::test]
async fn plain_http_that_is_served_beside_grpc_is_no_call() {
    let telescope = Telescope::new();
    let mut server = HandlerTraceLayer::new().layer(service_fn(|_: Request<()>| {
        std::future::ready(Ok::<_, Infallible>(http::Response::new(Body::empty())))
    }));
    for content_type in ["text/html", "application/grpc"] {
        let request = Request::get("/a.B/C").header("content-type", content_type);
        let answer = server.call(request.body(()).unwrap()).await.unwrap();
        answer.into_body().collect().await.unwrap();
    }
    let seen = telescope.until(1).await;
    assert_eq!(tree(&seen), "a.B/C SERVER OK\n");
}
