use super::*;

#[tokio::test(start_paused = true)]
async fn every_minute_the_set_is_read_again_with_a_tenth_of_jitter() {
    let registry = Scripted::new((0..6).map(|_| says([reset(&["a"])])));
    let mut changes = watch(&cache(&registry)).await;
    change(&mut changes).await;
    assert!(is_silent_for(&mut changes, SECOND * 330).await);
    let waits = waits(&registry);
    assert!(waits.len() >= 4, "{waits:?}");
    assert!(
        waits.iter().all(|wait| within(*wait, 60_000, 10)),
        "{waits:?}"
    );
    assert_eq!(registry.open(), 1, "the watch before is dropped");
}

#[tokio::test(start_paused = true)]
async fn a_resync_that_finds_the_same_in_another_order_is_not_heard() {
    let registry = Scripted::new([says([reset(&["a"]), put("b")]), says([reset(&["a", "b"])])]);
    let mut changes = watch(&cache(&registry)).await;
    assert_eq!(change(&mut changes).await, reset(&["a"]));
    assert_eq!(change(&mut changes).await, put("b"));
    assert!(is_silent_for(&mut changes, SECOND * 68).await);
    assert_eq!(registry.watched().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_resync_heals_an_event_that_was_lost() {
    let registry = Scripted::new([
        says([reset(&["a"])]),
        says([reset(&["a", "b"]), delete("a")]),
    ]);
    let mut changes = watch(&cache(&registry)).await;
    change(&mut changes).await;
    assert_eq!(change(&mut changes).await, reset(&["a", "b"]));
    assert_eq!(change(&mut changes).await, delete("a"));
}

#[tokio::test(start_paused = true)]
async fn while_a_resync_hangs_the_watch_is_still_read() {
    let talks = Open(vec![
        Act::Say(reset(&["a"])),
        Act::Wait(SECOND * 68),
        Act::Say(put("b")),
    ]);
    let registry = Scripted::new([talks, Hang]);
    let options = CacheOptions::default().timeout(SECOND * 100);
    let mut changes = watch(&Cache::with_options(registry.clone(), options)).await;
    change(&mut changes).await;
    assert_eq!(change(&mut changes).await, put("b"));
    assert_eq!(registry.watched().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_resync_that_fails_is_told_and_does_not_end_the_watch() {
    let talks = Open(vec![
        Act::Say(reset(&["a"])),
        Act::Wait(SECOND * 70),
        Act::Say(put("b")),
    ]);
    let down = (0..99).map(|_| Fail("down"));
    let registry = Scripted::new([talks].into_iter().chain(down));
    let mut changes = watch(&cache(&registry)).await;
    change(&mut changes).await;
    assert_eq!(failure(&mut changes).await, "down");
    while let Err(error) = next(&mut changes).await {
        assert!(matches!(error, Error::Unavailable { .. }));
    }
    assert_eq!(registry.open(), 1, "the watch that told of b");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_during_a_resync_waits_for_its_answer() {
    let ends = ends_after(reset(&["a"]), SECOND * 68);
    let slow = Open(vec![Act::Wait(SECOND * 20), Act::Say(reset(&["a"]))]);
    let registry = Scripted::new([ends, slow]);
    let options = CacheOptions::default().timeout(SECOND * 100);
    let mut changes = watch(&Cache::with_options(registry.clone(), options)).await;
    change(&mut changes).await;
    assert!(matches!(
        next(&mut changes).await,
        Err(Error::WatchEnded { .. })
    ));
    assert_eq!(change(&mut changes).await, reset(&["a"]));
    assert_eq!(registry.watched().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_never_stops_talking_cannot_put_off_the_resync() {
    let chatter = (0..200).flat_map(|_| [Act::Wait(SECOND), Act::Say(put("a"))]);
    let chatty = Open(
        [Act::Say(reset(&["a"]))]
            .into_iter()
            .chain(chatter)
            .collect(),
    );
    let registry = Scripted::new([chatty, says([reset(&["b"])])]);
    let mut changes = watch(&cache(&registry)).await;
    let start = Instant::now();
    change(&mut changes).await;
    while change(&mut changes).await == put("a") {}
    assert!(within(start.elapsed().as_millis() as u64, 60_000, 10));
}

#[tokio::test(start_paused = true)]
async fn resyncs_that_succeed_do_not_shorten_how_long_a_watch_has_lasted() {
    let good = || says([reset(&["a"])]);
    let script = [
        Fail("down"),
        Fail("down"),
        good(),
        good(),
        good(),
        Fail("down"),
        good(),
    ];
    let registry = Scripted::new(script);
    let options = CacheOptions::default().resync(SECOND * 5);
    let mut changes = watch(&Cache::with_options(registry.clone(), options)).await;
    for expected in [false, false, true, false, true] {
        assert_eq!(next(&mut changes).await.is_ok(), expected);
    }
    let waits = waits(&registry);
    assert!(
        within(waits[5], 100, 20),
        "three watches of 5 s are one of 15 s: {waits:?}"
    );
}
