//! The stack spelled out, and layers of tower as wrappers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use futures_util::future;
use http::Request;
use tokio::task::JoinSet;
use tonic::{
    Code, Status,
    codegen::{Body as HttpBody, Bytes},
    transport::Channel,
};
use tower::{
    ServiceBuilder, limit::ConcurrencyLimitLayer, timeout::TimeoutLayer, util::MapRequestLayer,
};
use tower_micro::{
    AttemptTimeoutLayer, Body, BoxError, CallOptions, CallWrappersLayer, Client, ClientBuilder,
    Context, DeadlineLayer, MetadataLayer, Next, NodeTransport, Notes, OptionsLayer, OutcomeLayer,
    PickLayer, Preset, RegistrySelector, Replay, RequestExt, RetryContext, RetryLayer, SelectLayer,
    Selector, crates::selector::TaskGuard, from_fn, wrap::erase::ErasedLayer,
};
use tower_micro_testkit::{
    Answer, Scripted,
    proto::greeter::{HelloReply, greeter_client::GreeterClient},
};

use super::{SHORT, Sent, name};
use crate::support::{
    Diary, Fleet, Recording, Wire, call, greeter, greeting, hello, number_of, scripted, soon, wired,
};

/// A selector over a registry, whose tasks end with it.
fn selector(fleet: &Fleet) -> Arc<dyn Selector> {
    let spawn = |future| {
        let mut task = JoinSet::new();
        task.spawn(future);
        Ok(Box::new(task) as TaskGuard)
    };
    Arc::new(RegistrySelector::new(Arc::new(fleet.registry()), spawn))
}

#[tokio::test]
async fn the_whole_stack_can_be_spelled_out() {
    let fleet = Fleet::of(2).await;
    fleet.greeters[0].answer(Answer::Fail(Status::unavailable("busy")));
    let seen = Diary::default();
    let (audited, logged) = (seen.clone(), seen.clone());
    let audit = from_fn(move |cx: Context, request, next: Next| {
        audited.write(cx.path());
        async move { next.run(request).await }
    });
    let log_attempt = from_fn(move |cx: Context, request, next: Next| {
        logged.write(format!("{}@{}", cx.attempt().number, cx.node().unwrap().id));
        async move { next.run(request).await }
    });
    let selector = selector(&fleet);
    let channel = ServiceBuilder::new()
        .map_request(|request: Sent| request.map(Replay::capture))
        .layer(audit)
        .layer(OptionsLayer::new(Preset::Standard))
        .layer(SelectLayer::new(Arc::clone(&selector), name()))
        .layer(DeadlineLayer::new())
        .layer(RetryLayer::new())
        .layer(PickLayer::marking(selector))
        .layer(log_attempt)
        .layer(CallWrappersLayer::new())
        .layer(AttemptTimeoutLayer::new())
        .layer(MetadataLayer::new())
        .layer(OutcomeLayer::new())
        .service(NodeTransport::new(Wire::new()));
    let mut greeter = GreeterClient::new(channel);
    let idempotent = CallOptions::new().idempotent(true);
    while fleet.greeters[0].calls() == 0 {
        let request = hello().with_options(idempotent.clone());
        let reply = soon(greeter.say_hello(request)).await.unwrap();
        assert_eq!(reply.into_inner().node, "n1");
    }
    let last = seen.entries().split_off(seen.entries().len() - 3);
    assert_eq!(last, ["/greeter.Greeter/SayHello", "0@n0", "1@n1"]);
}

/// The most calls that were at the node at once, of six.
async fn crowd(around_calls: bool) -> usize {
    let (here, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&most);
    let client = scripted(&Recording::of(1), move |_| {
        let (here, most) = (Arc::clone(&here), Arc::clone(&counted));
        async move {
            most.fetch_max(here.fetch_add(1, SeqCst) + 1, SeqCst);
            tokio::task::yield_now().await;
            here.fetch_sub(1, SeqCst);
            Ok(greeting("n0"))
        }
    });
    let limit = ConcurrencyLimitLayer::new(2);
    let client = match around_calls {
        true => client.wrap(limit).build(),
        false => client.wrap_call(limit).build(),
    };
    let client = client.unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..6 {
        let mut greeter = greeter(&client);
        calls.spawn(async move { greeter.say_hello(hello()).await });
    }
    let answers = soon(calls.join_all()).await;
    assert!(answers.iter().all(Result::is_ok));
    most.load(SeqCst)
}

