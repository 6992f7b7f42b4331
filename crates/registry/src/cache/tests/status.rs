use super::*;

fn status(cache: &Cache) -> Status {
    cache.status(&name()).expect("it is watched")
}

#[tokio::test(start_paused = true)]
async fn there_is_a_status_while_there_is_a_watch() {
    let registry = Scripted::new([says([reset(&["a"])]), says([reset(&["a"])])]);
    let cache = without_resync(&registry);
    assert!(cache.status(&name()).is_none());
    let (one, two) = (watch(&cache).await, watch(&cache.clone()).await);
    drop(one);
    assert_eq!(status(&cache).nodes, 0);
    drop(two);
    assert!(cache.status(&name()).is_none());
}

#[tokio::test(start_paused = true)]
async fn the_status_counts_versions_and_nodes() {
    let other = Service::new("greeter", "2").with_node(Node::new("c", "h:1"));
    let script = [says([
        Change::Reset(vec![greeter(&["a", "b"]), other]),
        delete("a"),
        delete("b"),
    ])];
    let cache = without_resync(&Scripted::new(script));
    let mut changes = watch(&cache).await;
    for expected in [(2, 3), (2, 2), (1, 1)] {
        change(&mut changes).await;
        let Status {
            services, nodes, ..
        } = status(&cache);
        assert_eq!((services, nodes), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_age_grows_until_a_change_or_a_resync_confirms_the_set() {
    let talks = Open(vec![
        Act::Say(reset(&["a"])),
        Act::Wait(SECOND * 30),
        Act::Say(put("a")),
    ]);
    let cache = cache(&Scripted::new([talks, says([reset(&["a"])])]));
    let mut changes = watch(&cache).await;
    change(&mut changes).await;
    assert!(is_silent_for(&mut changes, SECOND * 29).await);
    assert_eq!(status(&cache).age, SECOND * 29);
    change(&mut changes).await;
    assert_eq!(status(&cache).age, Duration::ZERO);
    assert!(is_silent_for(&mut changes, SECOND * 40).await);
    assert!(
        status(&cache).age <= SECOND * 16,
        "the resync came after 54 to 66 s"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_kept_in_the_status_until_the_registry_is_back() {
    let script = [
        ends_after(reset(&["a"]), SECOND * 9),
        Fail("down"),
        says([reset(&["a"])]),
    ];
    let cache = without_resync(&Scripted::new(script));
    let mut changes = watch(&cache).await;
    change(&mut changes).await;
    assert!(status(&cache).error.is_none());
    failure(&mut changes).await;
    assert!(matches!(
        status(&cache).error,
        Some(Error::WatchEnded { .. })
    ));
    failure(&mut changes).await;
    let failed = status(&cache);
    assert!(matches!(failed.error, Some(Error::Unavailable { .. })));
    assert!(failed.age >= SECOND * 9, "an error confirms nothing");
    assert_eq!(failed.nodes, 1, "the last good set is kept");
    change(&mut changes).await;
    assert!(status(&cache).error.is_none());
}
