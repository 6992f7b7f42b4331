use std::sync::Mutex;
use std::task::{Context, Wake, Waker};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_watcher_that_lags_gets_the_whole_set_and_goes_on_from_there() {
    let memory = Memory::new();
    let mut changes = settled(&memory).await;
    for round in 0..=LONGEST_LOG {
        register(
            &memory,
            &greeter("1", &["a"]).with_metadata("round", round.to_string()),
        )
        .await;
    }
    let last = greeter("1", &["a"]).with_metadata("round", LONGEST_LOG.to_string());
    assert_eq!(next(&mut changes).await, Change::Reset(vec![last]));
    register(&memory, &greeter("2", &["b"])).await;
    assert_eq!(next(&mut changes).await, Change::Put(greeter("2", &["b"])));
    assert!(is_quiet(&mut changes));
}

#[tokio::test(start_paused = true)]
async fn a_watcher_just_short_of_lagging_sees_every_change() {
    let memory = Memory::new();
    let mut changes = settled(&memory).await;
    for round in 0..LONGEST_LOG {
        register(
            &memory,
            &greeter("1", &["a"]).with_metadata("round", round.to_string()),
        )
        .await;
    }
    for round in 0..LONGEST_LOG {
        let put = greeter("1", &["a"]).with_metadata("round", round.to_string());
        assert_eq!(next(&mut changes).await, Change::Put(put));
    }
    assert!(is_quiet(&mut changes));
}

#[tokio::test(start_paused = true)]
async fn two_watchers_see_the_same() {
    let memory = Memory::new();
    let (mut one, mut two) = (settled(&memory).await, settled(&memory.clone()).await);
    register_for(&memory, &greeter("1", &["a"]), 1).await;
    for expected in [
        Change::Put(greeter("1", &["a"])),
        Change::Delete(greeter("1", &["a"])),
    ] {
        assert_eq!(next(&mut one).await, expected);
        assert_eq!(next(&mut two).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_watcher_hears_nothing_of_other_services() {
    let memory = Memory::new();
    let mut changes = settled(&memory).await;
    register(
        &memory,
        &Service::new("other", "1").with_node(Node::new("a", "h:1")),
    )
    .await;
    assert!(is_quiet(&mut changes));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_watcher_leaves_nothing() {
    let memory = Memory::new();
    let unread = watch(&memory).await;
    let mut waiting = settled(&memory).await;
    assert!(is_quiet(&mut waiting));
    assert_eq!(memory.store.topics(), 1);
    drop((unread, waiting));
    assert_eq!(memory.store.topics(), 0);
    assert_eq!(Arc::strong_count(&memory.store), 1);
}

#[tokio::test(start_paused = true)]
async fn the_log_is_gone_with_the_last_watcher() {
    let memory = Memory::new();
    let changes = settled(&memory).await;
    register(&memory, &greeter("1", &["a"])).await;
    drop(changes);
    memory.store.visit(&name(), |topic| {
        assert!(matches!(topic.read(Some(0)), Some((Change::Reset(_), 1))));
    });
}

/// Asks the registry as soon as it is woken, on the thread of whoever wakes it.
struct Asks(Memory, Mutex<Vec<ServiceName>>);

impl Wake for Asks {
    fn wake(self: Arc<Self>) {
        let names = self.0.services().now_or_never().unwrap().unwrap();
        *self.1.lock().unwrap() = names;
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_woken_may_ask_at_once() {
    let memory = Memory::new();
    let asks = Arc::new(Asks(memory.clone(), Mutex::default()));
    let waker = Waker::from(Arc::clone(&asks));
    let mut changes = settled(&memory).await;
    let mut next = || changes.poll_next_unpin(&mut Context::from_waker(&waker));
    assert!(next().is_pending());
    register_for(&memory, &greeter("1", &["a"]), 10).await;
    assert_eq!(*asks.1.lock().unwrap(), [name()]);
    while next().is_ready() {}
    advance(SECOND * 11).await;
    assert_eq!(memory.services().await.unwrap(), []);
    assert_eq!(*asks.1.lock().unwrap(), []);
}
