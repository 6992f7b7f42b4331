//! Differences from go-micro that are meant and that no other subject holds. All of them are listed in `docs/from-go-micro.md`.

use futures_util::future::join_all;
use tower_micro::{CallOptions, Context, Next, RequestExt, from_fn};

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
