use super::*;

#[tokio::test(start_paused = true)]
async fn a_first_watch_that_fails_is_told_at_once_and_tried_again() {
    let registry = Scripted::new([Fail("refused"), says([reset(&["a"])])]);
    let mut changes = watch(&without_resync(&registry)).await;
    let start = Instant::now();
    assert_eq!(failure(&mut changes).await, "refused");
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(change(&mut changes).await, reset(&["a"]));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_fails_costs_one_error_and_is_followed_by_the_whole_set() {
    let broken = Open(vec![Act::Say(reset(&["a"])), Act::Fail("reset by peer")]);
    let registry = Scripted::new([broken, says([reset(&["a"]), put("b")])]);
    let mut changes = watch(&without_resync(&registry)).await;
    assert_eq!(change(&mut changes).await, reset(&["a"]));
    assert_eq!(failure(&mut changes).await, "reset by peer");
    assert_eq!(
        change(&mut changes).await,
        reset(&["a"]),
        "though it is the same"
    );
    assert_eq!(change(&mut changes).await, put("b"));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_has_failed() {
    let registry = Scripted::new([ends_after(reset(&["a"]), SECOND), says([reset(&["b"])])]);
    let mut changes = watch(&without_resync(&registry)).await;
    change(&mut changes).await;
    let error = next(&mut changes).await.unwrap_err();
    assert!(matches!(error, Error::WatchEnded { registry, .. } if registry == "scripted"));
    assert_eq!(change(&mut changes).await, reset(&["b"]));
}

#[tokio::test(start_paused = true)]
async fn while_the_registry_is_down_the_reader_hears_errors_and_no_change() {
    let down = (0..20).map(|_| Fail("down"));
    let script = [ends_after(reset(&["a"]), SECOND)].into_iter().chain(down);
    let registry = Scripted::new(script.chain([says([reset(&["a"])])]));
    let mut changes = watch(&without_resync(&registry)).await;
    change(&mut changes).await;
    failure(&mut changes).await;
    for _ in 0..20 {
        assert_eq!(failure(&mut changes).await, "down");
    }
    assert_eq!(change(&mut changes).await, reset(&["a"]));
}

#[tokio::test(start_paused = true)]
async fn the_wait_doubles_from_100_ms_to_10_s_with_a_fifth_of_jitter() {
    let down = (0..9).map(|_| Fail("down"));
    let registry = Scripted::new(down.chain([says([nothing()])]));
    let mut changes = watch(&without_resync(&registry)).await;
    while next(&mut changes).await.is_err() {}
    let expected = [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000];
    let waits = waits(&registry);
    assert_eq!(waits.len(), expected.len());
    for (wait, expected) in waits.iter().zip(expected) {
        assert!(within(*wait, expected, 20), "{waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_watch_that_lasted_makes_the_wait_short_again() {
    let registry = Scripted::new([
        Fail("down"),
        Fail("down"),
        ends_after(reset(&["a"]), SECOND),
        ends_after(reset(&["a"]), SECOND * 10),
        says([reset(&["a"])]),
    ]);
    let mut changes = watch(&without_resync(&registry)).await;
    for _ in 0..7 {
        let _ = next(&mut changes).await;
    }
    let waits = waits(&registry);
    assert!(
        within(waits[2] - 1000, 400, 20),
        "after a short one it goes on growing: {waits:?}"
    );
    assert!(
        within(waits[3] - 10_000, 100, 20),
        "after a long one it begins anew: {waits:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_does_not_open_has_failed_after_5_s() {
    let registry = Scripted::new([Hang, says([reset(&["a"])])]);
    let mut changes = watch(&without_resync(&registry)).await;
    let start = Instant::now();
    assert_eq!(
        failure(&mut changes).await,
        "the watch of greeter gave no first set within 5s"
    );
    assert_eq!(start.elapsed(), SECOND * 5);
    assert_eq!(change(&mut changes).await, reset(&["a"]));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_opens_and_is_silent_has_failed_too() {
    let registry = Scripted::new([says([]), says([reset(&["a"])])]);
    let mut changes = watch(&without_resync(&registry)).await;
    assert_eq!(
        failure(&mut changes).await,
        "the watch of greeter gave no first set within 5s"
    );
    assert_eq!(registry.open(), 0, "it is not left open");
    assert_eq!(change(&mut changes).await, reset(&["a"]));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_does_not_begin_with_the_whole_set_has_failed() {
    let registry = Scripted::new([
        says([put("a"), reset(&["b"])]),
        Open(vec![Act::End]),
        Open(vec![Act::Fail("at once")]),
        says([reset(&["c"])]),
    ]);
    let mut changes = watch(&without_resync(&registry)).await;
    assert_eq!(
        failure(&mut changes).await,
        "the watch of greeter did not begin with the whole set"
    );
    assert!(
        failure(&mut changes)
            .await
            .starts_with("registry scripted ended the watch of greeter")
    );
    assert_eq!(failure(&mut changes).await, "at once");
    assert_eq!(change(&mut changes).await, reset(&["c"]));
}
