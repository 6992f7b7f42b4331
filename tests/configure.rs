//! Changing options while calls are made: go-micro's `Init`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{sync::Semaphore, task::JoinSet};
use tonic::{Code, Status};
use tower_micro::{
    BuildError, CallOptions, Candidate, Client, Connect, Error, PoolOptions, RequestExt,
    RetryContext, Settings, Static,
};
use tower_micro_testkit::{
    Answer as Does, Scripted, ScriptedNode,
    proto::{go_micro, greeter::greeter_client::GreeterClient},
};

use crate::support::{
    Fleet, Recording, builder, call, failing, greeter, greeting, hello, scripted, soon, wired,
};

const METHOD: &str = "greeter.Greeter/SayHello";

/// A client of nodes that are always busy, and how many attempts were made in all.
fn busy() -> (crate::support::Bare, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let client = scripted(&Recording::of(1), move |_| {
        counted.fetch_add(1, SeqCst);
        async { Ok(failing(Status::unavailable("busy"))) }
    });
    let at_once = |_: RetryContext<'_>| Ok(Duration::ZERO);
    let options = CallOptions::new().idempotent(true).backoff(at_once);
    (client.options(options), sent)
}

/// How many attempts a call of `client` takes.
async fn attempts(client: &Client, sent: &AtomicUsize) -> usize {
    sent.store(0, SeqCst);
    call(client).await.unwrap_err();
    sent.load(SeqCst)
}

fn retries(retries: u32) -> CallOptions {
    CallOptions::new().retries(retries)
}

#[tokio::test]
async fn retries_change_with_the_next_call() {
    let (client, sent) = busy();
    let client = client.build().unwrap();
    assert_eq!(attempts(&client, &sent).await, 3);
    for retries in [0, 4, 1] {
        let options = self::retries(retries);
        client
            .configure(|settings| {
                settings.options(options.clone());
            })
            .unwrap();
        assert_eq!(attempts(&client, &sent).await, 1 + retries as usize);
    }
}

#[tokio::test]
async fn a_change_reaches_channels_and_clones_that_are_there() {
    let (client, sent) = busy();
    let client = client.build().unwrap();
    let mut before = GreeterClient::new(client.channel("greeter"));
    client
        .clone()
        .configure(|settings| {
            settings.options(retries(0));
        })
        .unwrap();
    soon(before.say_hello(hello())).await.unwrap_err();
    assert_eq!(sent.load(SeqCst), 1);
}

#[tokio::test]
async fn a_timeout_changes_with_the_next_call() {
    let fleet = Fleet::of(1).await;
    fleet.greeters[0].answer(Does::Never);
    let client = wired().registry(fleet.registry()).build().unwrap();
    client
        .configure(|settings| {
            settings.options(CallOptions::new().timeout(Duration::from_millis(50)));
        })
        .unwrap();
    let status = call(&client).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(status.message().contains("50ms"), "{status}");
}

#[tokio::test]
async fn what_a_change_leaves_out_stays() {
    let (client, sent) = busy();
    let client = client.options(retries(4)).build().unwrap();
    client
        .configure(|settings| {
            settings.options(CallOptions::new().timeout(Duration::from_secs(9)));
        })
        .unwrap();
    assert_eq!(attempts(&client, &sent).await, 5);
}

#[tokio::test]
async fn options_of_a_method_count_before_those_of_the_client_and_after_those_of_the_request() {
    let (client, sent) = busy();
    let client = client.options(retries(4)).method(METHOD, retries(1));
    let client = client.build().unwrap();
    assert_eq!(attempts(&client, &sent).await, 2);

    sent.store(0, SeqCst);
    let request = hello().with_options(retries(3));
    soon(greeter(&client).say_hello(request)).await.unwrap_err();
    assert_eq!(sent.load(SeqCst), 4);

    sent.store(0, SeqCst);
    let mut other = go_micro::greeter_client::GreeterClient::new(client.channel("greeter"));
    let request = tonic::Request::new(go_micro::Request::default());
    soon(other.say(request)).await.unwrap_err();
    assert_eq!(sent.load(SeqCst), 5, "another method has the client's");
}

#[tokio::test]
async fn options_of_a_method_change_too_and_survive_a_change_of_the_clients() {
    let (client, sent) = busy();
    let client = client.build().unwrap();
    client
        .configure(|settings| {
            settings.method(METHOD, retries(0));
        })
        .unwrap();
    assert_eq!(attempts(&client, &sent).await, 1);
    client
        .configure(|settings| {
            settings.options(retries(7));
        })
        .unwrap();
    assert_eq!(attempts(&client, &sent).await, 1);
}

/// Counts the connections it makes.
#[derive(Debug)]
struct Counting {
    inner: Scripted,
    opened: Arc<AtomicUsize>,
}

impl Connect for Counting {
    type Connection = ScriptedNode;

    fn connect(&self, node: &Candidate, timeout: Option<Duration>) -> Result<ScriptedNode, Error> {
        self.opened.fetch_add(1, SeqCst);
        self.inner.connect(node, timeout)
    }
}

