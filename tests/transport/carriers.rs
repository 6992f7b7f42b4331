//! What carries a connection besides TCP.

use tokio::io::{DuplexStream, duplex};
use tokio_stream::wrappers::{UnboundedReceiverStream, UnixListenerStream};
use tower_micro::{
    Node,
    connect::{H2, Unix},
};
use tower_micro_testkit::Greeter;

use super::dials::{client, once};
use crate::support::{call, server};

#[tokio::test]
async fn a_unix_socket_is_called() {
    let name = format!("tower-micro-{}.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let router = server().add_service(Greeter::new("n0").service());
    let server = tokio::spawn(router.serve_with_incoming(UnixListenerStream::new(listener)));
    let connect = H2::new().dial(Unix::new(&path)).authority("greeter.local");
    let answer = call(&client(connect.unwrap(), once())).await;
    server.abort();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(answer.unwrap().node, "n0");
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
