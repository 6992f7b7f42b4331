//! What a wrapper sees, and what it may do.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use bytes::Bytes;
use futures_util::TryFutureExt;
use http::{Request, Response};
use http_body_util::BodyExt;
use tonic::{Code, Status};
use tower_micro::{Body, CallOptions, Context, Error, Kind, Next, Notes, RetryContext, from_fn};

use crate::support::{Answer, Bare, Recording, call, failing, greeting, node_of, nodes, scripted};

#[tokio::test]
async fn a_client_wrapper_runs_once_a_call_and_sees_neither_node_nor_deadline() {
    let recording = Recording::of(2);
    let seen = recording.diary.clone();
    let outermost = from_fn(move |cx: Context, request, next: Next| {
        seen.write(format!("{}:{:?}", cx.path(), cx.node().is_some()));
        assert_eq!(cx.service().unwrap().as_str(), "greeter");
        assert!(cx.deadline().is_none());
        async move { next.run(request).await }
    });
    let client = twice(&recording).wrap_client(outermost).build().unwrap();
    call(&client).await.unwrap();
    assert_eq!(recording.diary.count("/greeter.Greeter/SayHello:false"), 1);
}

/// A client whose first attempt fails as one that may be retried.
fn twice(recording: &Recording) -> Bare {
    let client = scripted(recording, |request| async move {
        match &*node_of(&request) {
            "n0" => Ok(failing(Status::unavailable("busy"))),
            node => Ok(greeting(node)),
        }
    });
    client.options(CallOptions::new().idempotent(true))
}

#[tokio::test]
async fn a_call_wrapper_runs_once_an_attempt_and_sees_node_number_and_deadline() {
    let recording = Recording::of(2);
    let seen = recording.diary.clone();
    let wrapper = from_fn(move |cx: Context, request, next: Next| {
        let (node, attempt) = (cx.node().unwrap(), cx.attempt());
        let before = attempt.previous.as_ref().map(Error::code);
        seen.write(format!("{}#{}:{before:?}", node.id, attempt.number));
        assert!(cx.deadline().is_some());
        assert_eq!(cx.service().unwrap().as_str(), "greeter");
        async move { next.run(request).await }
    });
    let client = twice(&recording).wrap_call(wrapper).build().unwrap();
    call(&client).await.unwrap();
    assert_eq!(recording.diary.count("n0#0:None"), 1);
    assert_eq!(recording.diary.count("n1#1:Some(Unavailable)"), 1);
}

#[tokio::test]
async fn an_error_that_a_call_wrapper_returns_is_what_mark_and_predicate_see() {
    let recording = Recording::of(1);
    let judged = recording.diary.clone();
    let refusing = |_, _: Request<Body>, _: Next| async {
        Err::<Response<_>, _>(Error::from(Status::resource_exhausted("not now")))
    };
    let options = CallOptions::new().retry(move |cx: RetryContext<'_>| {
        judged.write(format!("retry:{:?}", cx.error.unwrap().code()));
        Ok(false)
    });
    let client = scripted(&recording, |_| async { Ok(greeting("n0")) });
    let client = client.wrap_call(from_fn(refusing)).options(options);
    let status = call(&client.build().unwrap()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), "not now");
    let expected = "select:greeter next:n0 mark:n0:failed retry:ResourceExhausted";
    assert_eq!(recording.diary.text(), expected);
}

#[tokio::test]
async fn a_call_wrapper_that_turns_a_failure_into_a_success_marks_a_success() {
    let recording = Recording::of(1);
    let forgiving = |_, request: Request<Body>, next: Next| async move {
        let answer: Answer = next.run(request).await;
        answer.or_else(|error| {
            assert_eq!((error.kind(), error.code()), (Kind::Status, Code::NotFound));
            Ok(greeting("a cache"))
        })
    };
    let client = scripted(&recording, |_| async {
        Ok(failing(Status::not_found("x")))
    });
    let client = client.wrap_call(from_fn(forgiving)).build().unwrap();
    let reply = call(&client).await.unwrap();
    assert_eq!(reply.node, "a cache");
    assert_eq!(recording.diary.text(), "select:greeter next:n0 mark:n0:ok");
}

