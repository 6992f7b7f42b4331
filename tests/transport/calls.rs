//! What a call is on the wire.

use std::sync::{Arc, Mutex};

use futures_util::{StreamExt, stream};
use http::{HeaderMap, Request, Uri};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tonic::Code;
use tower::util::MapRequestLayer;
use tower_micro::{
    CallOptions, Connect, Node, PoolOptions, Static, ambient,
    connect::{H2, Tonic},
    crates::call::Ambient,
};
use tower_micro_testkit::{
    Greeter,
    h2_peer::{
        Peer,
        Step::{self, AwaitHeaders, AwaitRequest, Settings, Silence},
    },
    proto::chat::{Line, chat_client::ChatClient},
};

use super::dials::{SECOND, client, once};
use crate::support::{CAME_FROM, builder, call, greeter, hello, is_traced, server, soon, start};

/// Kind, flags and length of a frame.
type Frame = (u8, u8, usize);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;

/// The frames of one call that is not answered, as far as the end of its stream.
async fn frames_of_a_call() -> Vec<Frame> {
    let (frames, mut sent) = tokio::sync::mpsc::unbounded_channel();
    let connect = H2::new().dial(move |_: &Node| {
        let (near, mut far) = duplex(64 * 1024);
        let frames = frames.clone();
        tokio::spawn(async move {
            far.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
            let mut preface = [0; 24];
            far.read_exact(&mut preface).await.unwrap();
            let mut head = [0; 9];
            while far.read_exact(&mut head).await.is_ok() {
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                far.read_exact(&mut vec![0; length]).await.unwrap();
                frames.send((head[3], head[4], length)).unwrap();
            }
        });
        async { Ok(near) }
    });
    let client = client(connect, once());
    tokio::spawn(async move { call(&client).await });
    let mut all = Vec::new();
    while !all
        .iter()
        .any(|(_, flags, _)| flags & END_STREAM > 0 && !all.is_empty())
    {
        let frame: Frame = sent.recv().await.unwrap();
        // SETTINGS and WINDOW_UPDATE are of the connection.
        if matches!(frame.0, DATA | HEADERS) {
            all.push(frame);
        }
    }
    all
}

#[tokio::test]
async fn a_unary_request_is_one_header_block_and_one_frame_of_data() {
    let frames = soon(frames_of_a_call()).await;
    let kinds: Vec<_> = frames
        .iter()
        .map(|(kind, flags, _)| (*kind, flags & END_STREAM))
        .collect();
    assert_eq!(kinds, [(HEADERS, 0), (DATA, END_STREAM)]);
    assert_eq!(
        frames[1].2,
        5 + "Ada".len() + 2,
        "the prefix and the message"
    );
}

type Head = (Uri, HeaderMap);

/// What a real server is told by a call over `connect`.
async fn head_of(connect: impl Connect) -> Head {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    let look = MapRequestLayer::new(move |request: Request<tonic::body::Body>| {
        let head = (request.uri().clone(), request.headers().clone());
        seen.lock().unwrap().push(head);
        request
    });
    let router = server()
        .layer(look)
        .add_service(Greeter::new("n0").service());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    tokio::spawn(router.serve_with_incoming(incoming));
    let registry = Static::addresses("greeter", [address]).unwrap();
    let client = builder().registry(registry);
    let client = client.connect(connect).options(once());
    // As it comes from an HTTP/1 request whose headers are handed on.
    let mut request = hello();
    let metadata = request.metadata_mut();
    metadata.insert("connection", "keep-alive".parse().unwrap());
    let client = client.build().unwrap();
    soon(greeter(&client).say_hello(request)).await.unwrap();
    let mut head = heads.lock().unwrap().pop().unwrap();
    // Every header counts, but for those in which traced calls differ.
    if is_traced() {
        head.1.remove("traceparent");
        head.1.remove(CAME_FROM);
    }
    head
}

#[tokio::test]
async fn a_request_says_what_tonic_says_but_who_it_is() {
    let (uri, mut ours) = head_of(H2::new().authority("greeter.internal").unwrap()).await;
    let tonic = Tonic::new().authority("http://greeter.internal").unwrap();
    let (expected, mut theirs) = head_of(tonic).await;
    assert_eq!(uri, expected);
    assert_eq!(
        uri.to_string(),
        "http://greeter.internal/greeter.Greeter/SayHello"
    );
    let agent = |headers: &mut HeaderMap| {
        let agent = headers.remove("user-agent").unwrap();
        agent.to_str().unwrap().to_owned()
    };
    assert!(agent(&mut theirs).starts_with("tonic/"));
    assert!(agent(&mut ours).starts_with("tower-micro/"));
    // How long the call may take is told to the microsecond.
    ours.remove("grpc-timeout");
    theirs.remove("grpc-timeout");
    assert_eq!(ours, theirs);
}

#[tokio::test]
async fn a_prefix_of_the_user_agent_is_sent() {
    let (_, headers) = head_of(H2::new().user_agent("frontend/7").unwrap()).await;
    let agent = headers["user-agent"].to_str().unwrap();
    assert!(agent.starts_with("frontend/7 tower-micro/"), "{agent}");
}

