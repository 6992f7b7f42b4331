mod scripted;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use futures_util::FutureExt;
use tower_micro_registry::{
    BoxFuture, Cache, Change, Error, Memory, Node, RegisterOptions, Service,
};

use super::*;
use crate::{Fault, Filter, Picker, RoundRobinShared};
use driver::Publisher;
use scripted::{Scripted, Tasks};

fn greeter() -> ServiceName {
    "greeter".parse().unwrap()
}

fn version(version: &str, ids: &[&str]) -> Service {
    let service = Service::new("greeter", version);
    let node = |id: &&str| Node::new(*id, format!("{id}:1"));
    ids.iter().map(node).fold(service, Service::with_node)
}

/// A selector over a registry that is told what to say.
struct World {
    registry: Arc<Scripted>,
    tasks: Tasks,
    selector: RegistrySelector,
}

impl World {
    fn new() -> Self {
        let (registry, tasks) = (Arc::new(Scripted::default()), Tasks::default());
        let selector = RegistrySelector::new(registry.clone(), tasks.clone());
        Self {
            registry,
            tasks,
            selector,
        }
    }

    /// One that was called, and whose registry answered with `services`.
    fn knowing(services: &[Service]) -> Self {
        let world = Self::new();
        let _first_call = world.select();
        world.tasks.run();
        world.hear(Change::Reset(services.to_vec()));
        world
    }

    fn hear(&self, change: Change) {
        self.registry.say(Ok(change));
        self.tasks.run();
    }

    fn fail(&self) {
        self.registry.say(Err(down()));
        self.tasks.run();
    }

    fn select(&self) -> Selection {
        self.selector.select(&greeter(), &SelectOptions::default())
    }

    fn left_by(&self, filters: &[Filter]) -> Result<Picker, SelectError> {
        let options = SelectOptions {
            filters: filters.to_vec(),
            ..SelectOptions::default()
        };
        now(self.selector.select(&greeter(), &options))
    }

    fn candidate(&self, id: &str) -> Arc<Candidate> {
        let candidates = self.selector.candidates(&greeter());
        candidates
            .into_iter()
            .find(|candidate| candidate.id == id)
            .unwrap()
    }

    /// Who is chosen in many calls of one attempt.
    fn chosen(&self) -> BTreeSet<String> {
        let choose = |_| now(self.select()).unwrap().next().unwrap().id.clone();
        (0..200).map(choose).collect()
    }
}

fn down() -> Error {
    Error::unavailable("scripted", "down")
}

/// The answer of a selection that needs no waiting.
fn now(selection: Selection) -> Result<Picker, SelectError> {
    match selection {
        Selection::Ready(answer) => answer,
        Selection::Pending(_) => panic!("pending"),
    }
}

fn ids(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(ToString::to_string).collect()
}

// ---- what go-micro does: the recorded cases of its registry selector

#[test]
fn nodes_registered_after_the_first_call_are_seen_and_deregistered_ones_are_not() {
    let world = World::knowing(&[version("1", &["a"])]);
    world.hear(Change::Put(version("1", &["b"])));
    assert_eq!(world.chosen(), ids(&["a", "b"]));
    world.hear(Change::Delete(version("1", &["a"])));
    assert_eq!(world.chosen(), ids(&["b"]));
}

#[test]
fn a_service_that_is_deregistered_altogether_is_not_found_any_more() {
    let world = World::knowing(&[version("1", &["a"])]);
    assert!(now(world.select()).is_ok());
    world.hear(Change::Delete(version("1", &["a"])));
    assert!(matches!(now(world.select()), Err(SelectError::NotFound)));
}

#[test]
fn a_service_that_was_never_registered_is_not_found() {
    let world = World::knowing(&[]);
    assert!(matches!(now(world.select()), Err(SelectError::NotFound)));
}

#[test]
fn filters_that_leave_no_service_fail_the_selection() {
    let world = World::knowing(&[version("1", &["n1"])]);
    for filter in [
        Filter::version("9"),
        Filter::endpoint("G.H"),
        Filter::label("zone", "a"),
    ] {
        let answer = world.left_by(std::slice::from_ref(&filter));
        assert!(
            matches!(answer, Err(SelectError::NoneAvailable)),
            "{filter:?}"
        );
    }
}

