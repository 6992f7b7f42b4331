//! Wrappers, policies and selectors of somebody else's: a panic of theirs ends their own call.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use futures_util::FutureExt;
use http::Request;
use tonic::{Code, Status};
use tower::{Layer, Service, limit::ConcurrencyLimitLayer};
use tower_micro::{
    Body, CallOptions, Client, Context, Error, Kind, Next, RetryContext, SelectError, Selector,
    ServiceName, Static, Strategy,
    crates::selector::{Candidates, SelectOptions, Selection, Turn},
    from_fn,
};

use super::{happy, says, with};
use crate::support::{
    Fleet, Recording, call, failing, greeter, greeting, hello, scripted, soon, wired,
};

/// A layer whose service panics as soon as it is called, or asked whether it is ready, while it is told to.
#[derive(Clone)]
struct Panicking {
    armed: Arc<AtomicBool>,
    when_asked: bool,
}

#[derive(Clone)]
struct PanickingService<S> {
    inner: S,
    layer: Panicking,
}

impl Panicking {
    fn strike(&self, asked: bool) {
        assert!(self.when_asked != asked || !self.armed.load(SeqCst), "boo");
    }
}

impl<S> Layer<S> for Panicking {
    type Service = PanickingService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let layer = self.clone();
        PanickingService { inner, layer }
    }
}

impl<S: Service<R>, R> Service<R> for PanickingService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.layer.strike(true);
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.layer.strike(false);
        self.inner.call(request)
    }
}

/// A panic ends its call as INTERNAL; the next call works, and nothing is held.
async fn survives(recording: &Recording, client: Client, armed: &AtomicBool) {
    let mut greeter = greeter(&client);
    for _ in 0..3 {
        armed.store(true, SeqCst);
        let status = soon(greeter.say_hello(hello())).await.unwrap_err();
        says(&status, Code::Internal, &["a wrapper panicked: boo"]);
        assert_eq!(Error::from(status).kind(), Kind::Panic);
        assert_eq!(recording.in_flight(), 0);
        armed.store(false, SeqCst);
        // One that is not the first to be asked again.
        soon(call(&client)).await.unwrap();
        soon(greeter.say_hello(hello())).await.unwrap();
    }
    let entries = recording.diary.entries();
    let picked = entries.iter().filter(|entry| entry.starts_with("next:"));
    let marked = entries.iter().filter(|entry| entry.starts_with("mark:"));
    assert_eq!(picked.count(), marked.count(), "{entries:?}");
}

/// A wrapper that lets in nobody while something is held.
fn one_at_a_time() -> ConcurrencyLimitLayer {
    ConcurrencyLimitLayer::new(1)
}

#[tokio::test]
async fn a_layer_that_panics_ends_its_own_call_only() {
    for when_asked in [false, true] {
        let layer = || {
            let armed = Arc::default();
            Panicking { armed, when_asked }
        };
        let (around_calls, around_attempts) = (layer(), layer());
        let recording = Recording::of(1);
        let client = happy(&recording).wrap_client((around_calls.clone(), one_at_a_time()));
        survives(&recording, client.build().unwrap(), &around_calls.armed).await;

        let recording = Recording::of(1);
        let client = happy(&recording).wrap_call((around_attempts.clone(), one_at_a_time()));
        survives(&recording, client.build().unwrap(), &around_attempts.armed).await;
    }
}

#[tokio::test]
async fn a_function_that_panics_before_or_after_its_inside_ends_its_own_call_only() {
    for after in [false, true] {
        let armed: Arc<AtomicBool> = Arc::default();
        let function = {
            let armed = Arc::clone(&armed);
            move |_: Context, request: Request<Body>, next: Next| {
                let armed = Arc::clone(&armed);
                async move {
                    let strikes = || armed.load(SeqCst);
                    assert!(after || !strikes(), "boo");
                    let answer = next.run(request).await;
                    assert!(!after || !strikes(), "boo");
                    answer
                }
            }
        };
        let recording = Recording::of(1);
        let client = happy(&recording).wrap(from_fn(function.clone()));
        survives(&recording, client.build().unwrap(), &armed).await;

        let recording = Recording::of(1);
        let client = happy(&recording).wrap_call(from_fn(function.clone()));
        survives(&recording, client.build().unwrap(), &armed).await;

        let recording = Recording::of(1);
        let client = happy(&recording).options(CallOptions::new().call_wrapper(function));
        survives(&recording, client.build().unwrap(), &armed).await;
    }
}