#[tokio::test]
async fn without_one_the_user_agent_begins_with_no_space() {
    for none in ["", " "] {
        let (_, headers) = head_of(H2::new().user_agent(none).unwrap()).await;
        let agent = headers["user-agent"].to_str().unwrap();
        assert!(agent.starts_with("tower-micro/"), "{agent:?}");
    }
}

#[test]
fn what_is_no_authority_is_refused() {
    let wrong = [
        "",
        "http://greeter",
        "greeter/path",
        "user@greeter",
        "a b",
        "greeter:",
        "greeter:http",
        "greeter:65536",
    ];
    for wrong in wrong {
        let error = H2::new().authority(wrong).unwrap_err().to_string();
        assert!(error.contains("name:port"), "{error}");
    }
    for wrong in [
        "http://greeter:",
        "http://ada@greeter:80",
        "http://ada@greeter",
    ] {
        assert!(Tonic::new().authority(wrong).is_err(), "{wrong}");
    }
    for right in ["greeter", "greeter:80", "[::1]", "[::1]:80"] {
        assert!(H2::new().authority(right).is_ok(), "{right}");
    }
}

#[tokio::test(start_paused = true)]
async fn connections_are_added_while_calls_are_under_way_and_closed_when_they_are_not() {
    let peer = Peer::script([Settings, AwaitRequest, Silence]);
    let client = client(peer.clone(), CallOptions::new());
    let pool = |size| PoolOptions {
        size,
        max_streams: 1,
        ..PoolOptions::default()
    };
    let set = |size| {
        let set = client.configure(|settings| {
            settings.set_pool(pool(size));
        });
        set.unwrap();
    };
    set(1);
    let begin = |count: usize| -> Vec<_> {
        let call = |_| {
            let mut greeter = greeter(&client);
            tokio::spawn(async move { greeter.say_hello(hello()).await })
        };
        (0..count).map(call).collect()
    };
    let first = begin(2);
    soon(peer.has_seen(|seen| seen.requests == 2)).await;
    assert_eq!(peer.seen().dials, 1);
    set(3);
    let more = begin(6);
    soon(peer.has_seen(|seen| seen.dials >= 2)).await;
    for call in first.into_iter().chain(more) {
        call.abort();
    }
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    assert!(peer.seen().dials <= 3);
    soon(peer.has_seen(|seen| seen.gave_up == Some(0))).await;
}

#[tokio::test]
async fn a_server_that_is_back_is_called_again() {
    let first = start("n0", Greeter::new("n0").service()).await.unwrap();
    let registry = Static::addresses("greeter", [first.address().to_string()]).unwrap();
    let client = builder().registry(registry).build().unwrap();
    call(&client).await.unwrap();
    let address = first.address();
    drop(first);
    soon(async { while call(&client).await.is_ok() {} }).await;
    let listener = soon(async {
        loop {
            if let Ok(listener) = tokio::net::TcpListener::bind(address).await {
                return listener;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let router = server().add_service(Greeter::new("n1").service());
    tokio::spawn(
        router.serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)),
    );
    soon(async { while call(&client).await.is_err() {} }).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_stream_that_fails_says_why_before_the_answer_has_begun_and_after() {
    let silent = [Settings, AwaitHeaders];
    for steps in [vec![], vec![Step::answer()]] {
        let peer = Peer::script(silent.clone().into_iter().chain(steps));
        let client = client(peer.clone(), once());
        let mut chat = ChatClient::new(client.channel("greeter")).max_encoding_message_size(9);
        let begun = peer.clone();
        let too_long = async move {
            soon(begun.has_seen(|seen| seen.requests == 1)).await;
            // The client hears what the peer answers.
            tokio::time::sleep(SECOND).await;
            Line {
                text: "too long".repeat(9),
                ..Line::default()
            }
        };
        let talk = soon(chat.talk(stream::once(too_long))).await;
        let status = match talk {
            Ok(answers) => soon(answers.into_inner().message()).await.unwrap_err(),
            Err(status) => status,
        };
        assert_eq!(status.code(), Code::OutOfRange, "{status}");
        let told = status.message();
        assert!(told.starts_with("the request stream failed: "), "{told}");
        soon(peer.has_seen(|seen| seen.resets == 1)).await;
    }
}

// A stream that a handler sends on may make calls of its own.
#[tokio::test(start_paused = true)]
async fn a_request_stream_stays_within_its_handler_when_the_answer_has_begun() {
    let peer = Peer::script([Settings, AwaitHeaders, Step::answer()]);
    let client = client(peer, once());
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (told, is_told) = tokio::sync::oneshot::channel();
    let second = async move {
        has_begun.await.unwrap();
        told.send(ambient::current().is_some()).unwrap();
        Line::default()
    };
    let talk = async move {
        let lines = stream::once(async { Line::default() }).chain(stream::once(second));
        let mut chat = ChatClient::new(client.channel("greeter"));
        chat.talk(lines).await
    };
    let answers = soon(ambient::scope(Ambient::new(), talk)).await.unwrap();
    begun.send(()).unwrap();
    assert!(soon(is_told).await.unwrap());
    drop(answers);
}
