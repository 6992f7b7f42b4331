//! Which node a call goes to: what the registry says, what the call asks for, what was tried.

mod keys;

mod known;

mod marks;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;
use tonic::Status;
use tower::{Layer, ServiceExt, service_fn};
use tower_micro::{
    Body, CallOptions, Client, Endpoint, Error, Filter, Node, Notes, Preset, Proxy, Random,
    Registry, RequestExt, RetryContext, RoundRobinShared, SelectLayer, Service, ServiceName,
    Static, Strategy,
    crates::selector::{Candidates, Turn},
};
use tower_micro_testkit::Scripted;

use crate::support::{
    Bare, Recording, builder, call, failing, greeter, greeting, hello, node_of, number_of,
    scripted, soon,
};

/// Nodes that say who they are.
fn nodes_of(registry: impl Registry) -> Bare {
    let connect = Scripted::new(|request| async move { Ok(greeting(node_of(&request))) });
    builder().registry(registry).connect(connect)
}

fn node(id: &str) -> Node {
    Node::new(id, format!("{id}:1"))
}

/// Version `latest` of the greeter, on these nodes.
fn on<const N: usize>(ids: [&str; N]) -> Service {
    let service = Service::new("greeter", "latest");
    ids.into_iter().map(node).fold(service, Service::with_node)
}

async fn ask(client: &Client, options: CallOptions) -> Result<String, Status> {
    let request = hello().with_options(options);
    let reply = soon(greeter(client).say_hello(request)).await?;
    Ok(reply.into_inner().node)
}

/// A greeter in two versions and two zones.
fn zones() -> Static {
    let in_zone = |id, zone| node(id).with_metadata("zone", zone);
    let one = Service::new("greeter", "1.0")
        .with_node(in_zone("a", "north"))
        .with_node(in_zone("b", "south"));
    let two = Service::new("greeter", "2.0")
        .with_endpoint(Endpoint::new("Greeter.SayHello"))
        .with_node(in_zone("c", "north"));
    Static::new([one, two])
}

/// Whom sixty calls reach.
async fn reached(client: &Client, options: CallOptions) -> String {
    let mut reached = Vec::new();
    for _ in 0..60 {
        reached.push(ask(client, options.clone()).await.unwrap());
    }
    reached.sort();
    reached.dedup();
    reached.join(" ")
}

#[tokio::test]
async fn filters_leave_the_nodes_they_name() {
    let client = nodes_of(zones()).build().unwrap();
    let only = |filter| CallOptions::new().filter(filter);
    assert_eq!(reached(&client, CallOptions::new()).await, "a b c");
    assert_eq!(reached(&client, only(Filter::version("1.0"))).await, "a b");
    assert_eq!(
        reached(&client, only(Filter::label("zone", "north"))).await,
        "a c"
    );
    let endpoint = Filter::endpoint("Greeter.SayHello");
    assert_eq!(reached(&client, only(endpoint)).await, "c");
    let not_b = Filter::custom("not b", |_, node| node.id != "b");
    assert_eq!(reached(&client, only(not_b)).await, "a c");
}

#[tokio::test]
async fn filters_of_client_and_request_apply_together() {
    let north = CallOptions::new().filter(Filter::label("zone", "north"));
    let client = nodes_of(zones()).options(north).build().unwrap();
    let one = CallOptions::new().filter(Filter::version("1.0"));
    assert_eq!(reached(&client, one).await, "a");
}

/// Always the node at this place.
#[derive(Debug)]
struct At(usize);

impl Strategy for At {
    fn pick(&self, _: &Candidates, _: &Turn) -> Option<usize> {
        Some(self.0)
    }

    fn name(&self) -> &'static str {
        "at"
    }
}

#[tokio::test]
async fn the_strategy_of_a_request_takes_the_clients_place() {
    let client = nodes_of(Static::new([on(["a", "b", "c"])]));
    let client = client.options(CallOptions::new().strategy(At(0)));
    let client = client.build().unwrap();
    assert_eq!(reached(&client, CallOptions::new()).await, "a");
    assert_eq!(
        reached(&client, CallOptions::new().strategy(At(2))).await,
        "c"
    );
    assert_eq!(
        reached(&client, CallOptions::new().strategy(Random)).await,
        "a b c"
    );
}

#[tokio::test]
async fn a_shared_round_robin_goes_in_order_across_calls() {
    let options = CallOptions::new().strategy(RoundRobinShared::new());
    let client = nodes_of(Static::new([on(["a", "b", "c"])])).options(options);
    let client = client.build().unwrap();
    let mut seen = Vec::new();
    for _ in 0..9 {
        seen.push(call(&client).await.unwrap().node);
    }
    assert!(
        seen.windows(3)
            .all(|three| three[0] != three[1] && three[1] != three[2])
    );
    assert_eq!(seen[..3], seen[3..6]);
}

