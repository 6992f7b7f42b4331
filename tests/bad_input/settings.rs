//! Settings with which no call could succeed.

use std::time::Duration;

use tonic::Code;
use tower_micro::{BuildError, CallOptions, Hedge, PoolOptions};

use super::{happy, says, with};
use crate::support::{Recording, builder};

#[test]
fn times_of_zero_are_found_when_the_client_is_built() {
    let options = [
        ("timeout", CallOptions::new().timeout(Duration::ZERO)),
        (
            "attempt_timeout",
            CallOptions::new().attempt_timeout(Duration::ZERO),
        ),
        (
            "connect_timeout",
            CallOptions::new().connect_timeout(Duration::ZERO),
        ),
    ];
    for (option, zero) in options {
        let built = happy(&Recording::of(1)).options(zero.clone()).build();
        let of = "the client".to_owned();
        assert_eq!(built.unwrap_err(), BuildError::ZeroTime { of, option });
        let method = "greeter.Greeter/SayHello";
        let built = happy(&Recording::of(1)).method(method, zero).build();
        let of = method.to_owned();
        assert_eq!(built.unwrap_err(), BuildError::ZeroTime { of, option });
    }
}

#[test]
fn a_limit_that_lets_nothing_through_and_a_hedge_without_retries_are_found_too() {
    let of = || "the client".to_owned();
    let nothing = CallOptions::new().max_in_flight(0);
    let hedge = Hedge::after(Duration::from_millis(10));
    let alone = CallOptions::new().hedge(hedge).retries(0);
    for (options, error) in [
        (nothing, BuildError::NothingInFlight { of: of() }),
        (alone, BuildError::HedgeWithoutRetries { of: of() }),
    ] {
        let built = happy(&Recording::of(1)).options(options).build();
        assert_eq!(built.unwrap_err(), error);
    }
}

#[tokio::test]
async fn a_method_without_retries_is_not_hedged_as_its_client_is() {
    let recording = Recording::of(2);
    let hedge = Hedge::after(Duration::from_millis(10));
    let client = CallOptions::new().hedge(hedge).idempotent(true);
    let method = ("greeter.Greeter/SayHello", CallOptions::new().retries(0));
    let built = happy(&recording).options(client).method(method.0, method.1);
    crate::support::call(&built.build().unwrap()).await.unwrap();
    assert_eq!(recording.diary.count("next:n0"), 1);
}

#[tokio::test]
async fn a_request_without_any_time_ends_before_an_attempt_is_made() {
    let recording = Recording::of(1);
    let client = happy(&recording).build().unwrap();
    let status = with(&client, CallOptions::new().timeout(Duration::ZERO)).await;
    says(
        &status,
        Code::DeadlineExceeded,
        &["deadline of 0ns", "service greeter"],
    );
    assert_eq!(recording.diary.text(), "select:greeter");
}

#[test]
fn a_pool_without_room_a_method_without_a_name_and_no_registry_at_all_are_found_when_built() {
    let pools = [
        PoolOptions {
            size: 0,
            ..PoolOptions::default()
        },
        PoolOptions {
            max_streams: 0,
            ..PoolOptions::default()
        },
    ];
    for pool in pools {
        let built = happy(&Recording::of(1)).pool(pool).build();
        assert_eq!(built.unwrap_err(), BuildError::EmptyPool);
    }
    for method in [
        "",
        "/",
        "SayHello",
        "greeter.Greeter/",
        "/SayHello",
        "a/b/c",
    ] {
        let built = happy(&Recording::of(1))
            .method(method, CallOptions::new())
            .build();
        let given = method.to_owned();
        assert_eq!(built.unwrap_err(), BuildError::Method { given });
    }
    let error = builder().build().unwrap_err();
    assert_eq!(error, BuildError::NoRegistry);
    assert!(
        error
            .to_string()
            .contains("give the builder one with `registry`")
    );
}

#[tokio::test]
async fn a_request_that_gives_its_attempts_no_time_is_refused() {
    let recording = Recording::of(1);
    let client = happy(&recording).build().unwrap();
    let none = CallOptions::new;
    for (option, options) in [
        ("attempt_timeout", none().attempt_timeout(Duration::ZERO)),
        ("connect_timeout", none().connect_timeout(Duration::ZERO)),
    ] {
        let status = with(&client, options).await;
        let option = format!("`{option}` of the request is zero");
        let parts = [&*option, "leave it out or make it longer"];
        says(&status, Code::InvalidArgument, &parts);
    }
    assert_eq!(recording.diary.text(), "");
}
