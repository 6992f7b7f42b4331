//! Names, addresses and numbers that a caller or a registry may come with.

use std::time::Duration;

use tonic::Code;
use tower_micro::{
    CallOptions, Error, Filter, Metadata, Node, RetryContext, Service, Static, metadata,
};
use tower_micro_testkit::{
    closed_port,
    proto::{go_micro, greeter::greeter_client::GreeterClient},
};

use super::{happy, says, with};
use crate::support::{Fleet, Recording, builder, call, greeter, hello, soon};

#[tokio::test]
async fn a_name_that_cannot_be_a_services_is_told_at_once_or_by_every_call() {
    let client = happy(&Recording::of(1)).build().unwrap();
    let long = "x".repeat(254);
    let names = [
        ("", "service name is empty"),
        ("a/b", "has '/' at character 2"),
        ("a b", "has ' ' at character 2"),
        ("grüße", "has 'ü' at character 3"),
        ("a\r\nb", "has '\\r' at character 2"),
        (&long, "254 bytes"),
    ];
    for (name, why) in names {
        assert!(
            client
                .try_channel(name)
                .unwrap_err()
                .to_string()
                .contains(why)
        );
        let mut greeter = GreeterClient::new(client.channel(name));
        let status = soon(greeter.say_hello(hello())).await.unwrap_err();
        says(&status, Code::InvalidArgument, &[why]);
    }
}

#[tokio::test]
async fn a_node_whose_address_has_no_form_is_left_out() {
    let service = Service::new("greeter", "latest");
    let broken = service.with_node(Node::new("n0", "10.0.0.7"));
    let registry = Static::new([broken.clone()]);
    let client = builder().registry(registry).build().unwrap();
    let status = call(&client).await.unwrap_err();
    says(
        &status,
        Code::Unavailable,
        &["no node available", "service greeter"],
    );

    let fleet = Fleet::of(1).await;
    let registry = Static::new([broken.with_node(fleet.servers[0].node())]);
    let client = builder().registry(registry).build().unwrap();
    for _ in 0..20 {
        call(&client).await.unwrap();
    }
}

#[tokio::test]
async fn an_address_of_a_request_that_has_no_form_is_told_with_what_it_lacks() {
    let client = builder().registry(Static::default()).build().unwrap();
    let addresses = [
        ("10.0.0.7", "has no port"),
        ("", "is empty"),
        (":80", "has no host"),
        ("host:0", "no number from 1 to 65535"),
        ("http://host:80", "a character other than"),
        ("host:80/path", "no number from 1 to 65535"),
        ("admin:s3cret@host:80", "a character other than"),
    ];
    for (address, why) in addresses {
        let status = with(&client, CallOptions::new().address([address])).await;
        let parts = [why, "service greeter", "1 attempt"];
        says(&status, Code::InvalidArgument, &parts);
        assert!(!format!("{status:?}").contains("s3cret"), "{status:?}");
    }
}

#[tokio::test]
async fn a_service_that_nobody_knows_is_unavailable() {
    let fleet = Fleet::of(1).await;
    let empty = builder().registry(Static::default()).build().unwrap();
    let status = call(&empty).await.unwrap_err();
    says(
        &status,
        Code::Unavailable,
        &["the registry knows no service `greeter`"],
    );

    let other = builder().registry(fleet.registry()).build().unwrap();
    let mut greeter = GreeterClient::new(other.channel("grocer"));
    let status = soon(greeter.say_hello(hello())).await.unwrap_err();
    says(
        &status,
        Code::Unavailable,
        &["the registry knows no service `grocer`"],
    );
}

#[tokio::test]
async fn filters_that_leave_nothing_are_told_so() {
    let fleet = Fleet::of(2).await;
    let client = builder().registry(fleet.registry()).build().unwrap();
    let filters = [
        Filter::version("9"),
        Filter::label("zone", "moon"),
        Filter::endpoint("Greeter.Dance"),
        Filter::custom("none", |_, _| false),
    ];
    for filter in filters {
        let status = with(&client, CallOptions::new().filter(filter)).await;
        let parts = [
            "no node available: every node was filtered out",
            "service greeter",
        ];
        says(&status, Code::Unavailable, &parts);
    }
}

#[tokio::test]
async fn when_all_nodes_are_down_the_last_refusal_is_told_with_its_story() {
    let mut service = Service::new("greeter", "latest");
    for number in 0..3 {
        let address = closed_port().await.unwrap();
        service = service.with_node(Node::new(format!("n{number}"), address));
    }
    let client = builder().registry(Static::new([service])).build().unwrap();
    let status = call(&client).await.unwrap_err();
    let parts = [
        "onnection refused",
        "service greeter",
        "node n",
        " at 127.0.0.1:",
        "3 attempts",
        "the attempt before ended with Unavailable",
    ];
    says(&status, Code::Unavailable, &parts);
}

#[tokio::test]
async fn a_method_that_the_server_does_not_have_is_unimplemented_and_asked_for_once() {
    let fleet = Fleet::of(2).await;
    let client = builder().registry(fleet.registry());
    let client = client.options(CallOptions::new().idempotent(true));
    let channel = client.build().unwrap().channel("greeter");
    let mut other = go_micro::greeter_client::GreeterClient::new(channel);
    let request = tonic::Request::new(go_micro::Request::default());
    let status = soon(other.say(request)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert_eq!(Error::from(status).attempts(), 1);
}

#[test]
fn metadata_that_cannot_be_a_header_is_refused_where_it_is_put_in() {
    let mut metadata = Metadata::new();
    for (key, value) in [
        ("", "1"),
        ("two words", "1"),
        ("grpc-timeout", "1S"),
        (":path", "/"),
        ("x-line", "a\r\nb"),
        ("x-text", "grüße"),
    ] {
        let refused: metadata::InvalidMetadata = metadata.insert(key, value).unwrap_err();
        assert_eq!(refused.key(), key);
    }
    assert!(metadata.is_empty());
}

#[tokio::test]
async fn a_grpc_timeout_that_is_none_is_told_before_anything_is_sent() {
    let recording = Recording::of(1);
    let client = happy(&recording).build().unwrap();
    for garbage in ["soon", "", "1", "S", "123456789S", "-1S", "1.5S", "1s"] {
        let mut request = hello();
        request
            .metadata_mut()
            .insert("grpc-timeout", garbage.parse().unwrap());
        let status = soon(greeter(&client).say_hello(request)).await.unwrap_err();
        says(
            &status,
            Code::InvalidArgument,
            &["is not 1 to 8 digits", garbage],
        );
    }
    assert_eq!(recording.diary.text(), "");
}

#[tokio::test(start_paused = true)]
async fn numbers_as_large_as_they_come_are_no_trouble() {
    let recording = Recording::of(2);
    let endless = CallOptions::new()
        .timeout(Duration::MAX)
        .attempt_timeout(Duration::MAX)
        .retries(u32::MAX)
        .idempotent(true);
    let client = happy(&recording).options(endless).build().unwrap();
    call(&client).await.unwrap();

    let shared = CallOptions::new().retries(u32::MAX).idempotent(true);
    let client = happy(&recording).options(shared.clone()).build().unwrap();
    call(&client).await.unwrap();

    let patient = shared.backoff(|_: RetryContext<'_>| Ok(Duration::MAX));
    let client = happy(&recording).options(patient).build().unwrap();
    let status = call(&client).await.unwrap_err();
    says(&status, Code::DeadlineExceeded, &["service greeter"]);
}
