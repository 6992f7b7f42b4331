//! Real servers that answer what they should not, or nothing.

use std::time::Duration;

use http::{HeaderValue, Response, StatusCode};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tonic::{Code, Status, service::LayerExt};
use tower::ServiceBuilder;
use tower_micro::{CallOptions, Client, Service, Static};
use tower_micro_testkit::{Answer as Does, Greeter, TestServer};

use super::says;
use crate::support::{call, start, wired};

/// A real server whose answers are tampered with on their way out.
async fn tampering(tamper: fn(&mut Response<tonic::body::Body>)) -> (Greeter, TestServer, Client) {
    let greeter = Greeter::new("n0");
    let layer = ServiceBuilder::new().map_response(move |mut response| {
        tamper(&mut response);
        response
    });
    let service = layer.named_layer(greeter.service());
    let server = start("n0", service).await.unwrap();
    let nodes = Service::new("greeter", "latest").with_node(server.node());
    let client = wired().registry(Static::new([nodes]));
    (greeter, server, client.build().unwrap())
}

#[tokio::test]
async fn no_header_of_a_real_server_makes_a_caller_panic() {
    let (greeter, _server, client) = tampering(|response| {
        let value = HeaderValue::from_static("%%%");
        response
            .headers_mut()
            .insert("grpc-status-details-bin", value);
    })
    .await;
    greeter.answer(Does::Fail(Status::not_found("no Ada")));
    let status = call(&client).await.unwrap_err();
    says(&status, Code::NotFound, &["no Ada"]);
    greeter.answer(Does::Hello);
    assert_eq!(call(&client).await.unwrap().node, "n0");

    let (greeter, _server, client) = tampering(|response| {
        let value = HeaderValue::from_bytes(b"\xff").unwrap();
        response.headers_mut().insert("grpc-status", value);
    })
    .await;
    let status = call(&client).await.unwrap_err();
    says(&status, Code::Unknown, &["no code of gRPC"]);
    assert_eq!(greeter.calls(), 1);

    let (_, _server, client) = tampering(|response| {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().clear();
    })
    .await;
    let status = call(&client).await.unwrap_err();
    says(&status, Code::Unavailable, &["HTTP 503"]);
}

/// A client of a server that does `what` with each connection.
async fn raw<F>(what: fn(TcpStream) -> F) -> (Client, JoinSet<()>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            connections.spawn(what(socket));
        }
    });
    let registry = Static::addresses("greeter", [address]).unwrap();
    let options = CallOptions::new().timeout(Duration::from_millis(500));
    let client = wired().registry(registry).options(options);
    (client.build().unwrap(), tasks)
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_told_and_not_waited_for_forever() {
    let (client, _server) = raw(|mut socket| async move {
        let page = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        let _ = socket.write_all(page).await;
        std::future::pending::<()>().await;
    })
    .await;
    let status = call(&client).await.unwrap_err();
    assert!(
        matches!(status.code(), Code::Internal | Code::Unavailable),
        "{status}"
    );
    says(
        &status,
        status.code(),
        &["service greeter", "node 127.0.0.1:", "attempt"],
    );
}

// What never left is sent again until the deadline; what may have left is not, unless twice is as good as once.
#[tokio::test]
async fn a_server_that_hangs_up_is_told_with_how_it_did() {
    let (client, _server) = raw(|socket| async move { drop(socket) }).await;
    let status = call(&client).await.unwrap_err();
    let told = format!("{:?}: {}", status.code(), status.message());
    for part in ["Unavailable", "service greeter", "node 127.0.0.1:"] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left_when_the_deadline_passes() {
    let (client, _server) = raw(|socket| async move {
        std::future::pending::<()>().await;
        drop(socket);
    })
    .await;
    let status = call(&client).await.unwrap_err();
    let parts = [
        "deadline of 500ms",
        "service greeter",
        "node 127.0.0.1:",
        "1 attempt",
    ];
    says(&status, Code::DeadlineExceeded, &parts);
}