#[tokio::test]
async fn policies_that_panic_end_their_own_call_only() {
    let armed: Arc<AtomicBool> = Arc::default();
    let strike = {
        let armed = Arc::clone(&armed);
        move || assert!(!armed.load(SeqCst), "boo")
    };
    let striking = strike.clone();
    let backoff = CallOptions::new().backoff(move |_: RetryContext<'_>| {
        striking();
        Ok(Duration::ZERO)
    });
    let recording = Recording::of(1);
    let client = happy(&recording).options(backoff);
    survives(&recording, client.build().unwrap(), &armed).await;

    let predicate = CallOptions::new().retry(move |_: RetryContext<'_>| {
        strike();
        Ok(true)
    });
    let recording = Recording::of(1);
    let first = AtomicBool::new(false);
    let every_other = scripted(&recording, move |_| {
        let fails = !first.fetch_xor(true, SeqCst);
        async move {
            match fails {
                true => Ok(failing(Status::unavailable("busy"))),
                false => Ok(greeting("n0")),
            }
        }
    });
    let client = every_other.options(predicate.retries(1)).build().unwrap();
    armed.store(true, SeqCst);
    says(&call(&client).await.unwrap_err(), Code::Internal, &["boo"]);
    armed.store(false, SeqCst);
    call(&client).await.unwrap();
    assert_eq!(recording.in_flight(), 0);
}

#[tokio::test]
async fn a_selector_that_panics_ends_its_own_call_only() {
    #[derive(Debug)]
    struct Dizzy(Recording, Arc<AtomicBool>);
    impl Selector for Dizzy {
        fn select(&self, service: &ServiceName, options: &SelectOptions) -> Selection {
            assert!(!self.1.load(SeqCst), "boo");
            self.0.select(service, options)
        }
        fn name(&self) -> &'static str {
            "dizzy"
        }
    }
    let armed: Arc<AtomicBool> = Arc::default();
    let recording = Recording::of(1);
    let dizzy = Dizzy(recording.clone(), Arc::clone(&armed));
    let client = happy(&recording).selector(dizzy).build().unwrap();
    for strikes in [true, false, true, false] {
        armed.store(strikes, SeqCst);
        let answer = call(&client).await;
        match strikes {
            true => says(&answer.unwrap_err(), Code::Internal, &["panicked: boo"]),
            false => assert_eq!(answer.unwrap().node, "n0"),
        }
    }
}

#[tokio::test]
async fn a_strategy_that_answers_out_of_range_has_named_nobody() {
    #[derive(Debug)]
    struct Beyond;
    impl Strategy for Beyond {
        fn pick(&self, nodes: &Candidates, _: &Turn) -> Option<usize> {
            Some(nodes.len() + 1000)
        }
        fn name(&self) -> &'static str {
            "beyond"
        }
    }
    let fleet = Fleet::of(2).await;
    let client = wired().registry(fleet.registry()).build().unwrap();
    let status = with(&client, CallOptions::new().strategy(Beyond)).await;
    says(
        &status,
        Code::Unavailable,
        &["no node available", "service greeter"],
    );
}

#[tokio::test]
async fn a_selector_that_fails_with_something_of_its_own_is_told_with_it() {
    #[derive(Debug)]
    struct Moody;
    impl Selector for Moody {
        fn select(&self, _: &ServiceName, _: &SelectOptions) -> Selection {
            Selection::Ready(Err(SelectError::other("the moon is full")))
        }
        fn name(&self) -> &'static str {
            "moody"
        }
    }
    let client = happy(&Recording::of(1)).selector(Moody).build().unwrap();
    let status = call(&client).await.unwrap_err();
    says(
        &status,
        Code::Unavailable,
        &["the moon is full", "service greeter"],
    );
}

/// Its registry has to be waited for, with a timer.
#[test]
fn a_call_outside_of_a_runtime_says_what_it_lacks() {
    let nodes = Static::addresses("greeter", ["127.0.0.1:1"]).unwrap();
    let client = Client::builder().registry(nodes).build().unwrap();
    let mut greeter = greeter(&client);
    let answer = greeter.say_hello(hello()).now_or_never();
    let status = answer.unwrap().unwrap_err();
    says(&status, Code::Internal, &["await the call inside of one"]);
}
