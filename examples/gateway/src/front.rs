//! The HTTP side: an axum server in front, and a client that asks it.

use std::net::SocketAddr;

use axum::{
    Router,
    body::Body,
    extract::{MatchedPath, Path, State},
    response::{IntoResponse, Response},
    routing,
};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt};
use tower_micro::{BoxError, Channel, HttpCallTraceLayer, HttpHandlerTraceLayer};
use tower_micro_testkit::proto::greeter::{HelloRequest, greeter_client::GreeterClient};

type Greeter = GreeterClient<Channel>;

/// Serves `/hello/{name}` by asking `greeter`, on a free port.
pub(crate) async fn serve(channel: Channel) -> Result<SocketAddr, BoxError> {
    let trace = HttpHandlerTraceLayer::new()
        .route(|extensions| Some(extensions.get::<MatchedPath>()?.as_str()));
    let router = Router::new()
        .route("/hello/{name}", routing::get(hello))
        .layer(trace)
        .with_state(Greeter::new(channel));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn hello(State(mut greeter): State<Greeter>, Path(name): Path<String>) -> Response {
    match greeter.say_hello(HelloRequest { name }).await {
        Ok(reply) => reply.into_inner().message.into_response(),
        Err(status) => (StatusCode::BAD_GATEWAY, status.message().to_owned()).into_response(),
    }
}

/// Asks as a browser would, but for the span.
pub(crate) async fn get(server: SocketAddr, path: &str) -> Result<String, BoxError> {
    let client = ServiceBuilder::new()
        .layer(HttpCallTraceLayer::new())
        .service(Client::builder(TokioExecutor::new()).build_http());
    let request = Request::get(format!("http://{server}{path}")).body(Body::empty())?;
    let answer = client.oneshot(request).await?.into_body().collect().await?;
    Ok(String::from_utf8(answer.to_bytes().to_vec())?)
}
