//! The wrappers of the scenarios: they tell that they are entered and left, and do what they are asked to in between.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::Layer;
use tower_micro::{
    Body, CallOptions, Candidate, Context, Error, Metadata, Next, Node, Notes, RequestExt,
    ResponseBody, from_fn,
    wrap::{erase::WrappedService, from_fn::FromFn},
};
use tower_micro_testkit::Scripted;

use super::{
    call::EMPTY, choice::Behaviour, choices::Choices, deliberate::is_refused, events::shown_end,
    recorder::Recorder, scenario::Transport,
};

type Answer = Result<Response<ResponseBody>, Error>;
type Answering = tower_micro::crates::call::BoxFuture<Answer>;
type Function = Box<dyn Fn(Context, Request<Body>, Next) -> Answering + Send + Sync>;

/// Once per call, or once per attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Client,
    Call,
}

/// A wrapper. As a [`Layer`] it tells that it is put around a client.
#[derive(Clone, Debug)]
pub(super) struct Wrapper {
    name: String,
    place: Place,
    behaviour: Behaviour,
    choices: Choices,
}

impl Wrapper {
    pub(super) fn new(name: &str, place: Place, choices: &Choices) -> Self {
        Self {
            name: name.to_owned(),
            place,
            behaviour: choices.behaviour(name),
            choices: choices.clone(),
        }
    }

    fn recorder(&self) -> &Recorder {
        self.choices.recorder()
    }

    fn tell(&self, ev: &str, stream: bool) -> Value {
        let (layer, method) = match (self.place, stream) {
            (Place::Client, false) => ("client", Some("Call")),
            (Place::Call, false) => ("call", None),
            (Place::Client, true) => ("client", Some("Stream")),
            (Place::Call, true) => ("call", Some("Stream")),
        };
        json!({"ev": ev, "layer": layer, "name": self.name, "method": method})
    }

    /// One pass through the wrapper.
    pub(super) async fn run(self, request: Request<Body>, next: Next) -> Answer {
        let stream = is_stream(&request);
        self.recorder().add(self.tell("enter", stream));
        let answer = self.behave(request, next).await;
        let mut exit = self.tell("exit", stream);
        exit["err"] = shown_end(&answer);
        self.recorder().add(exit);
        answer
    }

    async fn behave(&self, request: Request<Body>, next: Next) -> Answer {
        match &self.behaviour {
            Behaviour::Short { err: None } => Ok(self.nothing()),
            Behaviour::Short { err: Some(failure) } => Err(failure.made()),
            Behaviour::Twice => {
                let again = copied(&request);
                if let Ok(first) = next.run(request).await {
                    // Read to its end, so that the first attempt is over when the second begins.
                    let _ = first.into_body().collect().await;
                }
                next.run(again).await
            }
            Behaviour::Swallow => {
                let answer = next.run(request).await;
                Ok(answer.unwrap_or_else(|_| self.nothing()))
            }
            Behaviour::ReplaceErr { err } => next.run(request).await.map_err(|_| err.made()),
            _ => next.run(self.changed(request)).await,
        }
    }

    /// A success that no node has answered: in Go the response stays as it was, which reads as an empty message.
    fn nothing(&self) -> Response<ResponseBody> {
        match self.choices.input().transport {
            Transport::Fake => Scripted::ok(),
            Transport::Real => answered(EMPTY),
        }
    }

    /// The request, changed as a wrapper in this place can change it; one that can not passes it on, as in go-micro.
    fn changed(&self, request: Request<Body>) -> Request<Body> {
        if let Behaviour::SetMd { key, val } = &self.behaviour
            && is_refused(key, val)
        {
            return request;
        }
        match (&self.behaviour, self.place) {
            (Behaviour::AddCallOpt { opt }, Place::Client) => {
                let options = self.choices.chosen(CallOptions::new(), opt);
                request.with_options(options)
            }
            (Behaviour::SetMd { key, val }, Place::Client) => {
                let mut metadata = Metadata::new();
                metadata.insert(key, val).expect("found not to be refused");
                request.with_options(CallOptions::new().metadata(metadata))
            }
            (Behaviour::SetMd { key, val }, Place::Call) => with_header(request, key, val),
            (Behaviour::SetNode { key, val }, Place::Call) => with_node(request, key, val),
            (Behaviour::SetRetries, Place::Call) => with_retries(request, 4),
            _ => request,
        }
    }
}

/// Whether the options of a request, which the outermost of our layers settles, say so.
fn is_stream(request: &Request<Body>) -> bool {
    let asked = request.extensions().get::<CallOptions>();
    let settled = Notes::of(request).and_then(Notes::options);
    let options = asked.or(settled.map(|options| &**options));
    options.and_then(CallOptions::get_streaming) == Some(true)
}

/// What a node answers that says this and has done well.
fn answered(message: &'static [u8]) -> Response<ResponseBody> {
    let ok = HeaderMap::from_iter([(
        HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )]);
    let body = Full::new(Bytes::from_static(message));
    let body = body.with_trailers(std::future::ready(Some(Ok(ok))));
    Response::new(ResponseBody::new(body))
}

/// The same request once more. Its body was captured at the door.
fn copied(request: &Request<Body>) -> Request<Body> {
    let body = request.body().replay().expect("a unary body is complete");
    let mut copy = Request::new(body);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    copy
}

fn with_header(mut request: Request<Body>, key: &str, value: &str) -> Request<Body> {
    let name: HeaderName = key.parse().expect("found not to be refused");
    let value = HeaderValue::from_str(value).expect("a printable value");
    request.headers_mut().insert(name, value);
    request
}

fn with_node(mut request: Request<Body>, id: &str, address: &str) -> Request<Body> {
    let node = Candidate::new(Node::new(id, address));
    Notes::of_mut(&mut request).set_node(node);
    request
}

fn with_retries(mut request: Request<Body>, retries: u32) -> Request<Body> {
    let notes = Notes::of_mut(&mut request);
    let options = notes.options().map(|options| CallOptions::clone(options));
    let options = options.unwrap_or_default().retries(retries);
    let deadline = notes.deadline();
    notes.set_options(Arc::new(options), deadline);
    request
}

impl<S: WrappedService<Body>> Layer<S> for Wrapper {
    type Service = FromFn<Function, Body, Answering>;

    fn layer(&self, inner: S) -> Self::Service {
        if self.place == Place::Client {
            let name = &self.name;
            self.recorder()
                .add(json!({"ev": "wrap", "layer": "client", "name": name}));
        }
        let wrapper = self.clone();
        let function: Function =
            Box::new(move |_, request, next| Box::pin(wrapper.clone().run(request, next)));
        from_fn(function).layer(inner)
    }
}

/// Wrappers one inside of the other, the first outermost.
#[derive(Clone, Debug)]
pub(super) struct Several(pub(super) Vec<Wrapper>);

impl<S: WrappedService<Body>> Layer<S> for Several {
    type Service = FromFn<Function, Body, Answering>;

    fn layer(&self, inner: S) -> Self::Service {
        let pass: Function = Box::new(|_, request, next| next.run(request));
        let inner = from_fn(pass).layer(inner);
        let inside_out = self.0.iter().rev();
        inside_out.fold(inner, |inner, wrapper| wrapper.layer(inner))
    }
}
