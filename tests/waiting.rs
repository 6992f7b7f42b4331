//! Calls that wait for a node instead of failing without one.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{net::TcpSocket, time::Instant};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Code;
use tower_micro::{
    CallOptions, Client, Error, Memory, P2c, Picker, RegisterOptions, Registry, SelectError,
    Selector, Service, ServiceName, Static,
    crates::selector::{SelectOptions, Selection},
};
use tower_micro_testkit::Greeter;

use crate::support::{
    Recording, builder, call, greeter, greeting, hello, node_of, scripted, server, soon, start,
};

fn waiting() -> CallOptions {
    CallOptions::new().wait_for_ready(true)
}

#[tokio::test]
async fn a_call_waits_until_a_node_is_registered() {
    let registry = Memory::new();
    let client = builder().registry(registry.clone()).build().unwrap();
    assert_eq!(call(&client).await.unwrap_err().code(), Code::Unavailable);
    client
        .configure(|settings| {
            settings.options(waiting());
        })
        .unwrap();
    let greeter = Greeter::new("n0");
    let server = start("n0", greeter.service()).await.unwrap();
    let registered = async {
        let greeters = Service::new("greeter", "latest").with_node(server.node());
        let options = RegisterOptions::default();
        registry.register(&greeters, options).await.unwrap();
    };
    let (reply, ()) = tokio::join!(call(&client), registered);
    assert_eq!(reply.unwrap().node, "n0");
}

#[tokio::test]
async fn a_call_waits_until_a_node_listens() {
    // The port is ours, and nobody listens yet.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let registry = Static::addresses("greeter", [address]).unwrap();
    let options = waiting().timeout(Duration::from_secs(15));
    let client = builder().registry(registry).options(options);
    let client = client.build().unwrap();
    let served = async {
        let greeter = Greeter::new("n0").service();
        let server = server().add_service(greeter);
        let incoming = TcpListenerStream::new(socket.listen(128).unwrap());
        server.serve_with_incoming(incoming).await
    };
    let reply = soon(async {
        tokio::select! {
            biased;
            reply = call(&client) => reply,
            ended = served => panic!("{ended:?}"),
        }
    });
    assert_eq!(reply.await.unwrap().node, "n0");
}

/// A client whose nodes refuse so many connections, and how many have been tried.
fn refusing(times: u32, options: CallOptions) -> (Client, Arc<AtomicU32>) {
    let tried = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tried);
    let client = scripted(&Recording::of(3), move |request| {
        let number = counted.fetch_add(1, SeqCst);
        async move {
            if number < times {
                let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
                return Err(Error::transport(refused));
            }
            Ok(greeting(node_of(&request)))
        }
    });
    (client.options(options).build().unwrap(), tried)
}

#[tokio::test(start_paused = true)]
async fn what_it_waits_with_is_neither_a_retry_nor_in_a_hurry() {
    let began = Instant::now();
    let (client, tried) = refusing(10, waiting().retries(0));
    call(&client).await.unwrap();
    assert_eq!(tried.load(SeqCst), 11);
    // At once, then 25, 50, … 800 ms, and a second from then on.
    assert_eq!(began.elapsed().as_millis(), 25 * 63 + 3 * 1000);
}

#[tokio::test(start_paused = true)]
async fn it_waits_no_longer_than_its_deadline() {
    let began = Instant::now();
    let options = waiting().timeout(Duration::from_secs(2));
    let (client, _) = refusing(u32::MAX, options);
    let status = call(&client).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(began.elapsed().as_secs(), 2);
    assert!(status.message().contains("refused"), "{}", status.message());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_wait_fails_when_the_attempts_are_spent() {
    let (client, tried) = refusing(u32::MAX, CallOptions::new());
    assert_eq!(call(&client).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(tried.load(SeqCst), 3);
}

/// A selector that asks a registry which knows no node at first: the first answer has to be waited for, and says so.
#[derive(Debug)]
struct Late {
    recording: Recording,
    asked: AtomicU32,
}

impl Selector for Late {
    fn select(&self, service: &ServiceName, options: &SelectOptions) -> Selection {
        match self.asked.fetch_add(1, SeqCst) {
            0 => Selection::Pending(Box::pin(async { Err(SelectError::NotFound) })),
            1 => Selection::Ready(Err(SelectError::NotFound)),
            _ => self.recording.select(service, options),
        }
    }

    fn name(&self) -> &'static str {
        "late"
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_call_of_a_service_waits_for_a_node_too() {
    let recording = Recording::of(1);
    let late = Late {
        recording: recording.clone(),
        asked: AtomicU32::new(0),
    };
    let client = scripted(&recording, |request| async move {
        Ok(greeting(node_of(&request)))
    });
    let client = client.selector(late).options(waiting()).build().unwrap();
    assert_eq!(call(&client).await.unwrap().node, "n0");
}

/// The same for a registry that knows the service, and no node of it.
#[derive(Debug)]
struct Deserted {
    recording: Recording,
    asked: AtomicU32,
}

impl Selector for Deserted {
    fn select(&self, service: &ServiceName, options: &SelectOptions) -> Selection {
        let nobody = Picker::one_of(Vec::new(), Arc::new(P2c), false);
        match self.asked.fetch_add(1, SeqCst) {
            0 => Selection::Pending(Box::pin(async { Ok(nobody) })),
            1 | 2 => Selection::Ready(Ok(nobody)),
            _ => self.recording.select(service, options),
        }
    }

    fn name(&self) -> &'static str {
        "deserted"
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_known_without_a_node_is_waited_for_as_one_that_is_not_known() {
    for asked in [0, 1] {
        let recording = Recording::of(1);
        let deserted = Deserted {
            recording: recording.clone(),
            asked: AtomicU32::new(asked),
        };
        let client = scripted(&recording, |request| async move {
            Ok(greeting(node_of(&request)))
        });
        let client = client
            .selector(deserted)
            .options(waiting())
            .build()
            .unwrap();
        assert_eq!(call(&client).await.unwrap().node, "n0");
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_wait_fails_where_there_is_no_node() {
    let recording = Recording::of(1);
    let deserted = Deserted {
        recording: recording.clone(),
        asked: AtomicU32::default(),
    };
    let client = scripted(&recording, |_| async { unreachable!("there is no node") });
    let client = client.selector(deserted).build().unwrap();
    assert_eq!(call(&client).await.unwrap_err().code(), Code::Unavailable);
}

// tonic hands on the failure in the place of the message.
#[tokio::test(start_paused = true)]
async fn a_call_whose_message_cannot_be_encoded_waits_no_longer_than_another() {
    let options = waiting().timeout(Duration::from_secs(2));
    let client = builder().registry(Memory::new()).options(options);
    let client = client.build().unwrap();
    let mut greeter = greeter(&client).max_encoding_message_size(1);
    let began = Instant::now();
    let status = soon(greeter.say_hello(hello())).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(began.elapsed().as_secs(), 2);
}