#[test]
fn filters_that_leave_a_service_without_nodes_fail_each_attempt() {
    let world = World::knowing(&[version("1", &[])]);
    let picker = world.left_by(&[Filter::version("1")]).unwrap();
    assert!(matches!(picker.next(), Err(SelectError::NoneAvailable)));
}

// ---- filters

#[test]
fn filters_leave_the_nodes_they_say_after_each_change() {
    let zone = |version: &str, id: &str, zone: &str| {
        let node = Node::new(id, "10.0.0.1:1").with_metadata("zone", zone);
        Service::new("greeter", version).with_node(node)
    };
    let world = World::knowing(&[
        zone("1", "n1", "a"),
        zone("2", "n2", "a"),
        zone("2", "n3", "b"),
    ]);
    let both = [Filter::label("zone", "a"), Filter::version("2")];
    let custom = [Filter::custom("zone a of 2", |service, node| {
        service.version() == "2" && node.metadata["zone"] == "a"
    })];
    for filters in [&both, &both, &custom[..]] {
        let next = world.left_by(filters).unwrap().next().unwrap();
        assert_eq!(next.id, "n2");
    }
    world.hear(Change::Delete(zone("2", "n2", "a")));
    world.hear(Change::Put(zone("2", "n4", "a")));
    for filters in [&both, &both, &custom[..]] {
        let next = world.left_by(filters).unwrap().next().unwrap();
        assert_eq!(next.id, "n4");
    }
}

#[test]
fn more_filters_than_are_remembered_still_leave_what_they_say() {
    let versions: Vec<_> = (0..40).map(|number| number.to_string()).collect();
    let world = World::knowing(
        &versions
            .iter()
            .map(|name| version(name, &[name]))
            .collect::<Vec<_>>(),
    );
    for name in versions.iter().chain(&versions) {
        let next = world
            .left_by(&[Filter::version(name)])
            .unwrap()
            .next()
            .unwrap();
        assert_eq!(next.id, *name);
    }
}

// ---- waiting, failing, ending

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

