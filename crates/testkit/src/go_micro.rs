//! The two servers that go-micro's client was recorded against: one that behaves as go-micro's own, and a plain one.
//!
//! [`GoMicroGreeter`] takes any package: go-micro's server looks at the last part of the service only (`server/grpc/grpc.go`). What
//! its handlers fail with is sent as go-micro sends it (`server/grpc/error.go`, `util.go`). [`Echo`] is gRPC and nothing else.

mod echo;

use std::{
    collections::HashMap,
    convert::Infallible,
    future::ready,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, Uri, uri::PathAndQuery};
use tokio_stream::{Stream, StreamExt};
use tonic::{Code, Request, Response, Status, Streaming, body::Body, server::NamedService};
use tower_micro_call::{
    BoxFuture, Metadata, header,
    micro::{self, ServiceMethod},
    timeout::parse_nanoseconds,
};
use tower_service::Service;

pub use self::echo::Echo;
use crate::proto::go_micro as proto;

type Greeter = proto::greeter_server::GreeterServer<Handlers>;
type Answers<T> = std::pin::Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The handler that go-micro's server knows, and its methods.
const GREETER: &str = "Greeter";
const METHODS: [&str; 7] = ["Say", "Fail", "Sleep", "Flaky", "Meta", "Chat", "Count"];

/// A greeter behind something that answers as go-micro's gRPC server does. Clones share everything.
#[derive(Clone, Debug)]
pub struct GoMicroGreeter {
    greeter: Greeter,
}

impl GoMicroGreeter {
    /// A server without a past: `Flaky` counts from zero.
    pub fn new() -> Self {
        let greeter = Greeter::new(Handlers::default());
        Self { greeter }
    }
}

impl Default for GoMicroGreeter {
    fn default() -> Self {
        Self::new()
    }
}

/// The name is a pattern of the router: any service.
impl NamedService for GoMicroGreeter {
    const NAME: &'static str = "{service}";
}

impl Service<http::Request<Body>> for GoMicroGreeter {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        match path_of(request.uri().path()) {
            Ok(path) => {
                *request.uri_mut() = Uri::from(path);
                self.greeter.call(request)
            }
            Err(refused) => Box::pin(ready(Ok(refused.into_http()))),
        }
    }
}

/// Where the greeter has the method that `path` names, whatever the package.
fn path_of(path: &str) -> Result<PathAndQuery, Status> {
    let called = ServiceMethod::parse(path)
        .map_err(|malformed| Status::invalid_argument(malformed.to_string()))?;
    let ServiceMethod { service, method } = called;
    if service != GREETER {
        return Err(Status::unimplemented(format!("unknown service {service}")));
    }
    if !METHODS.contains(&method) {
        let text = format!("unknown service {service}.{method}");
        return Err(Status::unimplemented(text));
    }
    let path = format!("/go.micro.srv.greeter.Greeter/{method}");
    Ok(path.parse().expect("one of a few fixed paths"))
}

/// What the greeter does with a call.
#[derive(Clone, Debug, Default)]
struct Handlers {
    /// How often `Flaky` has failed, by key.
    failures: Arc<Mutex<HashMap<String, i32>>>,
}

impl Handlers {
    /// Counts one more failure of `key`, or says how many there were.
    fn fail(&self, key: String, times: i32) -> Result<i32, i32> {
        let failures = self.failures.lock();
        let mut failures = failures.unwrap_or_else(PoisonError::into_inner);
        let failed = failures.entry(key).or_default();
        if *failed >= times {
            return Ok(*failed);
        }
        *failed += 1;
        Err(*failed)
    }
}

fn say(msg: String) -> proto::Response {
    proto::Response { msg }
}

/// What go-micro's server sends for a handler's error of this kind.
fn failure(request: &proto::FailRequest) -> Status {
    let proto::FailRequest {
        code,
        id,
        detail,
        kind,
    } = request;
    let error = || micro::Error::new(id, detail, *code);
    match kind.as_str() {
        "" | "micro" => error().into(),
        "plain" => Status::unknown(detail),
        "json" => Status::unknown(error().to_json()),
        "wrapped" => Status::unknown(format!("wrapped: {}", error().to_json())),
        "status" => {
            let name = go_name(*code);
            Status::unknown(format!("rpc error: code = {name} desc = {detail}"))
        }
        "panic" => {
            let detail = format!("panic recovered: {detail}");
            micro::Error::internal_server_error("go.micro.server", detail).into()
        }
        "eof" => Status::out_of_range("EOF"),
        "ctx_deadline" => Status::deadline_exceeded("context deadline exceeded"),
        "ctx_canceled" => Status::cancelled("context canceled"),
        other => Status::invalid_argument(format!("no kind of failure: {other:?}")),
    }
}