#[tokio::test]
async fn addresses_of_a_request_take_the_registrys_place() {
    let client = nodes_of(Static::default()).build().unwrap();
    let connect = Scripted::new(|request| async move {
        let notes = Notes::of(&request).unwrap();
        Ok(greeting(notes.node().unwrap().address.clone()))
    });
    let addressed = builder().registry(Static::default()).connect(connect);
    let options = CallOptions::new().address(["10.0.0.9:1"]);
    let addressed = addressed.build().unwrap();
    assert_eq!(ask(&addressed, options).await.unwrap(), "10.0.0.9:1");
    assert!(ask(&client, CallOptions::new()).await.is_err());
    let several = CallOptions::new().address(["10.0.0.8:1", "10.0.0.9:1"]);
    assert_eq!(reached(&addressed, several).await, "10.0.0.8:1 10.0.0.9:1");
}

#[tokio::test]
async fn go_micros_client_takes_the_first_of_several_addresses() {
    let recording = Recording::of(1);
    let client = scripted(&recording, |request| async move {
        let notes = Notes::of(&request).unwrap();
        Ok(greeting(notes.node().unwrap().address.clone()))
    });
    let client = client.preset(Preset::GoMicroV2).build().unwrap();
    let several = CallOptions::new().address(["10.0.0.8:1", "10.0.0.9:1"]);
    assert_eq!(reached(&client, several).await, "10.0.0.8:1");
    assert_eq!(
        recording.diary.count("select:greeter"),
        0,
        "nobody was asked"
    );
    assert_eq!(
        recording.diary.count("mark::ok"),
        60,
        "but every attempt is marked"
    );
}

#[tokio::test]
async fn a_proxy_by_name_stands_in_for_every_service() {
    let proxy = Proxy {
        proxy: Some("gateway".into()),
        ..Proxy::none()
    };
    let gateway = Service::new("gateway", "latest").with_node(node("g"));
    let client = nodes_of(Static::new([gateway, on(["a"])])).proxy(proxy);
    assert_eq!(call(&client.build().unwrap()).await.unwrap().node, "g");
}

#[test]
fn a_proxy_that_can_be_no_service_is_found_when_the_client_is_built() {
    for (proxy, network) in [(Some("no name"), None), (None, Some("a/b"))] {
        let [proxy, network] = [proxy, network].map(|name| name.map(str::to_owned));
        let proxy = Proxy {
            proxy,
            network,
            ..Proxy::none()
        };
        let client = nodes_of(Static::new([on(["a"])])).proxy(proxy);
        let error = client.build().unwrap_err().to_string();
        assert!(error.contains("the proxy cannot be `"), "{error}");
    }
}

// A call that is meant to go through a proxy must not go past it.
#[tokio::test(start_paused = true)]
async fn a_call_that_waits_does_not_go_past_a_proxy_that_can_be_no_service() {
    let recording = Recording::of(1);
    let proxy = Proxy {
        proxy: Some("no name".into()),
        ..Proxy::none()
    };
    let service = ServiceName::new("greeter").unwrap();
    let layer = SelectLayer::new(Arc::new(recording.clone()), service).with_proxy(proxy);
    let inside = service_fn(|_: http::Request<Body>| async { Ok::<_, Error>(greeting("n0")) });
    let mut request = http::Request::new(Body::default());
    let waits = CallOptions::new().wait_for_ready(true);
    let notes = Notes::of_mut(&mut request);
    notes.settle(Arc::new(waits), None, Instant::now());
    let error = layer.layer(inside).oneshot(request).await.unwrap_err();
    assert!(error.to_string().contains("no name"), "{error}");
    assert_eq!(recording.diary.text(), "");
}

#[tokio::test]
async fn a_retry_goes_to_a_node_that_was_not_tried() {
    let ids = ["a", "b", "c", "d"];
    let tried = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&tried);
    let connect = Scripted::new(move |request| {
        seen.lock().unwrap().push(node_of(&request));
        async { Ok(failing(Status::unavailable("busy"))) }
    });
    let options = CallOptions::new().idempotent(true).retries(3);
    let at_once = |_: RetryContext<'_>| Ok(Duration::ZERO);
    let client = builder()
        .registry(Static::new([on(ids)]))
        .connect(connect)
        .options(options.backoff(at_once));
    call(&client.build().unwrap()).await.unwrap_err();
    let mut tried = tried.lock().unwrap().clone();
    tried.sort();
    assert_eq!(tried, ids);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_has_another_node_does_not_wait_and_one_that_has_none_does() {
    let took = async |ids: Service| {
        let connect = Scripted::new(|request| async move {
            match number_of(&request) {
                0 => Ok(failing(Status::unavailable("busy"))),
                _ => Ok(greeting("n")),
            }
        });
        let client = builder().registry(Static::new([ids])).connect(connect);
        let client = client.options(CallOptions::new().idempotent(true));
        let began = Instant::now();
        call(&client.build().unwrap()).await.unwrap();
        began.elapsed().as_millis()
    };
    assert_eq!(took(on(["a", "b"])).await, 0);
    let alone = took(on(["a"])).await;
    assert!((20..=31).contains(&alone), "{alone} ms");
}
