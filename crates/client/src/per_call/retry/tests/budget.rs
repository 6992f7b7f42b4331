//! What retries are paid from.

use super::*;

/// Counts what is paid in and taken out, and has so much left.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) deposits: AtomicU32,
    pub(super) withdrawals: AtomicU32,
    pub(super) left: AtomicU32,
}

impl Budget for Counted {
    fn deposit(&self) {
        self.deposits.fetch_add(1, SeqCst);
    }

    fn withdraw(&self) -> bool {
        self.withdrawals.fetch_add(1, SeqCst);
        self.left
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
            .is_ok()
    }
}

#[tokio::test]
async fn retries_stop_when_the_budget_is_spent() {
    let budget = Arc::new(Counted::default());
    budget.left.store(1, SeqCst);
    let options = quick().budget(Arc::<Counted>::clone(&budget));
    let (answer, attempts) = call(options, once(), |_, _| async { Err(down()) }).await;
    assert!(answer.is_err());
    assert_eq!(attempts, 2);
}

#[tokio::test]
async fn the_budget_is_asked_for_retries_only_and_paid_by_successes_only() {
    let budget = Arc::new(Counted::default());
    let options = || quick().budget(Arc::<Counted>::clone(&budget));
    call(options(), once(), |_, _| async {
        Ok(Response::new(ResponseBody::empty()))
    })
    .await
    .0
    .unwrap();
    let node = |_, _| async { Err(Error::answered(Status::not_found("x"), Dialect::Grpc)) };
    call(options(), once(), node).await.0.unwrap_err();
    assert_eq!(budget.deposits.load(SeqCst), 1);
    assert_eq!(budget.withdrawals.load(SeqCst), 0);
}

/// Is told when calls began, and otherwise that they succeeded.
#[derive(Default)]
struct Told(Mutex<Vec<Option<Instant>>>);

impl Budget for Told {
    fn deposit(&self) {
        self.0.lock().unwrap().push(None);
    }

    fn deposit_since(&self, began: Instant) {
        self.0.lock().unwrap().push(Some(began));
    }

    fn withdraw(&self) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_told_when_a_call_with_a_deadline_began() {
    let budget = Arc::new(Told::default());
    let options = quick().budget(Arc::<Told>::clone(&budget));
    let options = Arc::new(options);
    let slow = service_fn(|_: Request<Body>| async {
        sleep(Duration::from_secs(3)).await;
        Ok::<_, Error>(Response::new(ResponseBody::empty()))
    });
    let began = Instant::now();
    let deadlines = [Deadline::after(Duration::from_secs(9), began)].map(Some);
    for deadline in deadlines.into_iter().chain([None]) {
        let mut request = request(once());
        let notes = Notes::of_mut(&mut request);
        notes.set_options(Arc::clone(&options), deadline);
        let retry = RetryLayer::new().layer(slow);
        retry.oneshot(request).await.unwrap();
    }
    assert_eq!(*budget.0.lock().unwrap(), [Some(began), None]);
}
