//! Settings with which no call could succeed.

use std::time::Duration;

use tonic::Code;
use tower_micro::{
    BuildError, CallOptions, Hedge, Node, Outlier, PoolOptions, Proxy, Static,
    connect::{Connect, H2, Keepalive, Tonic},
};

use super::{happy, says, with};
use crate::support::{Fleet, Recording, builder, call, soon};

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
    call(&built.build().unwrap()).await.unwrap();
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
        PoolOptions {
            ttl: Some(Duration::ZERO),
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
        "greeter.Greeter/*",
        "/SayHello",
        "a/b/c",
        "greeter.Greeter/SayHello?",
        "greeter.Greeter/Say Hello",
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

/// What a client with `options` is not built for, which one that runs does not change to.
fn not_built(options: &CallOptions) -> BuildError {
    let built = happy(&Recording::of(1)).options(options.clone()).build();
    let client = happy(&Recording::of(1)).build().unwrap();
    let changed = client.configure(|settings| {
        settings.options(options.clone());
    });
    let refused = built.unwrap_err();
    assert_eq!(changed.unwrap_err(), refused);
    refused
}

#[tokio::test]
async fn a_share_of_the_calls_that_is_none_is_refused_in_percent_too() {
    for (share, given) in [(95.0, "95"), (-0.1, "-0.1"), (f64::NAN, "NaN")] {
        let hedged = CallOptions::new().hedge(Hedge::after_percentile(share));
        let of = "the client".to_owned();
        let given = given.to_owned();
        assert_eq!(not_built(&hedged), BuildError::Share { of, given });
        let client = happy(&Recording::of(1)).build().unwrap();
        let status = with(&client, hedged).await;
        let parts = ["`hedge` of the request", "give one from 0.0 to 1.0"];
        says(&status, Code::InvalidArgument, &parts);
    }
}

#[tokio::test]
async fn a_request_is_refused_what_its_client_would_not_be_built_with() {
    let recording = Recording::of(1);
    let client = happy(&recording).build().unwrap();
    let hedge = Hedge::after(Duration::from_millis(10));
    let none = CallOptions::new;
    for (options, what) in [
        (none().max_in_flight(0), "`max_in_flight` of the request"),
        (none().hedge(hedge).retries(0), "`hedge` of the request"),
    ] {
        let status = with(&client, options).await;
        says(&status, Code::InvalidArgument, &[what]);
    }
    assert_eq!(recording.diary.text(), "");
}

#[test]
fn nodes_are_not_judged_by_a_share_that_is_none_nor_in_no_time() {
    let outlier = Outlier::default;
    for (outlier, what) in [
        (
            outlier().success_rate(60.0, 20),
            "`success_rate` of an outlier is 60",
        ),
        (
            outlier().success_rate(f64::NAN, 20),
            "`success_rate` of an outlier is NaN",
        ),
        (
            outlier().max_ejected(-0.5),
            "`max_ejected` of an outlier is -0.5",
        ),
        (
            outlier().window(Duration::ZERO),
            "`window` of an outlier is zero",
        ),
    ] {
        let nodes = Static::addresses("greeter", ["127.0.0.1:1"]).unwrap();
        let built = builder().registry(nodes).health(outlier).build();
        let error = built.unwrap_err();
        assert!(matches!(error, BuildError::Outlier(_)), "{error:?}");
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn connections_that_cannot_work_are_found_when_the_client_is_built() {
    let keepalive = Keepalive::default;
    let (interval, timeout) = (
        Keepalive {
            interval: Duration::ZERO,
            ..keepalive()
        },
        Keepalive {
            timeout: Duration::ZERO,
            ..keepalive()
        },
    );
    for (connect, what) in [
        (
            H2::new().keepalive(interval),
            "`keepalive.interval` of the connections is zero: make it longer",
        ),
        (
            H2::new().keepalive(timeout),
            "`keepalive.timeout` of the connections is zero: make it longer",
        ),
        (
            H2::new().windows(0, 1 << 20),
            "`windows` of the connections is 0 bytes: give each from 1 to 2147483647",
        ),
        (
            H2::new().windows(1 << 20, 0),
            "`windows` of the connections is 0 bytes",
        ),
        (
            H2::new().windows(u32::MAX, 1 << 20),
            "`windows` of the connections is 4294967295 bytes",
        ),
        (
            H2::new().windows(1 << 20, 1 << 31),
            "`windows` of the connections is 2147483648 bytes",
        ),
    ] {
        let error = connect.check().unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
        let nodes = Static::addresses("greeter", ["127.0.0.1:1"]).unwrap();
        let built = builder().registry(nodes).connect(connect).build();
        assert_eq!(built.unwrap_err(), error);
    }
}

#[test]
fn tonics_connections_with_https_and_without_tls_are_found_too() {
    let https = || Tonic::new().authority("https://greeter.internal").unwrap();
    let error = https().check().unwrap_err().to_string();
    assert!(error.contains("set TLS up in `endpoint`"), "{error}");
    let nodes = Static::addresses("greeter", ["127.0.0.1:1"]).unwrap();
    let built = builder().registry(nodes).connect(https()).build();
    assert_eq!(built.unwrap_err().to_string(), error);
    assert_eq!(https().endpoint(Ok).check(), Ok(()));
}

/// `MICRO_PROXY`, and `MICRO_NETWORK_ADDRESS`.
fn proxies(address: &str) -> [Proxy; 2] {
    let [proxy, network] = [(); 2].map(|()| Some(address.to_owned()));
    [
        Proxy {
            proxy,
            ..Proxy::none()
        },
        Proxy {
            network_address: network,
            ..Proxy::none()
        },
    ]
}

/// What comes of a client of `connect` whose proxy is at `address`.
fn built_through(address: &str, connect: impl Connect + Clone) -> Result<(), BuildError> {
    let [by_proxy, by_network] = proxies(address).map(|proxy| {
        let client = builder().registry(Static::default()).proxy(proxy);
        client.connect(connect.clone()).build().map(drop)
    });
    assert_eq!(by_proxy, by_network);
    by_proxy
}

#[tokio::test]
async fn a_proxy_at_an_address_that_has_no_form_is_found_when_the_client_is_built() {
    for (address, why) in [
        ("http://10.0.0.1:8081", "a character other than"),
        ("10.0.0.1:", "has no port"),
        (":8081", "has no host"),
        ("admin:s3cret@10.0.0.1:8081", "a character other than"),
    ] {
        let by_ours = built_through(address, H2::new()).unwrap_err();
        let by_tonics = built_through(address, Tonic::new()).unwrap_err();
        assert_eq!(by_ours, by_tonics);
        let told = format!("{by_ours} {by_ours:?}");
        assert!(!told.contains("s3cret"), "{told}");
        let shown = format!("`{}`", address.replace("admin:s3cret", "…"));
        for part in [why, &shown, "give `MICRO_PROXY` or `MICRO_NETWORK_ADDRESS`"] {
            assert!(told.contains(part), "{part:?} in {told}");
        }
    }
    for address in ["10.0.0.1:8081", "[::1]:8081", "proxy:8081"] {
        assert_eq!(built_through(address, H2::new()), Ok(()), "{address}");
        assert_eq!(built_through(address, Tonic::new()), Ok(()), "{address}");
    }
}

#[tokio::test]
async fn a_proxy_has_an_address_of_whatever_form_is_dialled() {
    let dial = |_: &Node| async { std::io::Result::Ok(tokio::io::empty()) };
    let connect = H2::new().authority("proxy").unwrap().dial(dial);
    assert_eq!(built_through("vsock:2:8081", connect), Ok(()));
}

#[test]
fn a_client_with_a_proxy_is_built_where_no_runtime_is() {
    assert_eq!(built_through("10.0.0.1:8081", Tonic::new()), Ok(()));
}

#[tokio::test]
async fn connections_work_at_the_ends_of_what_they_can_be_set_to() {
    let fleet = Fleet::of(1).await;
    let most = i32::MAX as u32;
    let longest = Keepalive {
        interval: Duration::MAX,
        timeout: Duration::MAX,
        while_idle: false,
    };
    let shortest = Keepalive {
        interval: Duration::from_nanos(1),
        timeout: Duration::from_secs(20),
        while_idle: false,
    };
    for connect in [
        H2::new().windows(1, 1),
        H2::new().windows(most, most),
        H2::new().keepalive(longest),
        H2::new().keepalive(shortest),
        H2::new().user_agent("").unwrap(),
    ] {
        let client = builder().registry(fleet.registry()).connect(connect);
        let client = client.build().unwrap();
        for _ in 0..2 {
            assert_eq!(soon(call(&client)).await.unwrap().node, "n0");
        }
    }
}

#[tokio::test]
async fn calls_work_at_the_ends_of_what_they_can_be_set_to() {
    let far = Duration::MAX;
    let none = CallOptions::new;
    let wide = PoolOptions {
        size: usize::MAX,
        ttl: Some(far),
        max_streams: usize::MAX,
        max_idle: usize::MAX,
        second_at: Some(usize::MAX),
    };
    let narrow = PoolOptions {
        size: 1,
        ttl: Some(Duration::from_nanos(1)),
        max_streams: 1,
        max_idle: 0,
        second_at: Some(1),
    };
    let outlier = Outlier::default()
        .consecutive_failures(u32::MAX)
        .success_rate(1.0, u32::MAX)
        .window(far)
        .ejected_for(far)
        .at_most_for(far)
        .max_ejected(1.0);
    let fleet = Fleet::of(1).await;
    for options in [
        none()
            .timeout(far)
            .attempt_timeout(far)
            .connect_timeout(far),
        none()
            .retries(u32::MAX)
            .max_in_flight(u32::MAX)
            .idempotent(true),
        none().replay_limit(usize::MAX).retries(1),
        none()
            .idempotent(true)
            .hedge(Hedge::after(far).at_most(u32::MAX)),
        none().idempotent(true).hedge(Hedge::after_percentile(1.0)),
    ] {
        for pool in [wide, narrow] {
            let built = builder()
                .registry(fleet.registry())
                .options(options.clone())
                .pool(pool);
            let built = built
                .health(outlier)
                .slow_start(far)
                .replay_memory(usize::MAX);
            let client = built.build().unwrap();
            for _ in 0..2 {
                assert_eq!(soon(call(&client)).await.unwrap().node, "n0");
            }
        }
    }
}
