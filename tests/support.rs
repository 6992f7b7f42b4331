//! What several subjects share: a diary, nodes that are scripts, servers with a registry that knows them.

mod record;
mod slow;
mod traced;
mod wire;

use std::{
    any::Any,
    fmt,
    future::{self, Future},
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use prost::Message;
use tokio::{runtime::Handle, task::yield_now};
use tonic::Status;
use tower_micro::{
    Body, Candidate, Channel, Client, Error, Mark, Node, Notes, Picker, ResponseBody, SelectError,
    Selector, Service, ServiceName, Static,
    crates::selector::{SelectOptions, Selection},
};
use tower_micro_testkit::{
    Greeter, Scripted, TestServer,
    proto::greeter::{HelloReply, HelloRequest, greeter_client::GreeterClient},
};

pub(crate) use record::{CANARY, ENDED, FILE, leak};
pub(crate) use slow::{STEP, persistent, third_time_lucky};
pub(crate) use traced::{CAME_FROM, Traceable, builder, is_traced, server, start, traced_handlers};
pub(crate) use wire::Wire;

/// A client with the connections that are under test.
pub(crate) fn wired() -> Traceable<Wire> {
    builder().connect(Wire::new())
}

/// What a node answers an attempt with.
pub(crate) type Answer = Result<Response<ResponseBody>, Error>;

/// Lets a test fail instead of hang.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    let patience = Duration::from_secs(20);
    tokio::time::timeout(patience, future)
        .await
        .expect("this takes too long to end at all")
}

/// How many tasks there are.
pub(crate) fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Waits until there are no more tasks than there were `before`.
pub(crate) async fn until_tasks_are(before: usize) {
    soon(async {
        while tasks() > before {
            yield_now().await;
        }
    })
    .await;
}

/// What a panic says.
pub(crate) fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without words")
}

/// What happened, in order. Clones write into the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    pub(crate) fn write(&self, entry: impl fmt::Display) {
        self.0.lock().unwrap().push(entry.to_string());
    }

    pub(crate) fn entries(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// All of it in one line.
    pub(crate) fn text(&self) -> String {
        self.entries().join(" ")
    }

    pub(crate) fn count(&self, entry: &str) -> usize {
        let entries = self.0.lock().unwrap();
        entries.iter().filter(|known| *known == entry).count()
    }
}

/// Nodes `n0`, `n1`, … for calls that never reach a wire.
pub(crate) fn nodes(count: usize) -> Vec<Arc<Candidate>> {
    let node = |number| Node::new(format!("n{number}"), format!("10.0.0.{number}:1"));
    (0..count)
        .map(|number| Candidate::new(node(number)))
        .collect()
}

/// A selector that gives its nodes in turn, and writes down what it is asked and told.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    pub(crate) diary: Diary,
    pub(crate) nodes: Vec<Arc<Candidate>>,
}

impl Recording {
    pub(crate) fn of(count: usize) -> Self {
        let (diary, nodes) = (Diary::default(), nodes(count));
        Self { diary, nodes }
    }

    pub(crate) fn picker(&self) -> Picker {
        let (this, turn) = (self.clone(), AtomicUsize::new(0));
        Picker::new(move || {
            let turn = turn.fetch_add(1, SeqCst) % this.nodes.len();
            let node = Arc::clone(&this.nodes[turn]);
            this.diary.write(format!("next:{}", node.id));
            Ok(node)
        })
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.nodes.iter().map(|node| node.in_flight()).sum()
    }
}

impl Selector for Recording {
    fn select(&self, service: &ServiceName, _: &SelectOptions) -> Selection {
        self.diary.write(format!("select:{service}"));
        Selection::Ready(Ok(self.picker()))
    }

    fn mark(&self, _: &ServiceName, node: &Arc<Candidate>, mark: Mark<'_>) {
        let mark = match mark {
            Mark::Success => "ok",
            Mark::Failure(..) => "failed",
            Mark::TimedOut(_) => "timed-out",
            Mark::Cancelled => "cancelled",
            _ => "?",
        };
        self.diary.write(format!("mark:{}:{mark}", node.id));
    }

    fn name(&self) -> &'static str {
        "recording"
    }
}

/// A selector that never makes up its mind.
#[derive(Debug)]
pub(crate) struct Undecided;

impl Selector for Undecided {
    fn select(&self, _: &ServiceName, _: &SelectOptions) -> Selection {
        Selection::Pending(Box::pin(future::pending()))
    }

    fn name(&self) -> &'static str {
        "undecided"
    }
}

/// A selector that knows no service.
#[derive(Debug)]
pub(crate) struct Nobody;

impl Selector for Nobody {
    fn select(&self, _: &ServiceName, _: &SelectOptions) -> Selection {
        Selection::Ready(Err(SelectError::NotFound))
    }

    fn name(&self) -> &'static str {
        "nobody"
    }
}

