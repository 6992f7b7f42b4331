//! What can be wrong with names, addresses, settings, wrappers and answers: each is a clear status, never a panic and never a hang.

mod names;

mod settings;

mod panics;

mod answers;

mod servers;

use tonic::{Code, Status};
use tower_micro::{CallOptions, Client, RequestExt};

use crate::support::{Bare, Recording, greeter, greeting, hello, scripted, soon};

/// The status of a call that fails, with `code` and all of `parts` in its message.
#[track_caller]
fn says(status: &Status, code: Code, parts: &[&str]) {
    assert_eq!(status.code(), code, "{status}");
    for part in parts {
        assert!(status.message().contains(part), "{part:?} in {status}");
    }
}

async fn with(client: &Client, options: CallOptions) -> Status {
    let request = hello().with_options(options);
    soon(greeter(client).say_hello(request)).await.unwrap_err()
}

fn happy(recording: &Recording) -> Bare {
    scripted(recording, |_| async { Ok(greeting("n0")) })
}
