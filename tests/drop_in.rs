//! Each layer by itself, over a plain channel of tonic and under a generated client. A layer that finds no note has its defaults.

mod stack;

mod server;

use std::{sync::Arc, time::Duration};

use http::{Request, Response};
use tonic::{Code, Status, service::LayerExt};
use tower::ServiceBuilder;
use tower_micro::{
    AttemptTimeoutLayer, Body, CallOptions, CallWrappersLayer, Context, DeadlineLayer, Error,
    Metadata, MetadataLayer, Next, Notes, OptionsLayer, OutcomeLayer, PickLayer, Preset, Replay,
    RequestExt, ResponseBody, RetryContext, RetryLayer, SelectLayer, Selector, ServiceName,
    from_fn,
};
use tower_micro_testkit::{Answer, Greeter, proto::greeter::greeter_client::GreeterClient};

use crate::support::{Diary, Fleet, Nobody, Recording, hello, plain, soon, start};

const SHORT: Duration = Duration::from_millis(50);

fn name() -> ServiceName {
    "greeter".parse().unwrap()
}

type Sent = Request<tonic::body::Body>;

#[tokio::test]
async fn options_settle_what_the_layers_inside_obey() {
    let fleet = Fleet::of(1).await;
    let seen = Diary::default();
    let diary = seen.clone();
    let channel = ServiceBuilder::new()
        .layer(OptionsLayer::new(Preset::Standard))
        .map_request(move |request: Sent| {
            let notes = Notes::of(&request).unwrap();
            let (options, deadline) = (notes.options().unwrap(), notes.deadline().unwrap());
            diary.write(format!(
                "{:?} {:?}",
                options.get_retries(),
                deadline.timeout()
            ));
            request
        })
        .service(fleet.plain());
    let asked = CallOptions::new().timeout(Duration::from_secs(3));
    let mut greeter = GreeterClient::new(channel);
    soon(greeter.say_hello(hello().with_options(asked)))
        .await
        .unwrap();
    assert_eq!(seen.text(), "Some(2) 3s");
}

#[tokio::test]
async fn select_asks_once_a_call_and_refuses_what_nobody_knows() {
    let fleet = Fleet::of(1).await;
    let recording = Recording::of(1);
    let known = SelectLayer::new(Arc::new(recording.clone()), name());
    let channel = ServiceBuilder::new().layer(known).service(fleet.plain());
    soon(GreeterClient::new(channel).say_hello(hello()))
        .await
        .unwrap();
    assert_eq!(
        (recording.diary.text(), fleet.calls()),
        ("select:greeter".into(), 1)
    );

    let unknown = SelectLayer::new(Arc::new(Nobody), name());
    let channel = ServiceBuilder::new().layer(unknown).service(fleet.plain());
    let status = soon(GreeterClient::new(channel).say_hello(hello()))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(
        status.message().contains("no service `greeter`"),
        "{status}"
    );
    assert_eq!(fleet.calls(), 1, "the second call was not sent");
}

#[tokio::test]
async fn a_deadline_ends_a_call_that_hangs() {
    let fleet = Fleet::of(1).await;
    fleet.greeters[0].answer(Answer::Never);
    let deadline = DeadlineLayer::after(SHORT);
    let channel = ServiceBuilder::new().layer(deadline).service(fleet.plain());
    let status = soon(GreeterClient::new(channel).say_hello(hello()))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(status.message().contains("50ms"), "{status}");
}

/// Options whose backoff heals `greeter` before the second attempt.
fn healing(greeter: &Greeter) -> CallOptions {
    let greeter = greeter.clone();
    CallOptions::new().backoff(move |cx: RetryContext<'_>| {
        if cx.attempt == 1 {
            greeter.answer(Answer::Hello);
        }
        Ok(Duration::ZERO)
    })
}

#[tokio::test]
async fn retry_reaches_a_server_that_fails_once_where_twice_is_as_good_as_once() {
    for (idempotent, attempts) in [(true, 2), (false, 1)] {
        let fleet = Fleet::of(1).await;
        fleet.greeters[0].answer(Answer::Fail(Status::unavailable("busy")));
        let options = healing(&fleet.greeters[0]).idempotent(idempotent);
        let channel = ServiceBuilder::new()
            .layer(RetryLayer::with_options(options))
            .service(fleet.plain());
        let answer = soon(GreeterClient::new(channel).say_hello(hello())).await;
        assert_eq!(answer.is_ok(), idempotent);
        assert_eq!(fleet.calls(), attempts);
    }
}

#[tokio::test]
async fn retry_hands_out_the_last_status_as_the_server_sent_it() {
    let fleet = Fleet::of(1).await;
    let sent = Status::with_details(Code::Unavailable, "busy", b"\x08\x0e".as_slice().into());
    fleet.greeters[0].answer(Answer::Fail(sent));
    let options = CallOptions::new().idempotent(true).retries(1);
    let channel = ServiceBuilder::new()
        .layer(RetryLayer::with_options(options))
        .service(fleet.plain());
    let status = soon(GreeterClient::new(channel).say_hello(hello()))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "busy")
    );
    assert_eq!(status.details(), b"\x08\x0e");
    assert_eq!(fleet.calls(), 2);
}