#[tokio::test]
async fn towers_concurrency_limit_is_a_client_wrapper_and_a_call_wrapper() {
    assert_eq!(crowd(true).await, 2);
    assert_eq!(crowd(false).await, 2);
}

#[tokio::test]
async fn towers_map_request_is_a_wrapper() {
    let recording = Recording::of(1);
    let client = scripted(&recording, |request| async move {
        Ok(greeting(request.headers()["x-attempt"].to_str().unwrap()))
    });
    let stamp = MapRequestLayer::new(|mut request: Request<Body>| {
        let attempt = Notes::of(&request).unwrap().attempt().number;
        request.headers_mut().insert("x-attempt", attempt.into());
        request
    });
    let client = client.wrap_call(stamp).build().unwrap();
    let reply = soon(greeter(&client).say_hello(hello())).await.unwrap();
    assert_eq!(reply.into_inner().node, "0");
}

#[tokio::test]
async fn a_plain_channel_and_a_client_are_exchanged_in_one_line() {
    let fleet = Fleet::of(1).await;
    async fn ask<S>(mut greeter: GreeterClient<S>) -> HelloReply
    where
        S: tonic::client::GrpcService<tonic::body::Body>,
        S::Error: Into<BoxError>,
        S::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
        <S::ResponseBody as HttpBody>::Error: Into<BoxError> + Send,
    {
        soon(greeter.say_hello(hello())).await.unwrap().into_inner()
    }
    let client = wired().registry(fleet.registry());
    let ours = GreeterClient::new(client.build().unwrap().channel("greeter"));
    let theirs: GreeterClient<Channel> = GreeterClient::new(fleet.plain());
    assert_eq!(ask(ours).await, ask(theirs).await);
}

/// Takes wrappers whose errors are boxes.
type Hanging = ClientBuilder<ErasedLayer, ErasedLayer, Scripted>;

/// A client whose first attempt hangs, with `SHORT` for whatever tower's timeout is put around.
fn hanging(recording: &Recording) -> Hanging {
    let client = scripted(recording, |request| async move {
        match number_of(&request) {
            0 => future::pending().await,
            _ => Ok(greeting("n0")),
        }
    });
    client.erased()
}

#[tokio::test(start_paused = true)]
async fn towers_timeout_is_a_client_wrapper_and_a_call_wrapper() {
    let timeout = TimeoutLayer::new(SHORT);
    let recording = Recording::of(1);
    let client = hanging(&recording).wrap(timeout.clone()).build().unwrap();
    let status = call(&client).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(
        recording.diary.text(),
        "select:greeter next:n0 mark:n0:cancelled"
    );

    let recording = Recording::of(1);
    let again =
        |cx: RetryContext<'_>| Ok(cx.error.is_some_and(|e| e.code() == Code::DeadlineExceeded));
    let client = hanging(&recording).wrap_call(timeout);
    let client = client.options(CallOptions::new().retry(again));
    assert_eq!(call(&client.build().unwrap()).await.unwrap().node, "n0");
    let expected = "select:greeter next:n0 mark:n0:failed next:n0 mark:n0:ok";
    assert_eq!(recording.diary.text(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_not_erased_takes_wrappers_whose_errors_are_boxes() {
    let connect = Scripted::new(|_| async { Ok(greeting("n0")) });
    let client = Client::builder()
        .selector(Recording::of(1))
        .connect(connect);
    let timeout = TimeoutLayer::new(SHORT);
    let client = client.wrap(timeout.clone()).wrap_call(timeout);
    assert_eq!(call(&client.build().unwrap()).await.unwrap().node, "n0");
}
