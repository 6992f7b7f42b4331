//! Which calls are done once more, how often, and what of one attempt reaches the next.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use tonic::{Code, Status};
use tower_micro::{
    Body, CallOptions, CallReport, Client, Context, Next, Node, Notes, Preset, RequestExt,
    RetryContext, Service, Static, from_fn, micro,
};
use tower_micro_testkit::{
    Answer as Does, closed_port,
    proto::greeter::{HelloReply, HelloRequest},
};

use crate::support::{
    Diary, Fleet, Recording, call, failing, framed, greeter, greeting, hello, node_of, number_of,
    scripted, soon, wired,
};

fn idempotent() -> CallOptions {
    CallOptions::new().idempotent(true)
}

fn client(fleet: &Fleet, options: CallOptions) -> Client {
    let client = wired().registry(fleet.registry());
    client.options(options).build().unwrap()
}

#[tokio::test]
async fn a_node_that_is_unavailable_is_left_for_another() {
    let fleet = Fleet::of(3).await;
    fleet.greeters[0].answer(Does::Fail(Status::unavailable("busy")));
    let client = client(&fleet, idempotent());
    while fleet.greeters[0].calls() < 3 {
        assert_ne!(call(&client).await.unwrap().node, "n0");
    }
}

#[tokio::test]
async fn unavailable_is_final_where_twice_is_not_as_good_as_once() {
    let fleet = Fleet::of(3).await;
    fleet.greeters[0].answer(Does::Fail(Status::unavailable("busy")));
    let client = client(&fleet, CallOptions::new());
    let mut calls = 1;
    let status = loop {
        match call(&client).await {
            Ok(_) => calls += 1,
            Err(status) => break status,
        }
    };
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "busy")
    );
    assert_eq!(fleet.calls(), calls, "none was sent twice");
}

#[tokio::test]
async fn a_connection_that_is_refused_leads_to_another_node_whatever_the_method() {
    let fleet = Fleet::of(1).await;
    let nobody = Node::new("nobody", closed_port().await.unwrap());
    let nodes = Service::new("greeter", "latest").with_node(nobody);
    let registry = Static::new([nodes.with_node(fleet.servers[0].node())]);
    let seen = Diary::default();
    let diary = seen.clone();
    let watched = from_fn(move |cx: Context, request, next: Next| {
        diary.write(&cx.node().unwrap().id);
        async move { next.run(request).await }
    });
    let client = wired().registry(registry).wrap_call(watched);
    let client = client.build().unwrap();
    while seen.count("nobody") < 3 {
        assert_eq!(call(&client).await.unwrap().node, "n0");
    }
}

#[tokio::test]
async fn no_call_fails_when_one_of_three_nodes_is_killed() {
    let fleet = Fleet::of(3).await;
    let client = client(&fleet, idempotent());
    for number in 0..60 {
        if number == 30 {
            fleet.servers[1].kill();
        }
        call(&client).await.unwrap();
    }
}

// tonic keeps the time of `grpc-timeout` too; whichever clock is first, it is the attempt that has timed out.
#[tokio::test]
async fn a_node_that_hangs_is_left_for_another() {
    let fleet = Fleet::of(3).await;
    fleet.greeters[0].answer(Does::Never);
    let options = idempotent().timeout(Duration::from_millis(300));
    let client = client(&fleet, options);
    while fleet.greeters[0].calls() < 5 {
        assert_ne!(call(&client).await.unwrap().node, "n0");
    }
}

#[tokio::test]
async fn with_no_retries_a_call_is_made_once() {
    let fleet = Fleet::of(3).await;
    for greeter in &fleet.greeters {
        greeter.answer(Does::Fail(Status::unavailable("busy")));
    }
    let client = client(&fleet, idempotent().retries(0));
    call(&client).await.unwrap_err();
    assert_eq!(fleet.calls(), 1);
}

#[tokio::test]
async fn when_all_nodes_fail_the_last_answer_comes_back_as_it_was_sent() {
    let fleet = Fleet::of(3).await;
    let sent = Status::with_details(Code::Unavailable, "busy", Bytes::from_static(b"\x08\x0e"));
    for greeter in &fleet.greeters {
        greeter.answer(Does::Fail(sent.clone()));
    }
    let status = call(&client(&fleet, idempotent())).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "busy")
    );
    assert_eq!(status.details(), sent.details());
    assert!(fleet.greeters.iter().all(|greeter| greeter.calls() == 1));
    let error = tower_micro::Error::from(status);
    assert_eq!(error.attempts(), 3);
    assert_eq!(error.previous().unwrap().text(), "busy");
}

// The reserve is ten retries a second over ten seconds.
#[tokio::test(start_paused = true)]
async fn an_outage_is_met_with_a_hundred_retries_and_no_more() {
    const CALLS: u32 = 300;
    let sent = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&sent);
    let client = scripted(&Recording::of(3), move |_| {
        counted.fetch_add(1, SeqCst);
        async { Ok(failing(Status::unavailable("busy"))) }
    });
    let client = client.options(idempotent()).build().unwrap();
    for _ in 0..CALLS {
        let status = call(&client).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unavailable, "busy")
        );
    }
    assert_eq!(sent.load(SeqCst), CALLS + 100);
}