#[tokio::test]
async fn a_call_wrapper_may_replace_the_node_and_the_mark_goes_to_the_one_that_was_picked() {
    let recording = Recording::of(1);
    let elsewhere = Arc::clone(&nodes(8)[7]);
    let detour = from_fn(move |_, mut request: Request<Body>, next: Next| {
        Notes::of_mut(&mut request).set_node(Arc::clone(&elsewhere));
        async move { next.run(request).await }
    });
    let client = scripted(&recording, |request| async move {
        Ok(greeting(node_of(&request)))
    });
    let client = client.wrap_call(detour).build().unwrap();
    let reply = call(&client).await.unwrap();
    assert_eq!(reply.node, "n7");
    assert_eq!(recording.diary.text(), "select:greeter next:n0 mark:n0:ok");
}

#[tokio::test]
async fn a_call_wrapper_may_send_another_body_in_the_place_of_the_one_it_got() {
    let recording = Recording::of(1);
    let client = scripted(&recording, |request| async move {
        let node = node_of(&request);
        let sent = request.into_body().collect().await.unwrap().to_bytes();
        Ok(greeting(format!("{node}: {}", sent.len())))
    });
    let longer = from_fn(|_, request: Request<Body>, next: Next| async move {
        let other = Bytes::from_static(&[0; 99]);
        next.run(request.map(|body| body.replaced_by(other))).await
    });
    let reply = call(&client.wrap_call(longer).build().unwrap()).await;
    assert_eq!(reply.unwrap().node, "n0: 99");
}

#[tokio::test]
async fn a_call_wrapper_that_makes_the_body_anew_is_told_what_that_loses() {
    let recording = Recording::of(1);
    let client = scripted(&recording, |_| async { unreachable!("it has no node") });
    let careless = from_fn(|_, request: Request<Body>, next: Next| async move {
        let other = Body::from(Bytes::from_static(b"other"));
        next.run(request.map(|_| other)).await
    });
    let client = client.wrap_call(careless).build().unwrap();
    let status = call(&client).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(status.message().contains("Body::replaced_by"), "{status:?}");
}

#[tokio::test]
async fn a_client_wrapper_may_answer_by_itself_and_nothing_inside_runs() {
    let recording = Recording::of(1);
    let cached = |_, _: Request<Body>, _: Next| async { Ok::<_, Error>(greeting("a cache")) };
    let client = scripted(&recording, |_| async { unreachable!("no attempt is made") });
    let client = client.wrap_client(from_fn(cached)).build().unwrap();
    let reply = call(&client).await.unwrap();
    assert_eq!(reply.node, "a cache");
    assert_eq!(recording.diary.text(), "");
}

#[tokio::test]
async fn a_wrapper_may_run_its_inside_twice() {
    let reached = Arc::new(AtomicBool::new(false));
    let before = Arc::clone(&reached);
    let recording = Recording::of(2);
    let client = scripted(&recording, move |_| {
        let again = before.swap(true, SeqCst);
        async move {
            match again {
                true => Ok(greeting("n1")),
                false => Ok(failing(Status::aborted("race"))),
            }
        }
    });
    let stubborn = |_, request: Request<Body>, next: Next| async move {
        let (head, body) = request.into_parts();
        let again = Request::from_parts(head.clone(), body.replay().unwrap());
        let first = next.run(Request::from_parts(head, body));
        first.or_else(|_| next.run(again)).await
    };
    let client = client.wrap_client(from_fn(stubborn)).build().unwrap();
    call(&client).await.unwrap();
    let expected = "select:greeter next:n0 mark:n0:failed select:greeter next:n0 mark:n0:ok";
    assert_eq!(recording.diary.text(), expected);
}