/// Holds eight calls at the node at once, then lets them go.
async fn eight_at_once(client: &Client, arrived: &Semaphore, gate: &Semaphore) {
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        let mut greeter = greeter(client);
        calls.spawn(async move { greeter.say_hello(hello()).await });
    }
    soon(arrived.acquire_many(8)).await.unwrap().forget();
    gate.add_permits(8);
    let answers = soon(calls.join_all()).await;
    assert!(answers.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_pool_grows_when_it_may() {
    let (arrived, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (at_node, wait) = (Arc::clone(&arrived), Arc::clone(&gate));
    let opened = Arc::new(AtomicUsize::new(0));
    let inner = Scripted::new(move |_| {
        let (at_node, wait) = (Arc::clone(&at_node), Arc::clone(&wait));
        async move {
            at_node.add_permits(1);
            wait.acquire().await.unwrap().forget();
            Ok(greeting("n"))
        }
    });
    let connect = Counting {
        inner,
        opened: Arc::clone(&opened),
    };
    let one_each = PoolOptions {
        size: 1,
        max_streams: 1,
        ..PoolOptions::default()
    };
    let client = builder()
        .registry(Static::addresses("greeter", ["10.0.0.1:1"]).unwrap())
        .connect(connect)
        .pool(one_each)
        .build()
        .unwrap();
    eight_at_once(&client, &arrived, &gate).await;
    assert_eq!(opened.load(SeqCst), 1);
    client
        .configure(|settings| {
            let pool = *settings.pool();
            settings.set_pool(PoolOptions { size: 3, ..pool });
        })
        .unwrap();
    eight_at_once(&client, &arrived, &gate).await;
    assert_eq!(opened.load(SeqCst), 3);
}

/// What a change is refused with; nothing has changed then.
async fn refused(change: impl Fn(&mut Settings)) -> BuildError {
    let (client, sent) = busy();
    let client = client.options(retries(1)).build().unwrap();
    let before = format!("{:?}", client.settings());
    let error = client
        .configure(|settings| {
            settings.options(retries(9));
            change(settings);
        })
        .unwrap_err();
    assert_eq!(format!("{:?}", client.settings()), before);
    assert_eq!(attempts(&client, &sent).await, 2);
    error
}

#[tokio::test]
async fn a_change_that_cannot_work_is_refused_as_a_whole() {
    let error = refused(|settings| {
        settings.options(CallOptions::new().timeout(Duration::ZERO));
    });
    let text = "`timeout` of the client is zero, so that no call could succeed: \
                leave it out or make it longer";
    assert_eq!(error.await.to_string(), text);

    let error = refused(|settings| {
        settings.method(METHOD, CallOptions::new().attempt_timeout(Duration::ZERO));
    });
    let option = "attempt_timeout";
    assert_eq!(
        error.await,
        BuildError::ZeroTime {
            of: METHOD.into(),
            option
        }
    );

    let error = refused(|settings| {
        settings.method("SayHello", CallOptions::new());
    });
    let given = "SayHello".into();
    assert_eq!(error.await, BuildError::Method { given });

    let error = refused(|settings| {
        let pool = *settings.pool();
        settings.set_pool(PoolOptions { size: 0, ..pool });
    });
    assert_eq!(error.await, BuildError::EmptyPool);
}

#[tokio::test]
async fn a_call_that_has_begun_keeps_the_options_it_began_with() {
    let (arrived, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (at_node, wait) = (Arc::clone(&arrived), Arc::clone(&gate));
    let client = scripted(&Recording::of(1), move |request| {
        let (at_node, wait) = (Arc::clone(&at_node), Arc::clone(&wait));
        async move {
            at_node.add_permits(1);
            wait.acquire().await.unwrap().forget();
            match crate::support::number_of(&request) {
                2 => Ok(greeting("n0")),
                _ => Ok(failing(Status::unavailable("busy"))),
            }
        }
    });
    let at_once = |_: RetryContext<'_>| Ok(Duration::ZERO);
    let options = CallOptions::new().idempotent(true).backoff(at_once);
    let client = client.options(options).build().unwrap();
    let mut greeter = greeter(&client);
    let call = tokio::spawn(async move { greeter.say_hello(hello()).await });
    soon(arrived.acquire()).await.unwrap().forget();
    client
        .configure(|settings| {
            settings.options(retries(0));
        })
        .unwrap();
    gate.add_permits(9);
    soon(call).await.unwrap().unwrap();
    assert!(
        self::call(&client).await.is_err(),
        "the next one has no retry"
    );
}

#[test]
fn changes_at_the_same_time_are_all_made() {
    let (client, _) = busy();
    let client = client.build().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let client = &client;
            scope.spawn(move || {
                for number in 0..25 {
                    let method = format!("greeter.Greeter/M{thread}x{number}");
                    client
                        .configure(|settings| {
                            settings.method(&method, retries(0));
                        })
                        .unwrap();
                }
            });
        }
    });
    let settings = format!("{:?}", client.settings());
    assert_eq!(settings.matches("greeter.Greeter/M").count(), 100);
}

#[tokio::test]
async fn the_client_may_be_used_while_its_settings_change() {
    let (client, _) = busy();
    let client = client.build().unwrap();
    let (done, changed) = tokio::sync::oneshot::channel();
    // On a thread that nobody waits for, should it stand still.
    std::thread::spawn(move || {
        let changed = client.configure(|settings| {
            let _channel = client.channel("greeter");
            settings.options(retries(client.settings().pool().size as u32));
        });
        let _ = done.send(changed);
    });
    soon(changed).await.unwrap().unwrap();
}