#[test]
fn a_registry_that_fails_before_it_said_anything_fails_the_calls_until_it_answers() {
    let world = World::new();
    let waiting = world.select();
    world.tasks.run();
    world.fail();
    assert!(matches!(
        waiting.now_or_never(),
        Some(Err(SelectError::Registry(_)))
    ));
    assert!(matches!(now(world.select()), Err(SelectError::Registry(_))));
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

#[test]
fn looking_begins_nothing() {
    let world = World::new();
    assert!(world.selector.candidates(&greeter()).is_empty());
    assert_eq!(
        (world.selector.skipped(&greeter()), world.tasks.alive()),
        (0, 0)
    );
    assert!(world.selector.trouble(&greeter()).is_none());
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

// ---- who is who

#[test]
fn a_removed_node_is_never_chosen_after_the_publication() {
    let names: Vec<_> = (0..9).map(|number| format!("n{number}")).collect();
    let mut left: Vec<_> = names.iter().map(String::as_str).collect();
    let world = World::knowing(&[version("1", &left)]);
    while left.len() > 1 {
        let gone = left.remove(left.len() / 2);
        world.hear(Change::Delete(version("1", &[gone])));
        assert_eq!(world.chosen(), ids(&left));
    }
}

#[test]
fn a_picker_keeps_to_the_nodes_it_was_made_with() {
    let world = World::knowing(&[version("1", &["a"])]);
    let picker = now(world.select()).unwrap();
    world.hear(Change::Reset(vec![version("1", &["b"])]));
    world.hear(Change::Put(version("1", &["c"])));
    world.hear(Change::Put(version("1", &["d"])));
    assert!((0..20).all(|_| picker.next().unwrap().id == "a"));
}

#[test]
fn a_node_that_is_announced_again_stays_the_same() {
    let world = World::knowing(&[version("1", &["a", "b"])]);
    let before = world.candidate("a");
    world.hear(Change::Put(version("1", &["a"])));
    assert!(Arc::ptr_eq(&before, &world.candidate("a")));
    world.hear(Change::Reset(vec![
        version("1", &["b", "a"]),
        version("2", &["a"]),
    ]));
    assert!(Arc::ptr_eq(&before, &world.candidate("a")));
}

#[test]
fn a_node_whose_metadata_changed_keeps_its_attempts_and_one_that_moved_does_not() {
    let announced = |node: Node| Service::new("greeter", "1").with_node(node);
    let world = World::knowing(&[version("1", &["a"])]);
    let _attempt = world.candidate("a").begin();
    world.hear(Change::Put(announced(
        Node::new("a", "a:1").with_metadata("weight", "3"),
    )));
    let heavier = world.candidate("a");
    assert_eq!(
        (heavier.weight(), heavier.version(), heavier.in_flight()),
        (3, "1", 1)
    );
    world.hear(Change::Reset(vec![announced(Node::new(
        "a",
        "elsewhere:1",
    ))]));
    assert_eq!(world.candidate("a").in_flight(), 0);
}

#[test]
fn a_node_whose_address_has_no_form_is_left_out_and_counted_until_it_is_mended() {
    let odd = |address: &str| Service::new("greeter", "1").with_node(Node::new("odd", address));
    let world = World::knowing(&[odd("http://no:1"), version("1", &["a"])]);
    assert_eq!(
        (world.selector.skipped(&greeter()), world.chosen()),
        (1, ids(&["a"]))
    );
    world.hear(Change::Put(odd("10.0.0.1:1")));
    assert_eq!(
        (world.selector.skipped(&greeter()), world.chosen()),
        (0, ids(&["a", "odd"]))
    );
    world.hear(Change::Put(odd("")));
    assert_eq!(
        (world.selector.skipped(&greeter()), world.chosen()),
        (1, ids(&["a"]))
    );
    world.hear(Change::Delete(odd("")));
    assert_eq!(
        (world.selector.skipped(&greeter()), world.chosen()),
        (0, ids(&["a"]))
    );
}

#[test]
fn round_robin_shared_goes_on_from_call_to_call_and_over_changes() {
    let strategy = Arc::new(RoundRobinShared::new());
    let mut world = World::new();
    world.selector = world.selector.with_strategy(strategy);
    let _first_call = world.select();
    world.tasks.run();
    world.hear(Change::Reset(vec![version("1", &["a", "b", "c"])]));
    let next = || now(world.select()).unwrap().next().unwrap().id.clone();
    let before = [next(), next()];
    world.hear(Change::Put(version("2", &[]).with_metadata("no", "change")));
    world.hear(Change::Put(
        version("1", &["a"]).with_metadata("a", "change"),
    ));
    assert!(!before.contains(&next()));
}

#[test]
fn a_call_that_names_a_strategy_is_served_by_it() {
    #[derive(Debug)]
    struct Place(usize);
    impl Strategy for Place {
        fn pick(&self, _nodes: &crate::Candidates, _turn: &crate::Turn) -> Option<usize> {
            Some(self.0)
        }
        fn name(&self) -> &'static str {
            "place"
        }
    }
    let world = World::knowing(&[version("1", &["a", "b", "c"])]);
    let places = [0, 1, 2].map(|place| Arc::new(Place(place)) as Arc<dyn Strategy>);
    for filters in [
        vec![],
        vec![Filter::version("1")],
        vec![Filter::custom("all", |_, _| true)],
    ] {
        for (place, id) in places
            .iter()
            .zip(["a", "b", "c"])
            .chain(places.iter().zip(["a", "b", "c"]))
        {
            let options = SelectOptions {
                filters: filters.clone(),
                strategy: Some(Arc::clone(place)),
                ..SelectOptions::default()
            };
            let picker = now(world.selector.select(&greeter(), &options)).unwrap();
            assert_eq!(picker.next().unwrap().id, id, "{filters:?}");
        }
    }
}

#[test]
fn a_selector_is_an_object_that_threads_share() {
    fn shared<T: Send + Sync + ?Sized>() {}
    shared::<dyn Selector>();
    shared::<Picker>();
    let selector: Arc<dyn Selector> = Arc::new(World::knowing(&[version("1", &["a"])]).selector);
    let selector = Arc::new(selector);
    assert_eq!(selector.name(), "registry");
    let picker = now(selector.select(&greeter(), &SelectOptions::default())).unwrap();
    selector.mark(
        &greeter(),
        &picker.next().unwrap(),
        Mark::TimedOut(Fault::Node),
    );
}
