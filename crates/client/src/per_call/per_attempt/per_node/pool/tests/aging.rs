//! Connections that grow older than their pool wants them.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_old_connection_takes_no_new_call() {
    let scene = aging();
    let early = scene.lend();
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!((early.handle().0, scene.lend().handle().0), (1, 2));
}

fn aging() -> Scene {
    let mut options = options();
    options.ttl = Some(Duration::from_secs(60));
    Scene::new(options)
}

#[tokio::test(start_paused = true)]
async fn one_is_opened_beside_an_old_one_that_carries_a_call() {
    let scene = aging();
    let early = scene.lend();
    tokio::time::advance(Duration::from_secs(61)).await;
    scene.sweep();
    let _late = scene.lend();
    assert_eq!(*scene.connect.beside.lock().unwrap(), [(1, 2)]);
    drop(early);
    tokio::time::advance(Duration::from_secs(61)).await;
    let _later = scene.lend();
    assert_eq!(*scene.connect.beside.lock().unwrap(), [(1, 2), (2, 3)]);
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_takes_nothing_from_the_size_of_the_pool() {
    let scene = aging();
    let _early = scene.lend_many(3);
    tokio::time::advance(Duration::from_secs(61)).await;
    let (_late, numbers) = scene.lend_many(5);
    assert_eq!(numbers, [3, 3, 4, 4, 3]);
    scene.sweep();
    assert_eq!((scene.connections(), scene.lend().handle().0), (2, 4));
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_on_an_old_connection_have_another_opened() {
    let scene = aging();
    let _waits = scene.lend();
    tokio::time::advance(Duration::from_secs(61)).await;
    scene.sweep();
    assert_eq!(scene.connections(), 0);
    scene.connect.crowded.lock().unwrap().push(1);
    scene.sweep();
    assert_eq!(*scene.connect.beside.lock().unwrap(), [(1, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_calls_are_on_old_connections_is_not_forgotten() {
    let scene = aging();
    let _early = scene.lend();
    tokio::time::advance(Duration::from_secs(61)).await;
    for _ in 0..3 {
        scene.sweep();
    }
    assert!(scene.pool.nodes().contains_key("a:1"));
}
