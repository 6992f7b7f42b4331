//! Chats to talk to: real ones that a recording selector gives in turn, and scripted ones that take their time.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use prost::Message;
use tokio::{sync::mpsc, task::yield_now, time::sleep};
use tonic::{Status, Streaming};
use tower_micro::{CallOptions, Candidate, Channel, Client, RequestExt, ResponseBody};
use tower_micro_testkit::{
    Chat, TestServer,
    proto::chat::{CountRequest, Line, Number, Total, chat_client::ChatClient},
};

use crate::support::{Diary, Recording, Traceable, Wire, framed, soon, start, wired};

/// Real chats `n0`, `n1`, …
pub(super) struct Chats {
    pub(super) servers: Vec<TestServer>,
    pub(super) chats: Vec<Chat>,
    /// Gives them in turn, each call beginning with `n0`.
    pub(super) recording: Recording,
}

impl Chats {
    pub(super) async fn of(count: usize) -> Self {
        let (mut servers, mut chats) = (Vec::new(), Vec::new());
        for number in 0..count {
            let id = format!("n{number}");
            let chat = Chat::new(&id);
            servers.push(start(id, chat.service()).await.unwrap());
            chats.push(chat);
        }
        let nodes = servers.iter().map(|server| Candidate::new(server.node()));
        let recording = Recording {
            diary: Diary::default(),
            nodes: nodes.collect(),
        };
        Self {
            servers,
            chats,
            recording,
        }
    }

    pub(super) fn builder(&self) -> Traceable<Wire> {
        wired().selector(self.recording.clone())
    }

    pub(super) fn client(&self, options: CallOptions) -> Client {
        self.builder().options(options).build().unwrap()
    }

    /// The diary so far, in one line.
    pub(super) fn diary(&self) -> String {
        self.recording.diary.text()
    }
}

pub(super) fn chat(client: &Client) -> ChatClient<Channel> {
    ChatClient::new(client.channel("chat"))
}

pub(super) fn line(text: &str) -> Line {
    Line {
        text: text.into(),
        ..Line::default()
    }
}

/// A talk that is open.
pub(super) struct Talk {
    say: mpsc::Sender<Line>,
    pub(super) answers: Streaming<Line>,
}

impl Talk {
    pub(super) async fn open(client: &Client) -> Result<Self, Status> {
        Self::open_with(client, CallOptions::new()).await
    }

    pub(super) async fn open_with(client: &Client, options: CallOptions) -> Result<Self, Status> {
        let (say, mut lines) = mpsc::channel(1);
        let lines = stream::poll_fn(move |cx| lines.poll_recv(cx));
        let request = tonic::Request::new(lines).with_options(options);
        let answers = soon(chat(client).talk(request)).await?.into_inner();
        Ok(Self { say, answers })
    }

    /// Says something, and hears the answer and who gave it.
    pub(super) async fn ask(&mut self, text: &str) -> Result<Option<Line>, Status> {
        // Nobody takes it if the stream is over; what it ended with is the answer.
        let _ = self.say.send(line(text)).await;
        soon(self.answers.message()).await
    }

    /// Says no more, and hears what is left.
    pub(super) async fn finish(self) -> Result<Vec<Line>, Status> {
        let Self { say, answers } = self;
        drop(say);
        heard(answers).await
    }
}

/// All that comes, until the end.
pub(super) async fn heard<M>(mut messages: Streaming<M>) -> Result<Vec<M>, Status> {
    let mut heard = Vec::new();
    while let Some(message) = soon(messages.message()).await? {
        heard.push(message);
    }
    Ok(heard)
}

pub(super) async fn count(client: &Client, to: u64) -> Result<Streaming<Number>, Status> {
    let counting = soon(chat(client).count(CountRequest { to })).await;
    counting.map(tonic::Response::into_inner)
}

/// Numbers from one on, each of which has to be waited for.
pub(super) fn numbers(to: u64) -> impl Stream<Item = Number> + Send + 'static {
    stream::iter(1..=to).then(|value| async move {
        yield_now().await;
        Number { value }
    })
}

pub(super) async fn sum(
    client: &Client,
    numbers: impl Stream<Item = Number> + Send + 'static,
) -> Result<Total, Status> {
    let total = soon(chat(client).sum(numbers)).await;
    total.map(tonic::Response::into_inner)
}

/// What a node answers that says one of `messages` after each `pause`, and then `end`s.
pub(super) fn saying<M: Message + 'static>(
    messages: impl IntoIterator<Item = M, IntoIter: Send> + Send + 'static,
    pause: Duration,
    end: impl Future<Output = ()> + Send + 'static,
) -> Response<ResponseBody> {
    let said = stream::iter(messages).then(move |message| async move {
        sleep(pause).await;
        Frame::data(framed(&message))
    });
    let ended = stream::once(async move {
        end.await;
        let ok = [("grpc-status".parse().unwrap(), "0".parse().unwrap())];
        Frame::trailers(ok.into_iter().collect::<HeaderMap>())
    });
    let frames = said.chain(ended).map(Ok::<Frame<Bytes>, Status>);
    Response::new(ResponseBody::new(StreamBody::new(frames)))
}