/// Which node an attempt was meant for.
pub(crate) fn node_of<B: 'static>(request: &Request<B>) -> String {
    let node = Notes::of(request).and_then(Notes::node);
    node.map_or_else(String::new, |node| node.id.clone())
}

/// The zero-based number of an attempt.
pub(crate) fn number_of<B: 'static>(request: &Request<B>) -> u32 {
    let notes = Notes::of(request);
    notes.map_or(0, |notes| notes.attempt().number)
}

/// What a greeter on `node` answers.
pub(crate) fn greeting(node: impl Into<String>) -> Response<ResponseBody> {
    greeting_until(node, async { [("grpc-status", "0")] })
}

/// The same, with the trailers that `end` gives when it is ready.
pub(crate) fn greeting_until<const N: usize>(
    node: impl Into<String>,
    end: impl Future<Output = [(&'static str, &'static str); N]> + Send + 'static,
) -> Response<ResponseBody> {
    let reply = HelloReply {
        message: "Hello Ada".into(),
        node: node.into(),
    };
    let body = Full::new(framed(&reply)).with_trailers(async { Some(Ok(headers(end.await))) });
    Response::new(ResponseBody::new(body))
}

/// A response without a message, that ends with `trailers`.
pub(crate) fn trailing<const N: usize>(
    trailers: [(&'static str, &'static str); N],
) -> Response<ResponseBody> {
    let body = Empty::new().with_trailers(async move { Some(Ok(headers(trailers))) });
    Response::new(ResponseBody::new(body))
}

fn headers<const N: usize>(headers: [(&str, &str); N]) -> HeaderMap {
    let header = |(name, value): (&str, &str)| (name.parse().unwrap(), value.parse().unwrap());
    headers.into_iter().map(header).collect::<HeaderMap>()
}

/// A message as gRPC sends it: not compressed, with its length.
pub(crate) fn framed(message: &impl Message) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.encoded_len()).unwrap());
    message.encode(&mut frame).unwrap();
    frame.freeze()
}

/// What a node answers that fails with `status`.
pub(crate) fn failing(status: Status) -> Response<ResponseBody> {
    status.into_http()
}

/// A client without wrappers and without a wire.
pub(crate) type Bare = Traceable<Scripted>;

/// A client whose nodes are `recording`'s and answer by `script`.
pub(crate) fn scripted<F, Fut>(recording: &Recording, script: F) -> Bare
where
    F: Fn(Request<Body>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Answer> + Send + 'static,
{
    let connect = Scripted::new(script);
    builder().selector(recording.clone()).connect(connect)
}

pub(crate) fn greeter(client: &Client) -> GreeterClient<Channel> {
    GreeterClient::new(client.channel("greeter"))
}

pub(crate) fn hello() -> tonic::Request<HelloRequest> {
    tonic::Request::new(HelloRequest { name: "Ada".into() })
}

/// One call.
pub(crate) async fn call(client: &Client) -> Result<HelloReply, Status> {
    let reply = soon(greeter(client).say_hello(hello())).await;
    reply.map(tonic::Response::into_inner)
}

/// Real servers `n0`, `n1`, … of one service.
pub(crate) struct Fleet {
    pub(crate) servers: Vec<TestServer>,
    pub(crate) greeters: Vec<Greeter>,
}

impl Fleet {
    pub(crate) async fn of(count: usize) -> Self {
        let serve = async |id, greeter: &Greeter| start(id, greeter.service()).await;
        Self::served_by(count, serve).await
    }

    /// The same, each by `serve`, which is told its id.
    pub(crate) async fn served_by(
        count: usize,
        serve: impl AsyncFn(String, &Greeter) -> io::Result<TestServer>,
    ) -> Self {
        let (mut servers, mut greeters) = (Vec::new(), Vec::new());
        for number in 0..count {
            let id = format!("n{number}");
            let greeter = Greeter::new(&id);
            servers.push(serve(id, &greeter).await.unwrap());
            greeters.push(greeter);
        }
        Self { servers, greeters }
    }

    /// A registry that knows them as `greeter`.
    pub(crate) fn registry(&self) -> Static {
        let service = Service::new("greeter", "latest");
        let nodes = self.servers.iter().map(TestServer::node);
        Static::new([nodes.fold(service, Service::with_node)])
    }

    /// How many calls have reached any of them.
    pub(crate) fn calls(&self) -> usize {
        self.greeters.iter().map(Greeter::calls).sum()
    }

    /// tonic's own channel to the first one.
    pub(crate) fn plain(&self) -> tonic::transport::Channel {
        plain(&self.servers[0])
    }
}

/// tonic's own channel to `server`.
pub(crate) fn plain(server: &TestServer) -> tonic::transport::Channel {
    let endpoint = format!("http://{}", server.address());
    tonic::transport::Endpoint::from_shared(endpoint)
        .unwrap()
        .connect_lazy()
}