/// The name of a code as grpc-go prints it.
fn go_name(code: i32) -> String {
    match Code::from_i32(code) {
        Code::Unknown if code != 2 => format!("Code({code})"),
        Code::Cancelled => "Canceled".to_owned(),
        Code::Ok => "OK".to_owned(),
        known => format!("{known:?}"),
    }
}

#[tonic::async_trait]
impl proto::greeter_server::Greeter for Handlers {
    type ChatStream = Answers<proto::Response>;
    type CountStream = Answers<proto::Response>;

    async fn say(
        &self,
        request: Request<proto::Request>,
    ) -> Result<Response<proto::Response>, Status> {
        let name = request.into_inner().name;
        Ok(Response::new(say(format!("Hello {name}"))))
    }

    async fn fail(
        &self,
        request: Request<proto::FailRequest>,
    ) -> Result<Response<proto::Response>, Status> {
        Err(failure(request.get_ref()))
    }

    async fn sleep(
        &self,
        request: Request<proto::SleepRequest>,
    ) -> Result<Response<proto::Response>, Status> {
        let time = u64::try_from(request.get_ref().ms).unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(time)).await;
        Ok(Response::new(say("slept".to_owned())))
    }

    async fn flaky(
        &self,
        request: Request<proto::FlakyRequest>,
    ) -> Result<Response<proto::Response>, Status> {
        let proto::FlakyRequest { key, times, code } = request.into_inner();
        match self.fail(key, times) {
            Ok(failed) => Ok(Response::new(say(format!("ok after {failed}")))),
            Err(now) => Err(micro::Error::new("greeter", format!("flaky {now}"), code).into()),
        }
    }

    async fn meta(
        &self,
        request: Request<proto::Request>,
    ) -> Result<Response<proto::MetaResponse>, Status> {
        let headers = request.metadata().clone().into_headers();
        let metadata = Metadata::from_headers(&headers);
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        Ok(Response::new(proto::MetaResponse {
            md: metadata.iter().map(owned).collect(),
            deadline_ms: deadline_of(&headers),
            method: "Greeter.Meta".to_owned(),
            endpoint: "Greeter.Meta".to_owned(),
            service: "go.micro.srv.greeter".to_owned(),
            content_type: "application/grpc".to_owned(),
        }))
    }

    async fn chat(
        &self,
        request: Request<Streaming<proto::Request>>,
    ) -> Result<Response<Self::ChatStream>, Status> {
        let answers = request.into_inner().map(|message| answer(&message?.name));
        begun(answers).await
    }

    async fn count(
        &self,
        request: Request<proto::Request>,
    ) -> Result<Response<Self::CountStream>, Status> {
        let many = request.into_inner().name.parse().unwrap_or(0_u32);
        let answers = (0..many).map(|number| Ok(say(number.to_string())));
        begun(tokio_stream::iter(answers)).await
    }
}

/// What a chat answers, or the error that the message asks for.
fn answer(name: &str) -> Result<proto::Response, Status> {
    match name.strip_prefix("fail:").map(str::parse) {
        Some(Ok(code)) => Err(micro::Error::new("greeter", "chat failed", code).into()),
        _ => Ok(say(format!("echo {name}"))),
    }
}

/// Headers go out with the first answer, or with the end if that is a failure: grpc-go writes them with a handler's first message
/// (`stream.go`, `SendMsg`).
async fn begun<T: Send + 'static>(
    mut answers: impl Stream<Item = Result<T, Status>> + Send + Unpin + 'static,
) -> Result<Response<Answers<T>>, Status> {
    let first = answers.next().await.transpose()?;
    let first = tokio_stream::iter(first.map(Ok));
    Ok(Response::new(Box::pin(first.chain(answers))))
}

/// What is left for the handler in milliseconds; -1 without a deadline.
fn deadline_of(headers: &HeaderMap) -> i64 {
    let timeout = headers.get(header::TIMEOUT);
    let timeout = timeout.and_then(|value| parse_nanoseconds(value).ok());
    timeout.map_or(-1, |timeout| {
        i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX)
    })
}