#[tokio::test]
async fn pick_marks_the_node_that_it_picked_and_alone_it_is_not_in_the_way() {
    let fleet = Fleet::of(1).await;
    let alone = ServiceBuilder::new()
        .layer(PickLayer::new())
        .service(fleet.plain());
    soon(GreeterClient::new(alone).say_hello(hello()))
        .await
        .unwrap();

    let recording = Recording::of(1);
    let selector: Arc<dyn Selector> = Arc::new(recording.clone());
    let channel = ServiceBuilder::new()
        .layer(SelectLayer::new(Arc::clone(&selector), name()))
        .layer(PickLayer::marking(selector))
        .service(fleet.plain());
    soon(GreeterClient::new(channel).say_hello(hello()))
        .await
        .unwrap();
    assert_eq!(recording.diary.text(), "select:greeter next:n0 mark:n0:ok");
}

#[tokio::test]
async fn an_attempt_that_hangs_ends_with_its_timeout_and_leaves_time_for_another() {
    let fleet = Fleet::of(1).await;
    fleet.greeters[0].answer(Answer::Never);
    let timeout = AttemptTimeoutLayer::after(SHORT);
    let channel = ServiceBuilder::new().layer(timeout).service(fleet.plain());
    let status = soon(GreeterClient::new(channel).say_hello(hello()))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(status.message(), "attempt timed out after 50ms");

    let options = healing(&fleet.greeters[0]).idempotent(true);
    let channel = ServiceBuilder::new()
        .layer(RetryLayer::with_options(options))
        .layer(timeout)
        .service(fleet.plain());
    soon(GreeterClient::new(channel).say_hello(hello()))
        .await
        .unwrap();
}

#[tokio::test]
async fn metadata_of_the_options_and_the_time_that_is_left_are_sent() {
    let seen = Diary::default();
    let diary = seen.clone();
    let watched = ServiceBuilder::new().map_request(move |request: Sent| {
        let header = |name| request.headers().get(name).cloned();
        diary.write(header("x-tenant").unwrap().to_str().unwrap());
        diary.write(header("grpc-timeout").is_some());
        request
    });
    let service = watched.named_layer(Greeter::new("n0").service());
    let server = start("n0", service).await.unwrap();
    let mut metadata = Metadata::new();
    metadata.insert("x-tenant", "blue").unwrap();
    let channel = ServiceBuilder::new()
        .layer(OptionsLayer::new(Preset::Standard))
        .layer(MetadataLayer::new())
        .service(plain(&server));
    let request = hello().with_options(CallOptions::new().metadata(metadata));
    soon(GreeterClient::new(channel).say_hello(request))
        .await
        .unwrap();
    assert_eq!(seen.text(), "blue true");
}

#[tokio::test]
async fn outcome_makes_a_failed_answer_an_error() {
    let fleet = Fleet::of(1).await;
    fleet.greeters[0].answer(Answer::Fail(Status::not_found("no Ada here")));
    let seen = Diary::default();
    let (before, after) = (seen.clone(), seen.clone());
    let channel = ServiceBuilder::new()
        .map_result(move |answer: Result<Response<ResponseBody>, Error>| {
            after.write(format!(
                "{:?}",
                answer.as_ref().map_err(Error::code).map(|_| ())
            ));
            answer
        })
        .layer(OutcomeLayer::new())
        .map_response(move |response: Response<tonic::body::Body>| {
            before.write(response.status());
            response
        })
        .service(fleet.plain());
    let status = soon(GreeterClient::new(channel).say_hello(hello()))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::NotFound, "no Ada here")
    );
    assert_eq!(seen.entries(), ["200 OK", "Err(NotFound)"]);
}

#[tokio::test]
async fn a_function_is_a_layer() {
    let fleet = Fleet::of(1).await;
    let seen = Diary::default();
    let diary = seen.clone();
    let audit = from_fn(
        move |cx: Context, request: Sent, next: Next<tonic::body::Body>| {
            let diary = diary.clone();
            async move {
                let answer = next.run(request).await;
                diary.write(format!("{} {}", cx.path(), answer.is_ok()));
                answer
            }
        },
    );
    let channel = ServiceBuilder::new().layer(audit).service(fleet.plain());
    soon(GreeterClient::new(channel).say_hello(hello()))
        .await
        .unwrap();
    assert_eq!(seen.text(), "/greeter.Greeter/SayHello true");
}

// Wrappers that options carry are functions over the onion's own bodies, so a bare channel needs them put in and taken out.
#[tokio::test]
async fn wrappers_that_a_request_carries_run_around_it() {
    let fleet = Fleet::of(1).await;
    let seen = Diary::default();
    let diary = seen.clone();
    let channel = ServiceBuilder::new()
        .map_request(|request: Sent| request.map(Replay::capture))
        .layer(OptionsLayer::new(Preset::Standard))
        .layer(CallWrappersLayer::new())
        .map_request(|request: Request<Body>| request.map(tonic::body::Body::restore))
        .map_response(|response: Response<_>| response.map(ResponseBody::from))
        .service(fleet.plain());
    let options =
        CallOptions::new().call_wrapper(move |_: Context, request: Request<Body>, next: Next| {
            diary.write("wrapped");
            async move { next.run(request).await }
        });
    let request = hello().with_options(options);
    soon(GreeterClient::new(channel).say_hello(request))
        .await
        .unwrap();
    assert_eq!(seen.text(), "wrapped");
}

#[tokio::test]
async fn a_deadline_and_retry_by_themselves_do_what_each_does() {
    let fleet = Fleet::of(1).await;
    fleet.greeters[0].answer(Answer::Fail(Status::unavailable("busy")));
    let options = healing(&fleet.greeters[0]).idempotent(true);
    let channel = ServiceBuilder::new()
        .layer(DeadlineLayer::after(Duration::from_secs(9)))
        .layer(RetryLayer::with_options(options))
        .service(fleet.plain());
    soon(GreeterClient::new(channel).say_hello(hello()))
        .await
        .unwrap();
    assert_eq!(fleet.calls(), 2);
}
