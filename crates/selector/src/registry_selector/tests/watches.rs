//! Waiting for a registry, its failures and its end.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use futures_util::FutureExt;
use tower_micro_registry::{Cache, Memory};

use super::*;
use driver::Publisher;

#[tokio::test]
async fn a_call_that_waits_wakes_when_the_registry_answers() {
    let world = World::new();
    let waiting = [tokio::spawn(world.select()), tokio::spawn(world.select())];
    tokio::task::yield_now().await;
    world.tasks.run();
    world.hear(Change::Reset(vec![version("1", &["a"])]));
    for call in waiting {
        assert_eq!(call.await.unwrap().unwrap().next().unwrap().id, "a");
    }
    assert_eq!(world.registry.watches(), 1);
}

/// A registry that has failed before it said anything, which the call that waited was told.
fn failed_at_first(keeps_watching: bool) -> World {
    let world = World::new();
    world.registry.keeps_watching.store(keeps_watching, Relaxed);
    let waiting = world.select();
    world.tasks.run();
    world.fail();
    assert!(matches!(
        waiting.now_or_never(),
        Some(Err(SelectError::Registry(_)))
    ));
    world
}

#[test]
fn a_registry_that_fails_before_it_said_anything_fails_the_calls_until_it_answers() {
    let world = failed_at_first(true);
    assert!(matches!(now(world.select()), Err(SelectError::Registry(_))));
    world.hear(Change::Reset(vec![version("1", &["a"])]));
    assert_eq!(world.chosen(), ids(&["a"]));
}

// It may be silent ever after.
#[test]
fn a_watch_that_fails_before_it_said_anything_and_does_not_go_on_is_begun_anew_by_the_next_call() {
    let world = failed_at_first(false);
    assert_eq!(world.tasks.alive(), 0);
    let _next_call = world.select();
    world.tasks.run();
    world.hear(Change::Reset(vec![version("1", &["a"])]));
    assert_eq!(world.chosen(), ids(&["a"]));
}

#[test]
fn a_registry_that_fails_later_leaves_the_nodes_and_a_trouble_that_passes() {
    let world = World::knowing(&[version("1", &["a"])]);
    world.fail();
    assert_eq!(world.chosen(), ids(&["a"]));
    assert!(matches!(
        world.selector.trouble(&greeter()),
        Some(SelectError::Registry(_))
    ));
    world.hear(Change::Reset(vec![version("1", &["a"])]));
    assert!(world.selector.trouble(&greeter()).is_none());
}

#[test]
fn what_was_said_before_a_failure_counts_though_both_were_heard_at_once() {
    let world = World::knowing(&[version("1", &["a"])]);
    world.registry.say(Ok(Change::Put(version("1", &["b"]))));
    world.fail();
    assert_eq!(world.chosen(), ids(&["a", "b"]));
    assert!(world.selector.trouble(&greeter()).is_some());
}

#[test]
fn of_all_that_was_said_before_the_end_nothing_is_lost_though_it_was_heard_at_once() {
    let world = World::knowing(&[version("1", &["a"])]);
    for number in 0..150 {
        let one = version("1", &[&format!("n{number}")]);
        world.registry.say(Ok(Change::Put(one)));
    }
    world.registry.hang_up();
    while world.tasks.alive() > 0 {
        world.tasks.run();
    }
    assert_eq!(world.selector.candidates(&greeter()).len(), 151);
}

#[test]
fn a_watch_that_is_refused_is_begun_anew_by_the_next_call() {
    let world = World::new();
    *world.registry.refusal.lock().unwrap() = Some(down());
    let waiting = world.select();
    world.tasks.run();
    assert!(matches!(
        waiting.now_or_never(),
        Some(Err(SelectError::Registry(_)))
    ));

    *world.registry.refusal.lock().unwrap() = None;
    let waiting = world.select();
    world.tasks.run();
    world.hear(Change::Reset(vec![version("1", &["a"])]));
    assert_eq!(
        waiting.now_or_never().unwrap().unwrap().next().unwrap().id,
        "a"
    );
}

#[test]
fn a_watch_that_ends_leaves_the_nodes_and_is_not_begun_anew() {
    let world = World::knowing(&[version("1", &["a"])]);
    world.registry.hang_up();
    world.tasks.run();
    assert_eq!(world.chosen(), ids(&["a"]));
    assert_eq!((world.tasks.alive(), world.registry.watches()), (0, 0));
    let trouble = world.selector.trouble(&greeter());
    assert!(
        matches!(
            trouble,
            Some(SelectError::Registry(Error::WatchEnded { .. }))
        ),
        "{trouble:?}"
    );
}

#[test]
fn the_cause_outlives_the_end_of_the_watch() {
    let world = World::new();
    let waiting = world.select();
    world.tasks.run();
    world.registry.say(Err(down()));
    world.registry.hang_up();
    world.tasks.run();
    let error = waiting.now_or_never().unwrap().unwrap_err();
    assert!(
        matches!(error, SelectError::Registry(Error::Unavailable { .. })),
        "{error:?}"
    );
}

