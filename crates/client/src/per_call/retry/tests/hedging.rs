//! Sent to two nodes at once.

use std::{
    future::pending,
    task::{Context, Poll},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::load_shed::error::Overloaded;
use tower_micro_call::Hedge;
use tower_service::Service;

use super::*;
use crate::Preset;

const DELAY: Duration = Duration::from_millis(50);

fn hedged() -> CallOptions {
    quick().idempotent(true).hedge(Hedge::after(DELAY))
}

/// After how many milliseconds an attempt ends, and with what.
type End = (u64, fn() -> Answer);

/// How a call goes if attempt `n` ends as `ends[n]` says; the last one counts for all that follow.
async fn timed(options: CallOptions, ends: &'static [End]) -> (Answer, u32, Duration) {
    let began = Instant::now();
    let node = move |attempt: u32, _| async move {
        let (millis, answer) = ends[(attempt as usize).min(ends.len() - 1)];
        sleep(Duration::from_millis(millis)).await;
        answer()
    };
    let (answer, attempts) = call(options, once(), node).await;
    (answer, attempts, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_call_that_may_send_no_more_beside_is_woken_by_no_clock() {
    let attempts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&attempts);
    let silent = service_fn(move |_: Request<Body>| {
        counted.fetch_add(1, SeqCst);
        pending::<Answer>()
    });
    let many = hedged().hedge(Hedge::after(DELAY).at_most(u32::MAX));
    let retry = RetryLayer::with_options(many.retries(2)).layer(silent);
    let mut call = tokio_test::task::spawn(retry.oneshot(request(once())));
    for _ in 0..6 {
        tokio_test::assert_pending!(call.poll());
        tokio::time::advance(DELAY * 2).await;
    }
    assert_eq!(attempts.load(SeqCst), 3);
    assert!(!call.is_woken());
}

fn busy() -> Answer {
    Err(unavailable())
}

fn missing() -> Answer {
    Err(Error::answered(Status::not_found("x"), Dialect::Grpc))
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_answered_in_time_is_sent_once() {
    let (answer, sent, took) = timed(hedged(), &[(49, good)]).await;
    assert!(answer.is_ok());
    assert_eq!((sent, took.as_millis()), (1, 49));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_is_sent_beside_the_first_and_the_first_answer_counts() {
    let (answer, sent, took) = timed(hedged(), &[(9_000, busy), (5, good)]).await;
    assert!(answer.is_ok());
    assert_eq!((sent, took.as_millis()), (2, 55));
    let (answer, sent, took) = timed(hedged(), &[(60, good), (500, busy)]).await;
    assert!(answer.is_ok());
    assert_eq!((sent, took.as_millis()), (2, 60));
}

#[tokio::test(start_paused = true)]
async fn the_attempt_beside_knows_its_number_and_that_it_is_one() {
    let node = |sent, request: Request<Body>| async move {
        let attempt = Notes::of(&request).unwrap().attempt().clone();
        assert_eq!((attempt.number, attempt.left), (sent, 2 - sent));
        assert_eq!(attempt.hedged, sent > 0);
        if sent == 0 { pending().await } else { good() }
    };
    assert!(call(hedged(), once(), node).await.0.is_ok());
}

#[tokio::test(start_paused = true)]
async fn whoever_loses_is_let_go_of() {
    struct Under(Arc<AtomicU32>);
    impl Drop for Under {
        fn drop(&mut self) {
            self.0.fetch_sub(1, SeqCst);
        }
    }
    let count = Arc::new(AtomicU32::new(0));
    let under_way = Arc::clone(&count);
    let node = move |attempt, _| {
        under_way.fetch_add(1, SeqCst);
        let under = Under(Arc::clone(&under_way));
        async move {
            let _under = under;
            if attempt == 0 {
                pending().await
            } else {
                good()
            }
        }
    };
    assert!(call(hedged(), once(), node).await.0.is_ok());
    assert_eq!(count.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn only_what_may_be_done_twice_and_is_all_there_is_sent_twice() {
    let slow: &[End] = &[(200, good)];
    for options in [
        hedged().idempotent(false),
        hedged().streaming(true),
        hedged().retries(0),
    ] {
        let (answer, sent, _) = timed(options, slow).await;
        assert!(answer.is_ok());
        assert_eq!(sent, 1);
    }
    let node = |_, _| async {
        sleep(Duration::from_millis(200)).await;
        good()
    };
    assert_eq!(call(hedged(), talk(), node).await.1, 1);
}

#[tokio::test(start_paused = true)]
async fn no_more_are_sent_than_is_said_or_than_there_are_attempts() {
    let slow: &[End] = &[(1_000, good)];
    let many = |most| hedged().hedge(Hedge::after(DELAY).at_most(most));
    assert_eq!(timed(many(1), slow).await.1, 2);
    assert_eq!(timed(many(2), slow).await.1, 3);
    assert_eq!(timed(many(9), slow).await.1, 3);
    assert_eq!(timed(many(9).retries(5), slow).await.1, 6);
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_asked_and_one_success_paid_for() {
    let budget = Arc::new(Counted::default());
    let options = || hedged().budget(Arc::<Counted>::clone(&budget));
    let ends: &[End] = &[(200, good), (500, good)];
    assert_eq!(timed(options(), ends).await.1, 1);
    budget.left.store(1, SeqCst);
    assert_eq!(timed(options(), ends).await.1, 2);
    assert_eq!(budget.deposits.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_waited_out_while_another_attempt_is_under_way() {
    // The first fails, and its retry too; what was sent beside answers.
    let ends: &[End] = &[(60, busy), (100, good), (10, busy)];
    let (answer, sent, took) = timed(hedged(), ends).await;
    assert!(answer.is_ok());
    assert_eq!((sent, took.as_millis()), (3, 150));
    // What was sent beside fails; the first answers.
    let ends: &[End] = &[(150, good), (10, busy)];
    assert!(timed(hedged(), ends).await.0.is_ok());
}

#[tokio::test(start_paused = true)]
async fn so_is_a_retry_for_which_there_is_no_budget() {
    let budget = Arc::new(Counted::default());
    budget.left.store(1, SeqCst);
    let options = hedged().budget(Arc::<Counted>::clone(&budget));
    // What is sent beside takes the last of it before the first fails.
    let (answer, sent, took) = timed(options, &[(60, busy), (100, good)]).await;
    assert!(answer.is_ok());
    assert_eq!((sent, took.as_millis()), (2, 150));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_final_ends_the_call_whoever_gave_it() {
    let (answer, sent, took) = timed(hedged(), &[(500, good), (10, missing)]).await;
    assert_eq!(answer.unwrap_err().code(), Code::NotFound);
    assert_eq!((sent, took.as_millis()), (2, 60));
    let (answer, _, took) = timed(hedged(), &[(70, missing), (500, good)]).await;
    assert_eq!(answer.unwrap_err().code(), Code::NotFound);
    assert_eq!(took.as_millis(), 70);
}

#[tokio::test(start_paused = true)]
async fn if_all_fail_the_call_fails_and_tells_how_many_there_were() {
    let options = hedged().retries(1);
    let (answer, sent, took) = timed(options, &[(60, busy), (100, busy)]).await;
    let error = answer.unwrap_err();
    assert_eq!((error.code(), error.attempts()), (Code::Unavailable, 2));
    assert_eq!((sent, took.as_millis()), (2, 150));
}

// What was sent beside, and what was refused by an empty budget before it.
#[tokio::test(start_paused = true)]
async fn the_last_failure_is_the_result_though_it_was_beside() {
    fn last() -> Answer {
        let full = Status::resource_exhausted("full");
        Err(Error::answered(full, Dialect::Grpc))
    }
    let budget = || {
        let budget = Arc::new(Counted::default());
        budget.left.store(1, SeqCst);
        budget
    };
    let always = |_: RetryContext<'_>| Ok(true);
    for options in [hedged().retries(1), hedged().budget(budget())] {
        let ends: &[End] = &[(60, busy), (100, last)];
        let (answer, sent, took) = timed(options.retry(always), ends).await;
        let error = answer.unwrap_err();
        assert_eq!(
            (error.code(), error.attempts()),
            (Code::ResourceExhausted, 2)
        );
        assert_eq!(error.previous().unwrap().text(), "busy");
        assert_eq!((sent, took.as_millis()), (2, 150));
    }
}

#[tokio::test(start_paused = true)]
async fn of_several_that_fail_beside_the_last_two_are_told() {
    fn named(text: &'static str) -> Answer {
        let full = Status::resource_exhausted(text);
        Err(Error::answered(full, Dialect::Grpc))
    }
    let always = |_: RetryContext<'_>| Ok(true);
    let options = hedged().hedge(Hedge::after(DELAY).at_most(2)).retries(2);
    let ends: &[End] = &[(120, busy), (100, || named("one")), (100, || named("two"))];
    let (answer, sent, _) = timed(options.retry(always), ends).await;
    let error = answer.unwrap_err();
    assert_eq!((sent, error.attempts(), error.text()), (3, 3, "two"));
    assert_eq!(error.previous().unwrap().text(), "one");
}

/// Has a place for each request that it has said it will take, and counts them.
struct Places<S> {
    inner: S,
    free: Arc<Semaphore>,
    own: Option<OwnedSemaphorePermit>,
}

impl<S: Clone> Clone for Places<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            free: Arc::clone(&self.free),
            own: None,
        }
    }
}

impl<S: Service<R>, R> Service<R> for Places<S>
where
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let free = || Arc::clone(&self.free).try_acquire_owned().unwrap();
        self.own.get_or_insert_with(free);
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (place, answer) = (self.own.take(), self.inner.call(request));
        Box::pin(async move {
            let _place = place;
            answer.await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_is_not_paid_for_gives_its_place_back_while_others_are_waited_for() {
    let budget = Arc::new(Counted::default());
    budget.left.store(1, SeqCst);
    let number = Arc::new(AtomicU32::new(0));
    let node = service_fn(move |_: Request<Body>| {
        let first = number.fetch_add(1, SeqCst) == 0;
        async move {
            sleep(if first { DELAY } else { DELAY * 10 } + DELAY / 2).await;
            busy()
        }
    });
    let free = Arc::new(Semaphore::new(3));
    let places = Places {
        inner: node,
        free: Arc::clone(&free),
        own: None,
    };
    let retry = RetryLayer::with_options(hedged().budget(budget)).layer(places);
    let mut call = tokio_test::task::spawn(retry.oneshot(request(once())));
    for _ in 0..6 {
        tokio_test::assert_pending!(call.poll());
        tokio::time::advance(DELAY / 2).await;
    }
    tokio_test::assert_pending!(call.poll());
    assert_eq!(free.available_permits(), 2, "the one beside has its place");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_wants_no_retry_gets_no_company() {
    fn stop() -> Answer {
        Err(pushed_back("-1"))
    }
    let options = hedged().hedge(Hedge::after(DELAY).at_most(2));
    let (answer, sent, _) = timed(options, &[(500, good), (10, stop)]).await;
    assert!(answer.is_ok());
    assert_eq!(sent, 2);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_names_a_pause_has_it_from_all_attempts() {
    fn later() -> Answer {
        Err(pushed_back("1000"))
    }
    // The first one fails, and none is sent beside the one that follows before that is.
    let (answer, sent, took) = timed(hedged(), &[(10, later), (5, good)]).await;
    assert!(answer.is_ok());
    assert_eq!((sent, took.as_millis()), (2, 10 + 1000 + 5));
    // One beside is told to wait while another one waits for its turn.
    let backoff = |_: RetryContext<'_>| Ok(DELAY);
    let ends: &[End] = &[(55, busy), (15, later), (5, good)];
    let (_, sent, took) = timed(hedged().backoff(backoff), ends).await;
    assert_eq!((sent, took.as_millis()), (3, 50 + 50 + 15 + 1000 + 5));
}

#[tokio::test(start_paused = true)]
async fn none_is_sent_beside_at_the_moment_that_a_node_has_named_for_the_next() {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let (told, began) = (Arc::clone(&sent), Instant::now());
    let node = move |number, _: Request<Body>| {
        told.lock().unwrap().push(began.elapsed().as_millis());
        async move {
            let (millis, answer) = match number {
                0 => (55, busy()),
                1 => (15, Err(pushed_back("1000"))),
                _ => (500, good()),
            };
            sleep(Duration::from_millis(millis)).await;
            answer
        }
    };
    let options = hedged().hedge(Hedge::after(DELAY).at_most(2)).retries(3);
    let options = options.backoff(|cx: RetryContext<'_>| Ok(DELAY * cx.attempt.min(1)));
    call(options, once(), node).await.0.unwrap();
    assert_eq!(*sent.lock().unwrap(), [0, 50, 1065, 1115]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_is_longer_than_the_call_ends_it_whoever_is_told_of_it() {
    let node = service_fn(|request: Request<Body>| async move {
        let is_first = Notes::of(&request).unwrap().attempt().number == 0;
        sleep(DELAY + DELAY / 2).await;
        if is_first {
            busy()
        } else {
            Err(pushed_back("9000"))
        }
    });
    let backoff = |cx: RetryContext<'_>| Ok(DELAY * 10 * cx.attempt.min(1));
    let options = Preset::Standard.options().merged(hedged().backoff(backoff));
    let retry = RetryLayer::new().layer(node);
    let (now, second) = (Instant::now(), Duration::from_secs(1));
    let deadline = Deadline::after(second, now);
    let mut request = request(once());
    Notes::of_mut(&mut request).set_options(Arc::new(options), Some(deadline));
    let error = retry.oneshot(request).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    assert!(now.elapsed() < second);
}

#[tokio::test(start_paused = true)]
async fn a_delay_that_never_ends_is_no_reason_to_panic() {
    let options = hedged().hedge(Hedge::after(Duration::MAX));
    let ends: &[End] = &[(10, || Err(pushed_back("5"))), (5, good)];
    assert!(timed(options, ends).await.0.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_has_waited_knows_how_many_may_follow_it_now() {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&sent);
    let node = move |number, request: Request<Body>| {
        let attempt = Notes::of(&request).unwrap().attempt();
        told.lock().unwrap().push((attempt.number, attempt.left));
        async move {
            match number {
                0 => sleep(DELAY - DELAY / 5).await,
                _ => sleep(DELAY * 10).await,
            }
            if number == 0 { busy() } else { good() }
        }
    };
    let backoff = |cx: RetryContext<'_>| Ok(DELAY * cx.attempt.min(1));
    call(hedged().backoff(backoff), once(), node)
        .await
        .0
        .unwrap();
    assert_eq!(*sent.lock().unwrap(), [(0, 2), (2, 0), (1, 0)]);
}

#[tokio::test(start_paused = true)]
async fn the_delay_is_learned_from_the_calls_before() {
    let options = quick().idempotent(true).hedge(Hedge::after_percentile(0.9));
    for _ in 0..100 {
        assert_eq!(timed(options.clone(), &[(10, good)]).await.1, 1);
    }
    let (_, sent, took) = timed(options, &[(5_000, good), (1, good)]).await;
    assert_eq!(sent, 2);
    assert!((11..=14).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_wants_no_retry_does_not_end_what_is_under_way_beside() {
    fn stop() -> Answer {
        Err(pushed_back("-1"))
    }
    let options = hedged().hedge(Hedge::after(DELAY).at_most(2)).retries(5);
    let (answer, sent, took) = timed(options.clone(), &[(60, stop), (100, good)]).await;
    assert!(answer.is_ok());
    assert_eq!((sent, took.as_millis()), (2, 150));
    // None is sent after it either, in turn or beside.
    let ends: &[End] = &[(80, busy), (10, stop), (5, good)];
    let (answer, sent, took) = timed(options.clone(), ends).await;
    assert!(answer.is_err());
    assert_eq!((sent, took.as_millis()), (2, 80));
    // Nor is one waited for that was due.
    let options = options.backoff(five_seconds);
    let (answer, sent, took) = timed(options, &[(60, busy), (20, stop), (5, good)]).await;
    assert_eq!(answer.unwrap_err().attempts(), 2);
    assert_eq!((sent, took.as_millis()), (2, 70));
}

/// Between attempts.
fn five_seconds(cx: RetryContext<'_>) -> Result<Duration, Error> {
    Ok(Duration::from_secs(if cx.attempt == 0 { 0 } else { 5 }))
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_was_not_sent_is_not_counted() {
    let options = hedged().backoff(five_seconds);
    let (answer, sent, _) = timed(options.clone(), &[(60, busy), (100, good)]).await;
    assert_eq!((sent, answer.unwrap().into_body().attempts()), (2, 2));
    let (answer, sent, _) = timed(options, &[(60, busy), (100, missing)]).await;
    assert_eq!((sent, answer.unwrap_err().attempts()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn what_never_left_ends_nothing_that_is_under_way() {
    fn unsent() -> Answer {
        Err(down())
    }
    fn full() -> Answer {
        Err(Error::overload(1, Dialect::Grpc))
    }
    // What tower's `LoadShed` says.
    fn shed() -> Answer {
        Err(Error::transport(Overloaded::new()))
    }
    let strict = || hedged().retry(|_: RetryContext<'_>| Ok(false));
    let four: [&[End]; 4] = [
        &[(100, good), (5, unsent)],
        &[(100, good), (5, full)],
        &[(100, good), (5, shed)],
        &[(60, unsent), (50, good)],
    ];
    for ends in four {
        let (answer, sent, took) = timed(strict(), ends).await;
        assert!(answer.is_ok(), "{answer:?}");
        assert_eq!((sent, took.as_millis()), (2, 100));
    }
    let (answer, sent, took) = timed(strict(), &[(60, unsent), (50, unsent)]).await;
    assert_eq!(answer.unwrap_err().attempts(), 2);
    assert_eq!((sent, took.as_millis()), (2, 100));
    let (_, sent, took) = timed(strict(), &[(40, unsent)]).await;
    assert_eq!((sent, took.as_millis()), (1, 40));
}

#[tokio::test(start_paused = true)]
async fn the_predicate_is_told_which_attempt_has_ended() {
    async fn ended(ends: &'static [End]) -> Vec<u32> {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&asked);
        let options = hedged().retry(move |cx: RetryContext<'_>| {
            told.lock().unwrap().push(cx.attempt);
            Ok(true)
        });
        timed(options, ends).await.0.unwrap_err();
        asked.lock().unwrap().clone()
    }
    // The first fails while another is under way beside it, and so does what follows it.
    assert_eq!(
        ended(&[(60, busy), (100, busy), (10, busy)]).await,
        [0, 2, 1]
    );
    // One beside fails after the first was repeated.
    assert_eq!(
        ended(&[(60, busy), (30, busy), (100, busy)]).await,
        [0, 1, 2]
    );
}
