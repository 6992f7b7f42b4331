//! A chat: streams of all three kinds, whose server can be told to refuse, to fail, to fall silent.
//!
//! To die is for [`TestServer::kill`](crate::TestServer::kill).
//!
//! # Example
//! ```
//! use tower_micro_testkit::{Chat, Manner, TestServer};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! let chat = Chat::new("n0");
//! chat.behave(Manner::StallAfter(3));
//! let server = TestServer::start("n0", chat.service()).await?;
//! # let _ = server; Ok(()) }
//! ```

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use tokio::sync::{mpsc, watch};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};
use tower_micro_call::BoxFuture;

use crate::proto::chat::{CountRequest, Line, Number, Total, chat_server};

/// What a chat does with its streams, from the next one that is opened.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Manner {
    /// Serves them to their end.
    #[default]
    Serve,
    /// Answers with this status instead of headers.
    Refuse(Status),
    /// Fails with the status after so many messages.
    FailAfter(u64, Status),
    /// Neither reads nor writes after so many messages, and keeps the stream open.
    StallAfter(u64),
}

impl Manner {
    /// Whether message number `done` gets its turn.
    async fn turn(&self, done: u64) -> Result<(), Status> {
        match self {
            Self::FailAfter(many, status) if done >= *many => Err(status.clone()),
            Self::StallAfter(many) if done >= *many => std::future::pending().await,
            _ => Ok(()),
        }
    }
}

/// What a chat has seen of all its streams together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// Streams that have reached the server, those that were refused included.
    pub opened: u64,
    /// Messages that were read, or counted.
    pub messages: u64,
    /// Streams that the server has ended, well or not.
    pub ended: u64,
    /// Streams that the caller has let go of: reset, or lost with their connection.
    pub reset: u64,
}

/// A chat that says which node it is. Clones share everything.
#[derive(Clone, Debug)]
pub struct Chat {
    node: Arc<str>,
    manner: Arc<Mutex<Manner>>,
    seen: watch::Sender<Seen>,
}

impl Chat {
    /// The chat of node `node`.
    pub fn new(node: &str) -> Self {
        Self {
            node: node.into(),
            manner: Arc::default(),
            seen: watch::Sender::default(),
        }
    }

    /// Changes what it does with streams that are opened from now on.
    pub fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    /// What it has seen so far.
    pub fn seen(&self) -> Seen {
        *self.seen.borrow()
    }

    /// Waits until it has seen what `condition` asks for.
    pub async fn until(&self, condition: impl FnMut(&Seen) -> bool) -> Seen {
        let mut seen = self.seen.subscribe();
        let seen = seen.wait_for(condition).await;
        *seen.expect("the sender is here")
    }

    /// As a service for a server.
    pub fn service(&self) -> chat_server::ChatServer<Self> {
        chat_server::ChatServer::new(self.clone())
    }

    fn open(&self) -> Result<Open, Status> {
        self.seen.send_modify(|seen| seen.opened += 1);
        let manner = self.manner.lock();
        let manner = manner.unwrap_or_else(PoisonError::into_inner).clone();
        let mut open = Open {
            seen: self.seen.clone(),
            manner,
            messages: 0,
            ended: false,
        };
        match &open.manner {
            Manner::Refuse(status) => {
                open.ended = true;
                Err(status.clone())
            }
            _ => Ok(open),
        }
    }
}

/// One stream. It is dropped when its work is done, or with the work that was not.
struct Open {
    seen: watch::Sender<Seen>,
    manner: Manner,
    messages: u64,
    ended: bool,
}

impl Open {
    async fn turn(&mut self) -> Result<(), Status> {
        let turn = self.manner.turn(self.messages).await;
        self.ended = turn.is_err();
        turn
    }

    fn count(&mut self) {
        self.messages += 1;
        self.seen.send_modify(|seen| seen.messages += 1);
    }

    /// The next message of the caller, if it is its turn.
    async fn next<T>(&mut self, messages: &mut Streaming<T>) -> Result<Option<T>, Status> {
        self.turn().await?;
        let next = messages.message().await?;
        match &next {
            Some(_) => self.count(),
            None => self.end(),
        }
        Ok(next)
    }

    fn end(&mut self) {
        self.ended = true;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let ended = self.ended;
        self.seen.send_modify(|seen| match ended {
            true => seen.ended += 1,
            false => seen.reset += 1,
        });
    }
}

/// What a chat says, as its work goes on. Dropping it drops the work.
pub struct Speech<T> {
    work: Option<BoxFuture<Result<(), Status>>>,
    said: mpsc::Receiver<T>,
    failure: Option<Status>,
}

impl<T> Speech<T> {
    fn new<W>(work: impl FnOnce(mpsc::Sender<T>) -> W) -> Response<Self>
    where
        W: Future<Output = Result<(), Status>> + Send + 'static,
    {
        let (say, said) = mpsc::channel(1);
        Response::new(Self {
            work: Some(Box::pin(work(say))),
            said,
            failure: None,
        })
    }

    fn work_on(&mut self, cx: &mut Context<'_>) {
        let Some(work) = &mut self.work else { return };
        if let Poll::Ready(end) = work.as_mut().poll(cx) {
            self.work = None;
            self.failure = end.err();
        }
    }
}

impl<T> Stream for Speech<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.work_on(cx);
        // All that was said comes before the end.
        self.said.poll_recv(cx).map(|said| match said {
            Some(message) => Some(Ok(message)),
            None => self.failure.take().map(Err),
        })
    }
}

impl<T> std::fmt::Debug for Speech<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Speech")
            .field("over", &self.work.is_none())
            .finish_non_exhaustive()
    }
}

#[tonic::async_trait]
impl chat_server::Chat for Chat {
    type TalkStream = Speech<Line>;
    type CountStream = Speech<Number>;

    async fn talk(
        &self,
        request: Request<Streaming<Line>>,
    ) -> Result<Response<Speech<Line>>, Status> {
        let (mut open, mut lines) = (self.open()?, request.into_inner());
        let node = self.node.to_string();
        Ok(Speech::new(|say| async move {
            while let Some(line) = open.next(&mut lines).await? {
                let text = format!("{}, you say", line.text);
                let node = node.clone();
                // Nobody listens only when this work is being dropped.
                let _ = say.send(Line { text, node }).await;
            }
            Ok(())
        }))
    }

    async fn count(
        &self,
        request: Request<CountRequest>,
    ) -> Result<Response<Speech<Number>>, Status> {
        let (mut open, to) = (self.open()?, request.into_inner().to);
        Ok(Speech::new(|say| async move {
            for value in 1..=to {
                open.turn().await?;
                open.count();
                let _ = say.send(Number { value }).await;
            }
            open.end();
            Ok(())
        }))
    }

    async fn sum(&self, request: Request<Streaming<Number>>) -> Result<Response<Total>, Status> {
        let (mut open, mut numbers) = (self.open()?, request.into_inner());
        let mut sum = 0_u64;
        while let Some(number) = open.next(&mut numbers).await? {
            sum = sum.wrapping_add(number.value);
        }
        Ok(Response::new(Total {
            sum,
            numbers: open.messages,
            node: self.node.to_string(),
        }))
    }
}