#[test]
fn a_watch_that_cannot_be_started_fails_the_call_and_the_next_one_tries_again() {
    let fails = |_: BoxFuture<'static, ()>| -> Result<TaskGuard, SpawnError> {
        Err(SpawnError::new("no runtime; call from within one"))
    };
    let selector = RegistrySelector::new(Arc::new(Scripted::default()), fails);
    for _ in 0..2 {
        let answer = selector
            .select(&greeter(), &SelectOptions::default())
            .now_or_never();
        let text = answer.unwrap().unwrap_err().to_string();
        assert_eq!(
            text,
            "cannot start to watch the service: no runtime; call from within one"
        );
    }
}

#[test]
fn a_task_that_is_thrown_away_before_it_ran_leaves_nobody_waiting() {
    let forgets = |task: BoxFuture<'static, ()>| -> Result<TaskGuard, SpawnError> {
        drop(task);
        Ok(Box::new(()))
    };
    let selector = RegistrySelector::new(Arc::new(Scripted::default()), forgets);
    let answer = selector
        .select(&greeter(), &SelectOptions::default())
        .now_or_never();
    assert!(
        answer
            .unwrap()
            .unwrap_err()
            .to_string()
            .contains("was stopped")
    );
}

#[test]
fn a_task_that_was_stopped_is_begun_again_by_the_next_call_and_goes_on_from_what_is_known() {
    let world = World::knowing(&[version("1", &["a", "b"])]);
    let [stays, goes] = ["a", "b"].map(|id| world.candidate(id));
    let _attempt = stays.begin();
    assert_eq!(world.chosen(), ids(&["a", "b"]));
    world.tasks.stop();
    assert!(world.selector.trouble(&greeter()).is_some());
    assert_eq!(world.chosen(), ids(&["a", "b"]), "without waiting");
    world.tasks.run();
    assert_eq!((world.tasks.alive(), world.registry.watches()), (1, 2));

    world.hear(Change::Reset(vec![version("1", &["a", "c"])]));
    assert_eq!(world.chosen(), ids(&["a", "c"]));
    assert!(world.selector.trouble(&greeter()).is_none());
    assert!(Arc::ptr_eq(&stays, &world.candidate("a")));
    assert!(goes.has_departed() && !stays.has_departed());
}

/// Begins the watch of a stopped task anew, which comes to nothing as `in_vain` says.
fn begun_anew_in_vain(in_vain: impl FnOnce(&World)) -> World {
    let world = World::knowing(&[version("1", &["a"])]);
    world.tasks.stop();
    in_vain(&world);
    assert_eq!(world.tasks.alive(), 0);
    assert_eq!(world.chosen(), ids(&["a"]), "without waiting");
    let trouble = world.selector.trouble(&greeter()).unwrap().to_string();
    assert!(trouble.contains("is unavailable"), "{trouble}");
    world
}

#[test]
fn a_watch_that_is_begun_anew_in_vain_is_begun_once_more_by_the_next_call() {
    let refused = |world: &World| {
        *world.registry.refusal.lock().unwrap() = Some(down());
        let _begins = world.chosen();
        world.tasks.run();
        *world.registry.refusal.lock().unwrap() = None;
    };
    let failed = |world: &World| {
        let _begins = world.chosen();
        world.tasks.run();
        world.fail();
    };
    for world in [begun_anew_in_vain(refused), begun_anew_in_vain(failed)] {
        world.tasks.run();
        world.hear(Change::Reset(vec![version("1", &["b"])]));
        assert_eq!(world.chosen(), ids(&["b"]));
        assert!(world.selector.trouble(&greeter()).is_none());
    }
}

#[test]
fn what_a_stopped_task_had_no_time_to_publish_is_not_lost() {
    let world = World::knowing(&[version("1", &["a"])]);
    world.registry.say(Ok(Change::Put(version("1", &["b"]))));
    world.registry.say(Err(Error::read_only("panics")));
    world.tasks.run();
    assert_eq!(world.chosen(), ids(&["a"]), "which begins again");
    world.tasks.run();
    world.hear(Change::Reset(vec![version("1", &["a", "b"])]));
    assert_eq!(world.chosen(), ids(&["a", "b"]));
}

#[test]
fn a_task_that_cannot_be_begun_again_leaves_what_is_known() {
    let (registry, tasks) = (Arc::new(Scripted::default()), Tasks::default());
    let (runs, is_over) = (tasks.clone(), Arc::new(AtomicBool::default()));
    let over = Arc::clone(&is_over);
    let spawn = move |task| {
        if over.load(Relaxed) {
            return Err(SpawnError::new("no runtime"));
        }
        runs.spawn(task)
    };
    let selector = RegistrySelector::new(registry.clone(), spawn);
    let select = || selector.select(&greeter(), &SelectOptions::default());
    let _first_call = select();
    tasks.run();
    registry.say(Ok(Change::Reset(vec![version("1", &["a"])])));
    tasks.run();

    is_over.store(true, Relaxed);
    tasks.stop();
    for _ in 0..3 {
        assert_eq!(now(select()).unwrap().next().unwrap().id, "a");
        let trouble = selector.trouble(&greeter()).unwrap().to_string();
        assert!(trouble.contains("no runtime"), "{trouble}");
    }
    is_over.store(false, Relaxed);
    assert_eq!(now(select()).unwrap().next().unwrap().id, "a");
    tasks.run();
    registry.say(Ok(Change::Reset(vec![version("1", &["b"])])));
    tasks.run();
    assert_eq!(now(select()).unwrap().next().unwrap().id, "b");
}

