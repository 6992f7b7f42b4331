//! Differences from go-micro that are meant and that no other subject holds. All of them are listed in `docs/from-go-micro.md`.

use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use http::header::CONTENT_TYPE;
use tonic::Status;
use tower_micro::{CallOptions, Context, Error, Next, Preset, RequestExt, from_fn};

use crate::support::{
    Diary, Fleet, Recording, call, greeter, greeting, hello, scripted, soon, wired,
};

/// A wrapper that writes down its name and hands on.
macro_rules! writing {
    ($diary:expr, $name:expr) => {{
        let (diary, name) = ($diary.clone(), String::from($name));
        move |_: Context, request, next: Next| {
            diary.write(&name);
            async move { next.run(request).await }
        }
    }};
}

// go-micro appends the wrappers of a request to a slice whose memory all calls of a client share (`client/options.go`).
#[tokio::test]
async fn wrappers_of_requests_at_the_same_time_do_not_mix() {
    let all = Diary::default();
    let client = scripted(&Recording::of(1), |_| async { Ok(greeting("n0")) })
        .wrap_call((from_fn(writing!(all, "a")), from_fn(writing!(all, "b"))))
        .options(CallOptions::new().call_wrapper(writing!(all, "c")))
        .build()
        .unwrap();
    let one = |number: usize| {
        let mine = Diary::default();
        let wrapper = writing!(mine, number.to_string());
        let request = hello().with_options(CallOptions::new().call_wrapper(wrapper));
        let mut greeter = greeter(&client);
        async move {
            greeter.say_hello(request).await.unwrap();
            assert_eq!(mine.entries(), [number.to_string()]);
        }
    };
    soon(join_all((0..64).map(one))).await;
    assert_eq!(all.entries().len(), 3 * 64);
}

// go-micro's clients share one selector, so that the registry of the last one made is everybody's (`client/options.go`).
#[tokio::test]
async fn each_client_has_the_registry_it_was_given() {
    let (first, second) = (Fleet::of(1).await, Fleet::of(1).await);
    let client = |fleet: &Fleet| wired().registry(fleet.registry()).build().unwrap();
    let (one, other) = (client(&first), client(&second));
    call(&one).await.unwrap();
    assert_eq!((first.calls(), second.calls()), (1, 0));
    call(&other).await.unwrap();
    assert_eq!((first.calls(), second.calls()), (1, 1));
}

// In Go the attempt has written into the caller's response before a wrapper sees how it ended (`client/grpc/grpc.go`).
#[tokio::test]
async fn an_answer_that_a_wrapper_throws_away_is_gone() {
    let second = |_: Context, request, next: Next| async move {
        next.run(request).await?;
        Ok(greeting("n1"))
    };
    let none = |_: Context, request, next: Next| async move {
        next.run(request).await?;
        Err(Error::from(Status::aborted("thrown away")))
    };
    let node = || scripted(&Recording::of(1), |_| async { Ok(greeting("n0")) });
    let client = node().wrap_call(from_fn(second)).build().unwrap();
    assert_eq!(call(&client).await.unwrap().node, "n1");
    let client = node().wrap_call(from_fn(none)).build().unwrap();
    assert_eq!(call(&client).await.unwrap_err().message(), "thrown away");
}

// go-micro picks a codec by `client.ContentType` and `WithContentType`.
#[tokio::test]
async fn what_is_sent_is_of_the_generated_clients_codec_in_every_preset() {
    for preset in [Preset::Standard, Preset::GoMicroV2, Preset::GoMicroV4] {
        let sent = Arc::new(Mutex::new(None));
        let at_node = Arc::clone(&sent);
        let client = scripted(&Recording::of(1), move |request| {
            *at_node.lock().unwrap() = request.headers().get(CONTENT_TYPE).cloned();
            async { Ok(greeting("n0")) }
        });
        call(&client.preset(preset).build().unwrap()).await.unwrap();
        assert_eq!(sent.lock().unwrap().take().unwrap(), "application/grpc");
    }
}
