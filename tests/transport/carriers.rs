//! What carries a connection besides TCP.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{DuplexStream, duplex},
    net::UnixListener,
    runtime::{Builder, Runtime},
    task::yield_now,
    time::sleep,
};
use tokio_stream::wrappers::{UnboundedReceiverStream, UnixListenerStream};
use tower::util::MapRequestLayer;
use tower_micro::{
    CallOptions, Connect, Node, RequestExt, Static,
    connect::{H2, Tonic, Unix},
};
use tower_micro_testkit::{Answer as Does, Greeter};

use super::dials::{SECOND, client, limit_connections, once};
use crate::support::{builder, call, greeter, hello, server, soon, start};

/// Calls a server that listens for IPv4 alone by a name that may stand for both kinds.
async fn called_by_its_name(connect: impl Connect) {
    let server = start("n0", Greeter::new("n0").service()).await.unwrap();
    let name = format!("localhost:{}", server.address().port());
    let client = builder().registry(Static::addresses("greeter", [name]).unwrap());
    let client = client.connect(connect).options(once()).build().unwrap();
    assert_eq!(call(&client).await.unwrap().node, "n0");
}

#[tokio::test]
async fn a_node_is_called_by_its_name() {
    called_by_its_name(H2::new()).await;
    called_by_its_name(Tonic::new()).await;
}

/// A server at `path`, whose connections end with its runtime.
fn serve(path: &Path, node: &str) -> Runtime {
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
    let entered = runtime.enter();
    let sockets = UnixListenerStream::new(UnixListener::bind(path).unwrap());
    let router = server().add_service(Greeter::new(node).service());
    tokio::spawn(router.serve_with_incoming(sockets));
    drop(entered);
    runtime
}

#[tokio::test]
async fn a_unix_socket_is_called_again_when_it_has_vanished_and_come_back() {
    let name = format!("tower-micro-{}.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    let server = serve(&path, "n0");
    let connect = H2::new().dial(Unix::new(&path)).authority("greeter.local");
    let client = client(connect.unwrap(), once());
    let before = call(&client).await;
    std::fs::remove_file(&path).unwrap();
    server.shutdown_background();
    let meanwhile = soon(async {
        loop {
            // The end of what was open may be seen a while later.
            match call(&client).await {
                Err(status) if status.message().contains("No such file") => return status,
                _ => yield_now().await,
            }
        }
    })
    .await;
    let server = serve(&path, "n1");
    let waiting = CallOptions::new().wait_for_ready(true);
    let request = hello().with_options(waiting);
    let after = soon(greeter(&client).say_hello(request)).await;
    std::fs::remove_file(&path).unwrap();
    server.shutdown_background();
    assert_eq!(before.unwrap().node, "n0");
    let told = meanwhile.message();
    assert!(told.contains(path.to_str().unwrap()), "{told}");
    assert_eq!(after.unwrap().into_inner().node, "n1");
}

#[tokio::test(start_paused = true)]
async fn a_server_in_the_same_process_is_called_through_a_pipe() {
    let (incoming, sockets) = tokio::sync::mpsc::unbounded_channel();
    let router = server().add_service(Greeter::new("n0").service());
    tokio::spawn(router.serve_with_incoming(UnboundedReceiverStream::new(sockets)));
    let connect = H2::new().dial(move |_: &Node| {
        let (near, far) = duplex(1024);
        incoming
            .send(std::io::Result::<DuplexStream>::Ok(far))
            .unwrap();
        async { Ok(near) }
    });
    let client = client(connect, once());
    for _ in 0..3 {
        assert_eq!(call(&client).await.unwrap().node, "n0");
    }
}

// Its connection is opened in two seconds, and it serves one call at a time, which takes a second.
#[tokio::test(start_paused = true)]
async fn a_node_is_told_how_long_it_has_when_its_request_is_sent() {
    let (incoming, sockets) = tokio::sync::mpsc::unbounded_channel();
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let hear = MapRequestLayer::new(move |request: http::Request<tonic::body::Body>| {
        let timeout = request.headers()["grpc-timeout"].clone();
        heard.lock().unwrap().push(timeout);
        request
    });
    let greeter = Greeter::new("n0");
    greeter.answer(Does::After(SECOND));
    let mut narrow = server().max_concurrent_streams(1).layer(hear);
    let router = narrow.add_service(greeter.service());
    tokio::spawn(router.serve_with_incoming(UnboundedReceiverStream::new(sockets)));
    let connect = H2::new().dial(move |_: &Node| {
        let incoming = incoming.clone();
        async move {
            sleep(2 * SECOND).await;
            let (near, far) = duplex(1024);
            incoming.send(std::io::Result::Ok(far)).unwrap();
            Ok(near)
        }
    });
    let client = client(connect, once().timeout(5 * SECOND));
    limit_connections(&client, 1);
    let both = futures_util::future::join(call(&client), call(&client)).await;
    assert!(both.0.is_ok() && both.1.is_ok());
    assert_eq!(*told.lock().unwrap(), ["3000000u", "2000000u"]);
    call(&client).await.unwrap();
    assert_eq!(told.lock().unwrap()[2], "5000000u");
}