#[test]
fn a_registry_that_does_not_stop_talking_lets_others_run() {
    let world = World::knowing(&[]);
    for number in 0..1_000 {
        let id = format!("n{number}");
        world.registry.say(Ok(Change::Put(version("1", &[&id]))));
    }
    let known = || {
        world.tasks.run();
        world.selector.candidates(&greeter()).len()
    };
    let first = known();
    assert!((1..1_000).contains(&first), "{first}");
    assert!(
        (0..1_000).any(|_| known() == 1_000),
        "and comes to its turn again"
    );
}

#[test]
fn a_watch_that_is_over_does_not_end_the_one_that_follows() {
    let set = Arc::<Set>::default();
    let mut publisher = Publisher::new(&set, Heard::nothing(Catalog::new(Arc::new(Random), None)));
    publisher.end(down().into());
    set.expect();
    drop(publisher);
    assert!(set.settled(&SelectOptions::default()).is_none());
    assert!(!set.is_unattended());
}

#[test]
fn a_call_that_waits_begins_the_watch_anew_if_its_task_was_stopped() {
    let world = World::new();
    let mut waiting = [world.select(), world.select()];
    world.tasks.run();
    assert!(waiting.iter_mut().all(|call| call.now_or_never().is_none()));
    world.tasks.stop();
    assert!(waiting.iter_mut().all(|call| call.now_or_never().is_none()));
    world.tasks.run();
    assert_eq!((world.tasks.alive(), world.registry.watches()), (1, 2));
    world.hear(Change::Reset(vec![version("1", &["a"])]));
    for call in waiting {
        let picker = call.now_or_never().unwrap().unwrap();
        assert_eq!(picker.next().unwrap().id, "a");
    }
}

#[test]
fn a_registry_that_panics_fails_the_calls_that_wait_and_is_asked_again_by_the_next() {
    let world = World::new();
    let waiting = world.select();
    world.tasks.run();
    world.registry.say(Err(Error::read_only("panics")));
    world.tasks.run();
    let error = waiting.now_or_never().unwrap().unwrap_err().to_string();
    assert!(error.contains("was stopped"), "{error}");
    assert_eq!((world.tasks.alive(), world.registry.watches()), (0, 1));
    let _next = world.select();
    world.tasks.run();
    assert_eq!((world.tasks.alive(), world.registry.watches()), (1, 2));
}

#[test]
fn a_dropped_selector_ends_its_tasks_and_the_calls_that_wait() {
    let World {
        registry,
        tasks,
        selector,
    } = World::new();
    let waiting =
        ["a", "b"].map(|name| selector.select(&name.parse().unwrap(), &SelectOptions::default()));
    tasks.run();
    assert_eq!((tasks.alive(), registry.watches()), (2, 2));
    drop(selector);
    assert_eq!(tasks.alive(), 0);
    for call in waiting {
        assert!(call.now_or_never().unwrap().is_err());
    }
}

#[tokio::test]
async fn a_dropped_selector_ends_its_tasks_on_tokio_too() {
    let registry = Arc::new(Scripted::default());
    let spawn = |watching: BoxFuture<'static, ()>| {
        let mut task = tokio::task::JoinSet::new();
        task.spawn(watching);
        Ok(Box::new(task) as TaskGuard)
    };
    let selector = RegistrySelector::new(registry.clone(), spawn);
    let waiting = tokio::spawn(selector.select(&greeter(), &SelectOptions::default()));
    while registry.watches() == 0 {
        tokio::task::yield_now().await;
    }
    drop(selector);
    assert!(waiting.await.unwrap().is_err());
    assert_eq!(Arc::strong_count(&registry), 1, "the task is gone");
}

#[test]
fn many_threads_begin_one_watch() {
    let world = World::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| world.select());
        }
    });
    assert_eq!(world.tasks.alive(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_memory_registry_behind_a_cache_is_followed_through_a_change_and_an_end() {
    let memory = Memory::new();
    let spawn = |watching: BoxFuture<'static, ()>| {
        let mut task = tokio::task::JoinSet::new();
        task.spawn(watching);
        Ok(Box::new(task) as TaskGuard)
    };
    let cache = Cache::new(memory.clone());
    let selector = RegistrySelector::new(Arc::new(cache), spawn);
    let select = || selector.select(&greeter(), &SelectOptions::default());
    assert!(matches!(select().await, Err(SelectError::NotFound)));

    let options = RegisterOptions::default();
    memory
        .register(&version("1", &["a"]), options)
        .await
        .unwrap();
    while selector.candidates(&greeter()).is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(now(select()).unwrap().next().unwrap().id, "a");

    memory.deregister(&version("1", &["a"])).await.unwrap();
    while now(select()).is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(matches!(select().await, Err(SelectError::NotFound)));
}