#[tokio::test]
async fn a_fleet_that_is_down_gets_hardly_more_calls_than_were_made() {
    const CALLS: usize = 400;
    let fleet = Fleet::of(3).await;
    for greeter in &fleet.greeters {
        greeter.answer(Does::Fail(Status::unavailable("busy")));
    }
    let client = client(&fleet, idempotent());
    let calls = (0..CALLS).map(|_| call(&client));
    let answers = futures_util::future::join_all(calls).await;
    assert!(answers.iter().all(Result::is_err));
    let most = CALLS + 100;
    assert!((CALLS..=most).contains(&fleet.calls()), "{}", fleet.calls());
}

#[tokio::test]
async fn a_node_gets_the_same_bytes_in_every_attempt() {
    let name: String = ('\u{1}'..).take(20_000).collect();
    let message = HelloRequest { name };
    let expected = framed(&message);
    let client = scripted(&Recording::of(3), move |request: Request<Body>| {
        let expected = expected.clone();
        async move {
            let number = number_of(&request);
            let sent = request.into_body().collect().await.unwrap().to_bytes();
            assert!(sent == expected, "attempt {number} sends something else");
            match number {
                2 => Ok(greeting("n2")),
                _ => Ok(failing(Status::unavailable("busy"))),
            }
        }
    });
    let client = client.options(idempotent()).build().unwrap();
    let request = tonic::Request::new(message);
    let reply = soon(greeter(&client).say_hello(request)).await.unwrap();
    assert_eq!(reply.into_inner().node, "n2");
}

#[tokio::test]
async fn a_large_message_arrives_whole_over_the_wire_in_the_second_attempt() {
    let fleet = Fleet::of(2).await;
    fleet.greeters[0].answer(Does::Fail(Status::unavailable("busy")));
    let client = client(&fleet, idempotent());
    let name: String = ('a'..='z').cycle().take(1 << 20).collect();
    while fleet.greeters[0].calls() == 0 {
        let request = tonic::Request::new(HelloRequest { name: name.clone() });
        let reply = soon(greeter(&client).say_hello(request)).await.unwrap();
        let HelloReply { message, node } = reply.into_inner();
        assert!(message == format!("Hello {name}"));
        assert_eq!(node, "n1");
    }
}

#[tokio::test]
async fn what_an_attempt_puts_on_its_request_is_gone_in_the_next() {
    #[derive(Clone)]
    struct Mine;
    let seen = Diary::default();
    let diary = seen.clone();
    let client = scripted(&Recording::of(3), move |request| {
        let number = number_of(&request);
        let headers: Vec<_> = (0..3)
            .filter(|number| {
                request
                    .headers()
                    .contains_key(format!("x-attempt-{number}"))
            })
            .collect();
        let kept = request.headers()["x-mine"].to_str().unwrap();
        diary.write(format!("{number}:{headers:?}:{kept}"));
        async move {
            match number {
                2 => Ok(greeting("n2")),
                _ => Ok(failing(Status::unavailable("busy"))),
            }
        }
    });
    let stamp = from_fn(|cx: Context, mut request: Request<Body>, next: Next| {
        let name = format!("x-attempt-{}", cx.attempt().number);
        let name: http::HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, "1".parse().unwrap());
        request
            .headers_mut()
            .insert("x-mine", "changed".parse().unwrap());
        assert!(request.extensions_mut().insert(Mine).is_none());
        async move { next.run(request).await }
    });
    let client = client.wrap_call(stamp).options(idempotent());
    let mut request = hello();
    request
        .metadata_mut()
        .insert("x-mine", "1".parse().unwrap());
    let client = client.build().unwrap();
    soon(greeter(&client).say_hello(request)).await.unwrap();
    let expected = ["0:[0]:changed", "1:[1]:changed", "2:[2]:changed"];
    assert_eq!(seen.entries(), expected);
}

#[tokio::test]
async fn an_attempt_knows_its_number_how_many_may_follow_and_how_the_one_before_ended() {
    let seen = Diary::default();
    let diary = seen.clone();
    let client = scripted(&Recording::of(3), move |request| {
        let attempt = Notes::of(&request).unwrap().attempt().clone();
        let before = attempt
            .previous
            .as_ref()
            .map(|error| error.text().to_owned());
        let (number, left) = (attempt.number, attempt.left);
        diary.write(format!("{number} of {left} more, {before:?}"));
        async move { Ok(failing(Status::unavailable(format!("busy {number}")))) }
    });
    let client = client.options(idempotent()).build().unwrap();
    call(&client).await.unwrap_err();
    let expected = [
        "0 of 2 more, None",
        "1 of 1 more, Some(\"busy 0\")",
        "2 of 0 more, Some(\"busy 1\")",
    ];
    assert_eq!(seen.entries(), expected);
}

