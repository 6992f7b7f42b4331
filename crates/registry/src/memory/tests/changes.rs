use super::*;

#[tokio::test(start_paused = true)]
async fn a_watch_begins_with_the_whole_set_even_if_it_is_empty() {
    let memory = Memory::new();
    assert_eq!(set(&memory).await, []);
    register(&memory, &greeter("1", &["a", "b"])).await;
    assert_eq!(set(&memory).await, [greeter("1", &["a", "b"])]);
}

#[tokio::test(start_paused = true)]
async fn changes_come_in_the_order_in_which_they_were_made() {
    let memory = Memory::new();
    let mut changes = settled(&memory).await;
    register(&memory, &greeter("1", &["a"])).await;
    register(&memory, &greeter("2", &["b"])).await;
    memory.deregister(&greeter("1", &["a"])).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Put(greeter("1", &["a"])));
    assert_eq!(next(&mut changes).await, Change::Put(greeter("2", &["b"])));
    assert_eq!(
        next(&mut changes).await,
        Change::Delete(greeter("1", &["a"]))
    );
    assert!(is_quiet(&mut changes));
}

#[tokio::test(start_paused = true)]
async fn a_waiting_watcher_is_woken() {
    let memory = Memory::new();
    let mut changes = settled(&memory).await;
    let (change, ()) = tokio::join!(next(&mut changes), async {
        register(&memory, &greeter("1", &["a"])).await;
    });
    assert_eq!(change, Change::Put(greeter("1", &["a"])));
}

#[tokio::test(start_paused = true)]
async fn registering_the_same_again_is_no_change() {
    let memory = Memory::new();
    register(&memory, &greeter("1", &["a", "b"])).await;
    let mut changes = settled(&memory).await;
    register(&memory, &greeter("1", &["b"])).await;
    assert!(is_quiet(&mut changes));
    assert_eq!(set(&memory).await, [greeter("1", &["a", "b"])]);
}

#[tokio::test(start_paused = true)]
async fn the_last_write_of_a_node_of_metadata_and_of_endpoints_wins() {
    let memory = Memory::new();
    register(&memory, &greeter("1", &["a"]).with_metadata("first", "yes")).await;
    let mut changes = settled(&memory).await;
    let moved = Service::new("greeter", "1")
        .with_endpoint(Endpoint::new("Greeter.Hello"))
        .with_node(Node::new("a", "127.0.0.1:1"))
        .with_node(Node::new("a", "127.0.0.1:2"));
    register(&memory, &moved).await;
    let last = Service {
        nodes: vec![Node::new("a", "127.0.0.1:2")],
        ..moved
    };
    assert_eq!(next(&mut changes).await, Change::Put(last.clone()));
    assert_eq!(set(&memory).await, [last]);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_endpoints_alone_is_a_change() {
    let memory = Memory::new();
    register(&memory, &greeter("1", &["a"])).await;
    let mut changes = settled(&memory).await;
    let more = greeter("1", &["a"]).with_endpoint(Endpoint::new("Greeter.Hello"));
    register(&memory, &more).await;
    assert_eq!(next(&mut changes).await, Change::Put(more));
}

#[tokio::test(start_paused = true)]
async fn one_node_of_many_is_deregistered() {
    let memory = Memory::new();
    register(&memory, &greeter("1", &["a", "b", "c"])).await;
    let mut changes = settled(&memory).await;
    memory
        .deregister(&greeter("1", &["b", "unknown"]))
        .await
        .unwrap();
    assert_eq!(
        next(&mut changes).await,
        Change::Delete(greeter("1", &["b"]))
    );
    assert_eq!(set(&memory).await, [greeter("1", &["a", "c"])]);
}

#[tokio::test(start_paused = true)]
async fn deregistering_what_is_not_there_is_no_change() {
    let memory = Memory::new();
    register(&memory, &greeter("1", &["a"])).await;
    let mut changes = settled(&memory).await;
    memory.deregister(&greeter("2", &["a"])).await.unwrap();
    memory.deregister(&greeter("1", &["b"])).await.unwrap();
    assert!(is_quiet(&mut changes));
}

#[tokio::test(start_paused = true)]
async fn names_are_listed_while_they_have_nodes() {
    let memory = Memory::new();
    register(&memory, &greeter("1", &["a"])).await;
    let _empty = memory
        .watch(&ServiceName::new("watched").unwrap())
        .await
        .unwrap();
    assert_eq!(memory.services().await.unwrap(), [name()]);
    memory.deregister(&greeter("1", &["a"])).await.unwrap();
    assert_eq!(memory.services().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_dialled_or_found_is_refused_with_the_reason() {
    let memory = Memory::new();
    let cases = [
        (
            Service::new("a/b", "1").with_node(Node::new("a", "h:1")),
            "'/' at character 2",
        ),
        (Service::new("greeter", "1"), "greeter has no nodes"),
        (
            Service::new("greeter", "1").with_node(Node::new("", "h:1")),
            "has no id",
        ),
        (
            greeter("1", &["a"]).with_node(Node::new("b", "127.0.0.1")),
            "has no port",
        ),
    ];
    for (service, reason) in cases {
        let error = memory
            .register(&service, RegisterOptions::default())
            .await
            .unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    assert_eq!(memory.store.topics(), 0);
    assert!(
        memory
            .deregister(&Service::new("greeter", "1"))
            .await
            .is_err()
    );
}
