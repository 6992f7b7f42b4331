use super::*;

#[tokio::test(start_paused = true)]
async fn a_first_set_that_is_empty_is_believed_at_once() {
    let registry = Scripted::new([says([nothing()])]);
    let mut changes = watch(&without_resync(&registry)).await;
    assert_eq!(change(&mut changes).await, nothing());
}

#[tokio::test(start_paused = true)]
async fn a_first_set_that_is_empty_is_read_twice_if_a_watch_before_it_had_nodes() {
    for (second_look, told) in [(reset(&["a"]), reset(&["a"])), (nothing(), nothing())] {
        let script = [
            says([reset(&["a"])]),
            says([nothing()]),
            says([second_look]),
        ];
        let cache = without_resync(&Scripted::new(script));
        change(&mut watch(&cache).await).await;
        assert!(cache.status(&name()).is_none(), "it is watched no more");
        assert_eq!(change(&mut watch(&cache).await).await, told);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_watch_had_is_doubted_by_the_one_after_the_next_too() {
    let script = [
        says([reset(&["a"])]),
        Hang,
        Fail("down"),
        says([nothing()]),
        says([reset(&["a"])]),
    ];
    let cache = without_resync(&Scripted::new(script));
    change(&mut watch(&cache).await).await;
    assert!(is_silent_for(&mut watch(&cache).await, SECOND).await);
    let mut changes = watch(&cache).await;
    assert_eq!(failure(&mut changes).await, "down");
    assert_eq!(change(&mut changes).await, reset(&["a"]));
}

#[tokio::test(start_paused = true)]
async fn an_empty_set_after_a_failure_is_believed_when_it_is_read_twice() {
    let script = [
        ends_after(reset(&["a"]), SECOND),
        says([nothing()]),
        says([nothing()]),
    ];
    let registry = Scripted::new(script);
    let mut changes = watch(&without_resync(&registry)).await;
    change(&mut changes).await;
    failure(&mut changes).await;
    assert_eq!(change(&mut changes).await, nothing());
    assert_eq!(waits(&registry)[1], 0, "the second look is taken at once");
    assert_eq!(registry.open(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_empty_set_that_the_second_look_does_not_confirm_is_not_passed_on() {
    let script = [
        ends_after(reset(&["a"]), SECOND),
        says([nothing()]),
        says([reset(&["b"])]),
    ];
    let registry = Scripted::new(script);
    let mut changes = watch(&without_resync(&registry)).await;
    change(&mut changes).await;
    failure(&mut changes).await;
    assert_eq!(change(&mut changes).await, reset(&["b"]));
}

#[tokio::test(start_paused = true)]
async fn a_second_look_that_fails_is_a_failure_and_no_empty_set() {
    let script = [
        ends_after(reset(&["a"]), SECOND),
        says([nothing()]),
        Fail("down"),
        says([nothing()]),
        says([reset(&["a"])]),
    ];
    let registry = Scripted::new(script);
    let mut changes = watch(&without_resync(&registry)).await;
    change(&mut changes).await;
    failure(&mut changes).await;
    assert_eq!(failure(&mut changes).await, "down");
    assert_eq!(change(&mut changes).await, reset(&["a"]));
}

#[tokio::test(start_paused = true)]
async fn a_resync_that_finds_nothing_looks_twice() {
    let script = [
        says([reset(&["a"])]),
        says([nothing()]),
        says([reset(&["a"])]),
        says([nothing()]),
    ];
    let registry = Scripted::new(script.into_iter().chain([says([nothing()])]));
    let mut changes = watch(&cache(&registry)).await;
    change(&mut changes).await;
    assert!(
        is_silent_for(&mut changes, SECOND * 100).await,
        "the first resync confirmed the node"
    );
    assert_eq!(change(&mut changes).await, nothing());
    assert_eq!(registry.watched().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_version_without_nodes_is_as_empty_as_no_version() {
    let down = || says([Change::Reset(vec![greeter(&[])])]);
    let registry = Scripted::new([ends_after(reset(&["a"]), SECOND), down(), down()]);
    let mut changes = watch(&without_resync(&registry)).await;
    change(&mut changes).await;
    failure(&mut changes).await;
    assert_eq!(
        change(&mut changes).await,
        Change::Reset(vec![greeter(&[])])
    );
    assert_eq!(registry.watched().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn deleted_nodes_are_gone_at_once_and_their_absence_is_no_longer_doubted() {
    let registry = Scripted::new([says([reset(&["a"]), delete("a")]), says([nothing()])]);
    let mut changes = watch(&cache(&registry)).await;
    change(&mut changes).await;
    assert_eq!(change(&mut changes).await, delete("a"));
    assert!(is_silent_for(&mut changes, SECOND * 68).await);
    assert_eq!(registry.watched().len(), 2, "one look is enough");
}

#[tokio::test(start_paused = true)]
async fn an_empty_set_in_the_middle_of_a_watch_is_looked_at_again() {
    let script = [
        says([reset(&["a"]), nothing(), put("b")]),
        says([reset(&["a"]), put("c")]),
    ];
    let registry = Scripted::new(script);
    let mut changes = watch(&without_resync(&registry)).await;
    change(&mut changes).await;
    assert_eq!(
        change(&mut changes).await,
        put("c"),
        "the second look found what was known"
    );
    assert_eq!(registry.open(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_empty_set_in_the_middle_of_a_watch_is_passed_on_when_confirmed() {
    let registry = Scripted::new([
        says([reset(&["a"]), nothing()]),
        says([nothing(), put("b")]),
    ]);
    let mut changes = watch(&without_resync(&registry)).await;
    change(&mut changes).await;
    assert_eq!(change(&mut changes).await, nothing());
    assert_eq!(change(&mut changes).await, put("b"));
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_always_begins_with_old_nodes_is_believed_the_second_time() {
    let always = || says([reset(&["a"]), nothing()]);
    let registry = Scripted::new([always(), always()]);
    let mut changes = watch(&without_resync(&registry)).await;
    change(&mut changes).await;
    assert_eq!(change(&mut changes).await, nothing());
}

#[tokio::test(start_paused = true)]
async fn an_empty_set_is_doubted_each_time_that_nodes_were_heard_of_in_between() {
    let script = [
        says([reset(&["a"]), nothing()]),
        says([reset(&["a"]), put("b"), nothing()]),
        says([reset(&["a", "b"]), put("c")]),
    ];
    let registry = Scripted::new(script);
    let mut changes = watch(&without_resync(&registry)).await;
    for expected in [reset(&["a"]), put("b"), put("c")] {
        assert_eq!(change(&mut changes).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_set_that_was_asked_for_before_there_were_nodes_is_looked_at_again() {
    let late = Open(vec![Act::Wait(SECOND * 30), Act::Say(nothing())]);
    let first = vec![
        Act::Say(nothing()),
        Act::Wait(SECOND * 70),
        Act::Say(put("a")),
    ];
    let registry = Scripted::new([Open(first), late, says([reset(&["a"]), put("b")])]);
    let options = CacheOptions::default().timeout(SECOND * 100);
    let mut changes = watch(&Cache::with_options(registry.clone(), options)).await;
    for expected in [nothing(), put("a"), put("b")] {
        assert_eq!(change(&mut changes).await, expected);
    }
    assert_eq!(registry.open(), 1);
}

// The look that followed on the first found the node, and nothing spoke against that for long.
#[tokio::test(start_paused = true)]
async fn an_empty_set_long_after_one_that_was_refuted_is_doubted_anew() {
    let late = vec![
        Act::Say(reset(&["a"])),
        Act::Wait(SECOND * 20),
        Act::Say(nothing()),
    ];
    let script = [
        says([reset(&["a"]), nothing()]),
        Open(late),
        says([reset(&["a"]), put("b")]),
    ];
    let registry = Scripted::new(script);
    let mut changes = watch(&without_resync(&registry)).await;
    for expected in [reset(&["a"]), put("b")] {
        assert_eq!(change(&mut changes).await, expected);
    }
}

// A watch that was asked for at once would give the reader no rest, and the registry none.
#[tokio::test(start_paused = true)]
async fn doubts_that_follow_each_other_are_looked_into_with_backoff() {
    let fickle = || says([reset(&["a"]), put("a"), nothing()]);
    let registry = Scripted::new((0..5).map(|_| fickle()).chain([says([reset(&["a"])])]));
    let mut changes = watch(&without_resync(&registry)).await;
    for _ in 0..6 {
        change(&mut changes).await;
    }
    assert!(is_silent_for(&mut changes, SECOND * 5).await);
    let waits = waits(&registry);
    assert_eq!(
        (waits.len(), waits[0]),
        (5, 0),
        "the second look is taken at once"
    );
    for (wait, expected) in waits[1..].iter().zip([100, 200, 400, 800]) {
        assert!(within(*wait, expected, 20), "{waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_that_had_to_wait_counts_as_the_second_one_too() {
    let always = || says([reset(&["a"]), nothing()]);
    let before = says([reset(&["a"]), put("a"), nothing()]);
    let first = says([reset(&["a"]), nothing()]);
    let registry = Scripted::new([first, before, always()]);
    let mut changes = watch(&without_resync(&registry)).await;
    for expected in [reset(&["a"]), put("a"), nothing()] {
        assert_eq!(change(&mut changes).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn each_of_two_looks_has_its_time() {
    let slow = || Open(vec![Act::Wait(SECOND * 3), Act::Say(nothing())]);
    let registry = Scripted::new([ends_after(reset(&["a"]), SECOND), slow(), slow()]);
    let mut changes = watch(&without_resync(&registry)).await;
    change(&mut changes).await;
    failure(&mut changes).await;
    assert_eq!(change(&mut changes).await, nothing());
}
