use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;

/// As go-micro v2 puts it into etcd.
const STORED: &str = concat!(
    r#"{"name":"greeter","version":"latest","metadata":null,"endpoints":[],"nodes":[{"#,
    r#""id":"greeter-6f1c2f0e-8d1b-4b7e-9a0c-0a1b2c3d4e5f","address":"10.0.0.7:34567","metadata":{"#,
    r#""broker":"http","protocol":"grpc","registry":"etcd","server":"grpc","transport":"grpc"}}]}"#,
);

fn stored() -> Service {
    let node = Node::new(
        "greeter-6f1c2f0e-8d1b-4b7e-9a0c-0a1b2c3d4e5f",
        "10.0.0.7:34567",
    )
    .with_metadata("broker", "http")
    .with_metadata("protocol", "grpc")
    .with_metadata("registry", "etcd")
    .with_metadata("server", "grpc")
    .with_metadata("transport", "grpc");
    Service::new("greeter", "latest").with_node(node)
}

#[test]
fn what_a_registry_may_keep_secret_is_not_printed() {
    let node = Node::new("n0", "10.0.0.7:1").with_metadata("password", "c4n4ry");
    let endpoint = Endpoint::new("Greeter.Hello").with_metadata("token", "c4n4ry");
    let mut service = Service::new("greeter", "1")
        .with_node(node)
        .with_endpoint(endpoint);
    service.metadata.insert("key".into(), "c4n4ry".into());
    let printed = format!("{service:?}");
    let keys = ["password", "token", "key"];
    assert!(keys.iter().all(|key| printed.contains(key)), "{printed}");
    assert!(!printed.contains("c4n4ry"), "{printed}");
}

fn read(json: &str) -> Service {
    serde_json::from_str(json).unwrap()
}

#[test]
fn what_go_micro_stored_is_read() {
    assert_eq!(read(STORED), stored());
}

#[test]
fn what_is_written_is_go_micros_to_the_byte() {
    assert_eq!(serde_json::to_string(&stored()).unwrap(), STORED);
}

#[test]
fn an_endpoint_is_written_with_every_field_and_null_for_nothing() {
    let request = Value {
        name: "name".into(),
        kind: "string".into(),
        values: Vec::new(),
    };
    let endpoint = Endpoint {
        request: Some(request),
        ..Endpoint::new("Greeter.Hello")
    };
    assert_eq!(
        serde_json::to_string(&endpoint.with_metadata("stream", "true")).unwrap(),
        concat!(
            r#"{"name":"Greeter.Hello","request":{"name":"name","type":"string","values":null},"#,
            r#""response":null,"metadata":{"stream":"true"}}"#
        )
    );
}

#[test]
fn the_field_order_of_later_versions_is_read_too() {
    let json = r#"{"nodes":[{"metadata":{"protocol":"grpc"},"id":"a","address":"h:1"}],
        "endpoints":[{"request":{"values":[{"type":"int","name":"n"}]},"name":"G.H"}],"name":"greeter"}"#;
    let service = read(json);
    assert_eq!(
        service.nodes,
        [Node::new("a", "h:1").with_metadata("protocol", "grpc")]
    );
    assert_eq!(
        service.endpoints[0].request.as_ref().unwrap().values[0].kind,
        "int"
    );
}

#[test]
fn null_stands_for_every_field() {
    let json = r#"{"name":null,"version":null,"metadata":null,"endpoints":null,"nodes":null}"#;
    assert_eq!(read(json), Service::default());
    let json = r#"{"nodes":[null,{"id":null,"address":null,"metadata":{"key":null}}],
        "endpoints":[null,{"name":null,"request":null,"metadata":null},
            {"response":{"name":null,"type":null,"values":null}}]}"#;
    let service = read(json);
    assert_eq!(service.nodes, [Node::default().with_metadata("key", "")]);
    let response = Some(Value::default());
    assert_eq!(
        service.endpoints,
        [
            Endpoint::default(),
            Endpoint {
                response,
                ..Endpoint::default()
            }
        ]
    );
}

#[test]
fn missing_fields_are_filled_in_and_unknown_ones_passed_over() {
    assert_eq!(
        read(r#"{"name":"greeter","ttl":60,"nodes":[{"weight":{"a":[1]}}]}"#)
            .nodes
            .len(),
        1
    );
    assert_eq!(read("{}"), Service::default());
}

#[test]
fn a_field_of_another_type_is_an_error_and_no_panic() {
    for json in [
        r#"{"nodes":{}}"#,
        r#"{"name":1}"#,
        r#"{"metadata":{"a":1}}"#,
        "null",
        "",
        "{",
    ] {
        assert!(serde_json::from_str::<Service>(json).is_err(), "{json}");
    }
}

#[test]
fn values_nested_without_end_are_an_error_and_no_panic() {
    let json = format!(
        r#"{{"endpoints":[{{"request":{}"#,
        r#"{"values":["#.repeat(100_000)
    );
    assert!(serde_json::from_str::<Service>(&json).is_err());
}

fn metadata() -> impl Strategy<Value = Metadata> {
    btree_map(".{0,4}", ".{0,4}", 0..3)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = (".{0,4}", ".{0,4}").prop_map(|(name, kind)| Value {
        name,
        kind,
        values: Vec::new(),
    });
    leaf.prop_recursive(3, 9, 3, |inner| {
        (".{0,4}", ".{0,4}", vec(inner, 0..3)).prop_map(|(name, kind, values)| Value {
            name,
            kind,
            values,
        })
    })
}

prop_compose! {
    fn endpoint()(
        name in ".{0,4}", request in option::of(value()), response in option::of(value()), metadata in metadata(),
    ) -> Endpoint {
        Endpoint { name, request, response, metadata }
    }
}

prop_compose! {
    fn node()(id in ".{0,4}", address in ".{0,9}", metadata in metadata()) -> Node {
        Node { id, address, metadata }
    }
}

prop_compose! {
    fn service()(
        name in ".{0,4}", version in ".{0,4}", metadata in metadata(),
        endpoints in vec(endpoint(), 0..3), nodes in vec(node(), 0..3),
    ) -> Service {
        Service { name, version, metadata, endpoints, nodes }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_unchanged(service in service()) {
        prop_assert_eq!(read(&serde_json::to_string(&service).unwrap()), service);
    }

    #[test]
    fn no_text_makes_reading_panic(text in "[\\[\\]{}:,\"a-z0-9 null]{0,60}") {
        let _ = serde_json::from_str::<Service>(&text);
    }
}
