use super::*;

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_registered_again_vanishes_when_its_time_has_passed() {
    let memory = Memory::new();
    register(&memory, &greeter("1", &["stays"])).await;
    register_for(&memory, &greeter("1", &["a"]), 60).await;
    let mut changes = settled(&memory).await;
    let start = Instant::now();
    assert_eq!(
        next(&mut changes).await,
        Change::Delete(greeter("1", &["a"]))
    );
    assert_eq!(start.elapsed(), SECOND * 60);
    assert_eq!(set(&memory).await, [greeter("1", &["stays"])]);
}

#[tokio::test(start_paused = true)]
async fn nodes_vanish_each_at_its_own_time() {
    let memory = Memory::new();
    register_for(&memory, &greeter("1", &["late"]), 3).await;
    register_for(&memory, &greeter("1", &["early"]), 1).await;
    let mut changes = settled(&memory).await;
    let start = Instant::now();
    assert_eq!(
        next(&mut changes).await,
        Change::Delete(greeter("1", &["early"]))
    );
    assert_eq!(start.elapsed(), SECOND);
    assert_eq!(
        next(&mut changes).await,
        Change::Delete(greeter("1", &["late"]))
    );
    assert_eq!(start.elapsed(), SECOND * 3);
}

#[tokio::test(start_paused = true)]
async fn registering_again_in_time_keeps_a_node_without_a_change() {
    let memory = Memory::new();
    register_for(&memory, &greeter("1", &["a"]), 60).await;
    let mut changes = settled(&memory).await;
    for _ in 0..10 {
        advance(SECOND * 30).await;
        register_for(&memory, &greeter("1", &["a"]), 60).await;
        assert!(is_quiet(&mut changes));
    }
    let start = Instant::now();
    assert_eq!(
        next(&mut changes).await,
        Change::Delete(greeter("1", &["a"]))
    );
    assert_eq!(start.elapsed(), SECOND * 60);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_time_given_later_counts_though_the_watcher_already_sleeps() {
    let memory = Memory::new();
    register_for(&memory, &greeter("1", &["a"]), 60).await;
    let mut changes = settled(&memory).await;
    let start = Instant::now();
    let (change, ()) = tokio::join!(next(&mut changes), async {
        sleep(SECOND).await;
        register_for(&memory, &greeter("1", &["a"]), 5).await;
    });
    assert_eq!(change, Change::Delete(greeter("1", &["a"])));
    assert_eq!(start.elapsed(), SECOND * 6);
}

#[tokio::test(start_paused = true)]
async fn a_node_registered_again_without_a_time_stays() {
    let memory = Memory::new();
    for forever in [
        RegisterOptions::default(),
        seconds(0),
        RegisterOptions::default().ttl(Duration::MAX),
    ] {
        register_for(&memory, &greeter("1", &["a"]), 1).await;
        memory
            .register(&greeter("1", &["a"]), forever)
            .await
            .unwrap();
        advance(SECOND * 1000).await;
        assert_eq!(set(&memory).await, [greeter("1", &["a"])]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_deregistered_and_registered_anew_does_not_keep_its_old_time() {
    let memory = Memory::new();
    register_for(&memory, &greeter("1", &["a"]), 1).await;
    memory.deregister(&greeter("1", &["a"])).await.unwrap();
    register(&memory, &greeter("1", &["a"])).await;
    advance(SECOND * 2).await;
    assert_eq!(set(&memory).await, [greeter("1", &["a"])]);
}

#[tokio::test(start_paused = true)]
async fn what_expired_unwatched_is_not_listed_and_leaves_nothing() {
    let memory = Memory::new();
    register_for(&memory, &greeter("1", &["a"]), 1).await;
    advance(SECOND).await;
    assert_eq!(memory.services().await.unwrap(), []);
    assert_eq!(memory.store.topics(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_back_after_its_time_is_first_seen_to_go() {
    let memory = Memory::new();
    register_for(&memory, &greeter("1", &["a"]), 1).await;
    let mut changes = settled(&memory).await;
    advance(SECOND * 2).await;
    register_for(&memory, &greeter("1", &["a"]), 1).await;
    assert_eq!(
        next(&mut changes).await,
        Change::Delete(greeter("1", &["a"]))
    );
    assert_eq!(next(&mut changes).await, Change::Put(greeter("1", &["a"])));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_deregistered_leaves_no_time_behind() {
    let memory = Memory::new();
    register(&memory, &greeter("1", &["stays"])).await;
    register_for(&memory, &greeter("1", &["a", "b"]), 100).await;
    memory.deregister(&greeter("1", &["a"])).await.unwrap();
    let due = || memory.store.visit(&name(), |topic| topic.next_expiry());
    assert!(due().is_some(), "that of b");
    memory.deregister(&greeter("1", &["b"])).await.unwrap();
    assert_eq!(due(), None);
}