#[tokio::test]
async fn a_call_report_is_on_the_response_if_it_was_asked_for() {
    let client = scripted(&Recording::of(2), |request| async move {
        match &*node_of(&request) {
            "n0" => Ok(failing(Status::unavailable("busy"))),
            node => Ok(greeting(node)),
        }
    });
    let client = client.options(idempotent()).build().unwrap();
    let request = hello().with_options(CallOptions::new().report(true));
    let reply = soon(greeter(&client).say_hello(request)).await.unwrap();
    let report: &CallReport = reply.extensions().get().unwrap();
    assert_eq!(report.attempts, 2);
    assert_eq!(report.node.as_ref().unwrap().id, "n1");

    let reply = soon(greeter(&client).say_hello(hello())).await.unwrap();
    assert!(reply.extensions().get::<CallReport>().is_none());
}

/// How many calls a node of `preset` gets that always fails with a go-micro error of `code`.
async fn calls_of(preset: Preset, code: i32) -> usize {
    let fleet = Fleet::of(1).await;
    let error = micro::Error::new("greeter", "no", code);
    fleet.greeters[0].answer(Does::Fail(error.clone().into()));
    let at_once = |_: RetryContext<'_>| Ok(Duration::ZERO);
    let client = wired().registry(fleet.registry()).preset(preset);
    let client = client.options(CallOptions::new().backoff(at_once));
    let status = call(&client.build().unwrap()).await.unwrap_err();
    assert_eq!(micro::from_status(&status), Some(error));
    fleet.calls()
}

#[tokio::test]
async fn go_micro_v2_repeats_what_failed_with_408_or_500_once_whatever_the_method() {
    assert_eq!(calls_of(Preset::GoMicroV2, 500).await, 2);
    assert_eq!(calls_of(Preset::GoMicroV2, 408).await, 2);
    assert_eq!(calls_of(Preset::GoMicroV2, 404).await, 1);
}

#[tokio::test]
async fn go_micro_v4_repeats_what_failed_with_408_five_times_and_nothing_else() {
    assert_eq!(calls_of(Preset::GoMicroV4, 408).await, 6);
    assert_eq!(calls_of(Preset::GoMicroV4, 500).await, 1);
}

#[tokio::test]
async fn a_predicate_of_the_request_decides_instead_of_the_clients() {
    let fleet = Fleet::of(1).await;
    fleet.greeters[0].answer(Does::Fail(Status::aborted("race")));
    let client = client(&fleet, CallOptions::new());
    let aborted = |cx: RetryContext<'_>| Ok(cx.error.is_some_and(|e| e.code() == Code::Aborted));
    let options = CallOptions::new().retries(3).retry(aborted);
    let request = hello().with_options(options.backoff(|_: RetryContext<'_>| Ok(Duration::ZERO)));
    soon(greeter(&client).say_hello(request)).await.unwrap_err();
    assert_eq!(fleet.calls(), 4);
}

// Trailers that come with the headers decide an attempt, though HTTP says 200 and a message was sent.
#[tokio::test]
async fn a_failure_in_the_trailers_is_done_again_when_it_travels_with_the_headers() {
    let recording = Recording::of(2);
    let client = scripted(&recording, |request| async move {
        match &*node_of(&request) {
            "n0" => Ok(crate::support::trailing([("grpc-status", "14")])),
            node => Ok(greeting(node)),
        }
    });
    let client = client.options(idempotent()).build().unwrap();
    assert_eq!(call(&client).await.unwrap().node, "n1");
    let expected = "select:greeter next:n0 mark:n0:failed next:n1 mark:n1:ok";
    assert_eq!(recording.diary.text(), expected);
}

/// What a caller puts on its request for a wrapper of its own.
#[derive(Clone, Debug)]
struct Tenant(&'static str);

#[tokio::test]
async fn what_the_caller_put_on_its_request_is_there_on_every_attempt() {
    let seen = Diary::default();
    let diary = seen.clone();
    let client = scripted(&Recording::of(2), move |request| {
        let tenant = request.extensions().get::<Tenant>().map(|tenant| tenant.0);
        let method = request.extensions().get::<tonic::GrpcMethod>();
        diary.write(format!(
            "{tenant:?} {:?}",
            method.map(tonic::GrpcMethod::method)
        ));
        async { Ok(failing(Status::unavailable("busy"))) }
    });
    let client = client
        .options(CallOptions::new().idempotent(true).retries(1))
        .build()
        .unwrap();
    let mut request = hello();
    request.extensions_mut().insert(Tenant("blue"));
    soon(greeter(&client).say_hello(request)).await.unwrap_err();
    let both = r#"Some("blue") Some("SayHello")"#;
    assert_eq!(seen.entries(), [both; 2]);
}
