//! Streams, as go-micro's callers use them: opened, then one step after the other.
//!
//! go-micro's stream is open when a connection has taken its request; what the node says to that comes with the first receive. Ours is
//! open when the node has answered with headers, which go-micro's server sends with its first message. So a stream is taken as open
//! here when a connection begins to read what is said, and its opening goes on until the first receive (`stream-opening`).

use std::time::Duration;

use futures_util::{Stream, stream::poll_fn};
use prost::Message;
use serde_json::{Value, json};
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot,
    },
    time::{sleep, timeout},
};
use tonic::{Streaming, client::Grpc};
use tonic_prost::ProstCodec;
use tower_micro::{Error, RequestExt, crates::call::BoxFuture};

use super::{
    events::{ours, raw},
    real::Caller,
    scenario::Step,
};

/// How long a step `sleep` takes.
const PAUSE: Duration = Duration::from_millis(100);
/// For a step that waits for the node.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens a stream and takes the steps. The stream is let go of at the end, as by `close`.
pub(super) async fn replay<Q, R>(
    caller: Caller,
    steps: &[Step],
    say: impl Fn(&str) -> Q,
    heard: impl Fn(R) -> String,
) -> Result<Vec<Value>, Error>
where
    Q: Message + 'static,
    R: Message + Default + 'static,
{
    let mut talk = Talk::open(caller).await?;
    let mut taken = Vec::new();
    for step in steps {
        let mut shown = match step {
            Step::Send(text) => talk.send(say(text)),
            Step::Recv => {
                let received = timeout(PATIENCE, talk.receive(&heard)).await;
                received.expect("the node answers in time")
            }
            Step::Sleep => {
                sleep(PAUSE).await;
                json!({})
            }
            Step::Close => {
                talk.end(ours("closed"));
                json!({"err": null})
            }
        };
        shown["step"] = step.to_string().into();
        taken.push(shown);
    }
    Ok(taken)
}

/// A stream that was opened.
struct Talk<Q, R> {
    say: Option<UnboundedSender<Q>>,
    /// A method that is sent one message.
    one_message: bool,
    answers: Answers<R>,
}

enum Answers<R> {
    Opening(BoxFuture<Result<Streaming<R>, Error>>),
    Open(Streaming<R>),
    /// The end is told once; whoever asks again is told what was told.
    Over(Value),
}

impl<Q, R> Talk<Q, R>
where
    Q: Message + 'static,
    R: Message + Default + 'static,
{
    /// Opens a stream until a connection has it.
    async fn open(caller: Caller) -> Result<Self, Error> {
        let one_message = caller.path.ends_with("/Count");
        let (say, said) = unbounded_channel();
        let (requests, taken) = requests(said);
        let mut opening: BoxFuture<_> = Box::pin(opened(caller, requests));
        let answers = tokio::select! {
            biased;
            Ok(()) = taken => Answers::Opening(opening),
            answers = &mut opening => Answers::Open(answers?),
        };
        Ok(Self {
            say: Some(say),
            one_message,
            answers,
        })
    }

    fn send(&mut self, message: Q) -> Value {
        let sent = self.say.as_ref().map(|say| say.send(message));
        if self.one_message {
            self.say = None;
        }
        match (sent, &self.answers) {
            (Some(Ok(())), _) => json!({"err": null}),
            (None, Answers::Over(end)) if end["type"] == "ours" => json!({"err": end}),
            _ => json!({"err": {"type": "eof"}}),
        }
    }

    async fn receive(&mut self, heard: impl Fn(R) -> String) -> Value {
        if let Answers::Opening(opening) = &mut self.answers {
            match opening.await {
                Ok(answers) => self.answers = Answers::Open(answers),
                Err(error) => self.end(raw(&error)),
            }
        }
        let answer = match &mut self.answers {
            Answers::Open(answers) => answers.message().await,
            Answers::Over(end) => return json!({"err": end}),
            Answers::Opening(_) => unreachable!("waited for above"),
        };
        let end = match answer {
            Ok(Some(said)) => return json!({"msg": heard(said)}),
            Ok(None) => json!({"type": "eof"}),
            Err(status) => raw(&status.into()),
        };
        self.end(end.clone());
        json!({"err": end})
    }

    /// Lets go of both sides.
    fn end(&mut self, end: Value) {
        self.say = None;
        self.answers = Answers::Over(end);
    }
}

async fn opened<Q, R>(
    caller: Caller,
    requests: impl Stream<Item = Q> + Send + 'static,
) -> Result<Streaming<R>, Error>
where
    Q: Message + 'static,
    R: Message + Default + 'static,
{
    let path = caller.path.parse();
    let path = path.expect("a path that begins with a slash");
    let options = caller.options.streaming(true);
    let request = tonic::Request::new(requests).with_options(options);
    let mut client = Grpc::new(caller.channel);
    client.ready().await.expect("a channel is always ready");
    let codec = ProstCodec::<Q, R>::default();
    let answers = client.streaming(request, path, codec).await;
    answers
        .map(tonic::Response::into_inner)
        .map_err(Error::from)
}

/// What is said, and the moment at which a connection begins to read it.
fn requests<Q>(mut said: UnboundedReceiver<Q>) -> (impl Stream<Item = Q>, oneshot::Receiver<()>) {
    let (take, taken) = oneshot::channel();
    let (mut take, mut asked) = (Some(take), 0_u32);
    let requests = poll_fn(move |cx| {
        asked += 1;
        // The first to ask is the door, which takes what is there already (`Replay::capture`).
        if let Some(take) = take.take_if(|_| asked > 1) {
            // Nobody waits for it any more if the opening has ended.
            let _ = take.send(());
        }
        said.poll_recv(cx)
    });
    (requests, taken)
}
