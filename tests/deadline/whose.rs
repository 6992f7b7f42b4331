//! Whose time it is: the client's, the request's, tonic's, or that of the call being served.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;
use tower_micro::{Ambient, Preset, RequestExt, ambient};

use super::{SECOND, hang, timed, within};
use crate::support::{Recording, call, greeter, hello, scripted};

/// When a call ends that hangs, with a timeout of two seconds and an inbound deadline.
async fn ends_within(preset: Preset, inbound: Duration) -> Duration {
    let client = scripted(&Recording::of(1), hang).preset(preset);
    let client = client.options(within(2 * SECOND)).build().unwrap();
    let inbound = Ambient::new().with_deadline(Some(Instant::now() + inbound));
    let (answer, took) = timed(ambient::scope(inbound, call(&client))).await;
    assert_eq!(answer.unwrap_err().code(), Code::DeadlineExceeded);
    took
}

#[tokio::test(start_paused = true)]
async fn the_earlier_of_the_handlers_deadline_and_the_timeout_ends_a_call() {
    assert_eq!(ends_within(Preset::Standard, SECOND).await, SECOND);
    assert_eq!(ends_within(Preset::Standard, 3 * SECOND).await, 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn in_go_micros_dialects_the_handlers_deadline_takes_the_timeouts_place_even_if_it_is_later()
{
    for preset in [Preset::GoMicroV2, Preset::GoMicroV4] {
        assert_eq!(ends_within(preset, SECOND).await, SECOND);
        assert_eq!(ends_within(preset, 3 * SECOND).await, 3 * SECOND);
    }
}

/// When a call ends that hangs, with a timeout of two seconds and one that tonic was asked for.
async fn ends_with_tonics(preset: Preset, asked: Duration) -> Duration {
    let client = scripted(&Recording::of(1), hang).preset(preset);
    let client = client.options(within(2 * SECOND)).build().unwrap();
    let mut request = hello();
    request.set_timeout(asked);
    let (answer, took) = timed(greeter(&client).say_hello(request)).await;
    assert_eq!(answer.unwrap_err().code(), Code::DeadlineExceeded);
    took
}

#[tokio::test(start_paused = true)]
async fn a_timeout_that_tonic_was_asked_for_is_the_callers() {
    assert_eq!(ends_with_tonics(Preset::Standard, SECOND).await, SECOND);
    assert_eq!(
        ends_with_tonics(Preset::Standard, 3 * SECOND).await,
        2 * SECOND
    );
    assert_eq!(
        ends_with_tonics(Preset::GoMicroV2, 3 * SECOND).await,
        3 * SECOND
    );
}

#[tokio::test(start_paused = true)]
async fn the_requests_own_timeout_takes_the_clients_place() {
    let client = scripted(&Recording::of(1), hang).options(within(SECOND));
    let client = client.build().unwrap();
    let request = hello().with_options(within(3 * SECOND));
    let (answer, took) = timed(greeter(&client).say_hello(request)).await;
    assert_eq!(
        (answer.unwrap_err().code(), took),
        (Code::DeadlineExceeded, 3 * SECOND)
    );
}
