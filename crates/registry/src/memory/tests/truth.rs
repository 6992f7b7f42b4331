//! Whoever folds the changes has what the registry has.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Register(Service, u64),
    Deregister(Service),
    Pass(u64),
    Read,
}

fn any_greeter() -> impl Strategy<Value = Service> {
    ("[12]", vec(("[abc]", 1..3u16), 1..4)).prop_map(|(version, nodes)| {
        let nodes = nodes
            .into_iter()
            .map(|(id, port)| Node::new(id, format!("h:{port}")))
            .collect();
        Service {
            nodes,
            ..Service::new("greeter", version)
        }
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any_greeter(), 0..4u64).prop_map(|(service, ttl)| Step::Register(service, ttl)),
        2 => any_greeter().prop_map(Step::Deregister),
        2 => (1..4u64).prop_map(Step::Pass),
        1 => Just(Step::Read),
    ]
}

fn read_all(changes: &mut Changes, set: &mut Vec<Service>) {
    while let Some(Some(change)) = changes.next().now_or_never() {
        change.unwrap().apply(set);
    }
}

async fn play(steps: Vec<Step>) -> [Vec<Service>; 3] {
    let memory = Memory::new();
    let (mut early, mut eager) = (watch(&memory).await, Vec::new());
    let (mut idle, mut late) = (settled(&memory).await, Vec::new());
    for step in steps {
        match step {
            Step::Register(service, ttl) => memory.register(&service, seconds(ttl)).await.unwrap(),
            Step::Deregister(service) => memory.deregister(&service).await.unwrap(),
            Step::Pass(time) => advance(SECOND * time as u32).await,
            Step::Read => read_all(&mut early, &mut eager),
        }
    }
    read_all(&mut early, &mut eager);
    read_all(&mut idle, &mut late);
    [eager, late, set(&memory).await]
}

proptest! {
    #[test]
    fn whoever_folds_the_changes_has_what_the_registry_has(steps in vec(any_step(), 0..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let [eager, late, truth] = runtime.unwrap().block_on(play(steps));
        prop_assert_eq!(eager, truth.clone());
        prop_assert_eq!(late, truth);
    }
}
