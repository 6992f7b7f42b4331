//! What no node has seen.

use tower_micro_call::Hedge;

use super::*;

fn unseen(disposition: Disposition) -> Error {
    Error::transport("connection closed").with_disposition(disposition)
}

#[tokio::test(start_paused = true)]
async fn what_never_left_is_sent_again_uncounted_and_free_until_it_leaves() {
    let budget = Arc::new(Counted::default());
    let options = CallOptions::new()
        .retries(1)
        .budget(Arc::<Counted>::clone(&budget));
    let node = |sent, request: Request<Body>| async move {
        let number = Notes::of(&request).unwrap().attempt().number;
        assert_eq!(number, 0);
        match sent {
            0..15 => Err(unseen(Disposition::NeverSent)),
            _ => good(),
        }
    };
    let (answer, sent) = call(options, once(), node).await;
    assert!(answer.is_ok());
    assert_eq!(sent, 16);
    assert_eq!(budget.withdrawals.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_deadline_ends_though_nothing_of_it_ever_leaves() {
    let node = |_, _| async { Err(unseen(Disposition::NeverSent)) };
    let (answer, sent) = call(quick().retries(1), once(), node).await;
    assert_eq!(answer.unwrap_err().attempts(), 2);
    assert_eq!(sent, 16 + 2);
}

#[tokio::test]
async fn what_a_node_refused_unseen_is_sent_once_more_and_then_counted() {
    let node = |_, _| async { Err(unseen(Disposition::Unprocessed)) };
    let (answer, sent) = call(quick().retries(1), once(), node).await;
    assert_eq!(answer.unwrap_err().attempts(), 2);
    assert_eq!(sent, 3);
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_again_is_the_same_attempt_though_another_was_sent_beside_it() {
    let numbers = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&numbers);
    let node = move |sent, request: Request<Body>| {
        let number = Notes::of(&request).unwrap().attempt().number;
        heard.lock().unwrap().push(number);
        async move {
            sleep(Duration::from_millis(60)).await;
            match sent {
                0 => Err(unseen(Disposition::NeverSent)),
                _ => good(),
            }
        }
    };
    let options = quick().idempotent(true);
    let options = options.hedge(Hedge::after(Duration::from_millis(50)));
    assert!(call(options, once(), node).await.0.is_ok());
    assert_eq!(*numbers.lock().unwrap(), [0, 1, 0]);
}
