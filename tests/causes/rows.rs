//! The rows, in the order in which a call goes: no connection, no answer, half an answer.

use std::{io::ErrorKind::HostUnreachable, time::Duration};

use tonic::Code::{
    self, Cancelled, DeadlineExceeded, Internal, OutOfRange, ResourceExhausted, Unavailable,
};
use tower_micro::{
    CallOptions, Client,
    Disposition::{self, NeverSent, Unknown, Unprocessed},
    Kind::{self, AttemptTimeout, Connect, Deadline, Other, Transport},
};
use tower_micro_testkit::{
    Scripted,
    h2_peer::{
        Peer,
        Step::{self, *},
        reason::{
            CANCEL, ENHANCE_YOUR_CALM, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM,
        },
    },
};

use super::{
    measure::{Counts, Ending, Measured, Row},
    scene::{
        Counting,
        Method::{self, Known, Stream, Unary},
        Scene, counting,
    },
};
use crate::support::builder;

/// Code, kind and disposition.
type End = (Code, Kind, Disposition);

const UNREACHABLE: End = (Unavailable, Connect, NeverSent);
const UNSEEN: End = (Unavailable, Transport, NeverSent);
const UNPROCESSED: End = (Unavailable, Transport, Unprocessed);
const LOST: End = (Unavailable, Transport, Unknown);
const TRUNCATED: End = (Code::Unknown, Transport, Unknown);
const TIMED_OUT: End = (DeadlineExceeded, AttemptTimeout, Unknown);
const OVERDUE: End = (DeadlineExceeded, Deadline, Unknown);

const fn reset(code: Code) -> End {
    (code, Transport, Unknown)
}

/// How many attempts, and how many requests the peer sees; then the same for a method that may be done twice.
type Sent = ([usize; 2], [usize; 2]);

const ONCE: Sent = ([1, 1], [1, 1]);
const IF_IDEMPOTENT: Sent = ([1, 1], [3, 3]);
/// Once more without being counted, and then as often as the policy says.
const ONCE_MORE: Sent = ([4, 4], [4, 4]);
const UNCONNECTED: Sent = ([3, 0], [3, 0]);
/// With growing pauses, until the deadline.
const UNTIL_THE_END: Sent = ([11, 0], [11, 0]);
const WAITING: Sent = ([1, 0], [3, 0]);
const SENT_AND_WAITING: Sent = ([1, 1], [3, 3]);
/// The first attempt is not seen, the second one is.
const ELSEWHERE: Sent = ([2, 1], [2, 1]);

/// So that what follows does not travel with what was sent before.
const MOMENT: Step = Wait(Duration::from_millis(9));

fn row(
    case: &'static str,
    (code, kind, disposition): End,
    sent: Sent,
    scene: impl Fn(CallOptions) -> Scene + 'static,
) -> Row {
    let counts = |[attempts, seen]: [usize; 2]| Counts { attempts, seen };
    let cause = Some((kind, disposition));
    Row {
        case,
        scene: Box::new(scene),
        expected: Measured {
            ending: Ending { code, cause },
            counts: counts(sent.0),
            idempotent: counts(sent.1),
        },
    }
}

/// Whose connections a peer is called with: [`ours`] or [`tonics`].
pub(super) type Over = fn(Peer) -> Peer;

pub(super) const fn ours(peer: Peer) -> Peer {
    peer
}

pub(super) fn tonics(peer: Peer) -> Peer {
    peer.over_tonic()
}

/// Makes rows of calls to a peer.
fn rows(over: Over) -> impl Fn(&'static str, Method, End, Sent, fn() -> Peer) -> Row {
    move |case, method, end, sent, peer| {
        row(case, end, sent, move |options| {
            Scene::with_peer(over(peer()), method, options)
        })
    }
}

/// A peer that does `steps` once a request has come, on each connection.
fn then(steps: impl IntoIterator<Item = Step>) -> Peer {
    Peer::script([Settings, AwaitRequest].into_iter().chain(steps))
}

/// A peer that does `step` to each request, and keeps the connection.
fn each(step: Step) -> Peer {
    Peer::script([Settings, ForEver(vec![AwaitRequest, step])])
}

/// A peer that does `step` a moment after its headers.
fn headers_then(step: Step) -> Peer {
    then([Step::answer(), MOMENT, step])
}

/// A peer that does `step` in the middle of a message.
fn half_then(step: Step) -> Peer {
    then([Step::answer(), Data(vec![0, 0, 0, 0, 9]), MOMENT, step])
}

/// A peer that does `step` after a message, before the trailers.
fn message_then(step: Step) -> Peer {
    then([Step::answer(), Step::greeting(), MOMENT, step])
}

/// Sends no PING's answer to a client that wants one soon.
fn deaf(steps: impl IntoIterator<Item = Step>) -> Peer {
    then(steps).keepalive(Duration::from_millis(900), Duration::from_millis(100))
}

const fn goaway(last: u32, reason: u32) -> Step {
    Goaway { last, reason }
}

/// Nobody listens at the address.
pub(super) fn refused(closed: String) -> Row {
    row(
        "connection refused",
        UNREACHABLE,
        UNCONNECTED,
        move |options| {
            let (client, attempts) = counting(builder(), &closed, options);
            Scene::without_peer(client.build().unwrap(), attempts)
        },
    )
}

fn http1() -> Peer {
    Peer::script([Bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())])
}

/// The connector does not come back, to a client that gives it a second.
fn never_ends(over: Over) -> Row {
    row(
        "the connector never ends",
        UNREACHABLE,
        UNCONNECTED,
        move |options| {
            let options = options.connect_timeout(Duration::from_secs(1));
            Scene::with_peer(over(Peer::script([Drop])), Unary, options)
        },
    )
}

/// The second call on a connection that allows one.
fn only_stream(over: Over, sent: Sent) -> Row {
    row("the only stream is taken", OVERDUE, sent, move |options| {
        let peer = Peer::script([MaxStreams(1), AwaitRequest]);
        Scene::with_peer(over(peer), Unary, options).behind(1)
    })
}

/// A connection of ours is open when SETTINGS have come that allow a stream.
#[rustfmt::skip] // A row is a line.
pub(super) fn without_a_connection_of_ours() -> Vec<Row> {
    let peer = rows(ours);
    vec![
        peer("the connector refuses", Unary, UNREACHABLE, UNCONNECTED, || Peer::script([Refuse])),
        peer("closed before SETTINGS", Unary, UNREACHABLE, UNCONNECTED, || Peer::script([Close])),
        peer("broken before SETTINGS", Unary, UNREACHABLE, UNCONNECTED, || Peer::script([Break])),
        peer("speaks HTTP/1.1", Unary, UNREACHABLE, UNCONNECTED, http1),
        peer("says nothing at all", Unary, UNREACHABLE, WAITING, || Peer::script([])),
        peer("no stream may be opened", Unary, UNREACHABLE, WAITING, || Peer::script([MaxStreams(0)])),
        never_ends(ours),
        // Another connection is opened, and tells no more.
        only_stream(ours, SENT_AND_WAITING),
    ]
}

/// tonic calls a peer connected that has not spoken.
#[rustfmt::skip] // A row is a line.
pub(super) fn without_a_connection_of_tonics() -> Vec<Row> {
    let peer = rows(tonics);
    vec![
        peer("the connector refuses", Unary, UNREACHABLE, UNCONNECTED, || Peer::script([Refuse])),
        peer("closed before SETTINGS", Unary, UNSEEN, UNTIL_THE_END, || Peer::script([Close])),
        peer("broken before SETTINGS", Unary, UNSEEN, UNTIL_THE_END, || Peer::script([Break])),
        peer("speaks HTTP/1.1", Unary, UNSEEN, UNTIL_THE_END, http1),
        peer("says nothing at all", Unary, OVERDUE, SENT_AND_WAITING, || Peer::script([])),
        peer("no stream may be opened", Unary, OVERDUE, WAITING, || Peer::script([MaxStreams(0)])),
        peer("tonic's own time-out", Unary, TIMED_OUT, IF_IDEMPOTENT, || {
            then([]).endpoint(|endpoint| endpoint.timeout(Duration::from_millis(9)))
        }),
        never_ends(tonics),
        only_stream(tonics, WAITING),
        row("waits behind others, then closed", UNSEEN, ELSEWHERE, |options| {
            let peer = Peer::script([MaxStreams(1), AwaitRequest, MOMENT, Close]);
            Scene::with_peer(tonics(peer.then([Settings, Serve])), Unary, options).behind(2)
        }),
    ]
}

#[rustfmt::skip] // A row is a line.
pub(super) fn without_an_answer(over: Over) -> Vec<Row> {
    let peer = rows(over);
    vec![
        peer("GOAWAY above our stream", Unary, UNPROCESSED, ONCE_MORE, || then([goaway(0, NO_ERROR)])),
        peer("GOAWAY above our stream, closed", Unary, UNPROCESSED, ONCE_MORE, || then([goaway(0, NO_ERROR), Close])),
        peer("GOAWAY(ENHANCE_YOUR_CALM) above our stream", Unary, UNPROCESSED, ONCE_MORE, || then([goaway(0, ENHANCE_YOUR_CALM)])),
        peer("GOAWAY with our stream, closed", Unary, LOST, IF_IDEMPOTENT, || then([goaway(1, NO_ERROR), Close])),
        peer("GOAWAY(INTERNAL_ERROR) with ours, closed", Unary, LOST, IF_IDEMPOTENT, || then([goaway(1, INTERNAL_ERROR), Close])),
        peer("RST REFUSED_STREAM", Unary, UNPROCESSED, ONCE_MORE, || each(Reset(REFUSED_STREAM))),
        peer("RST CANCEL", Unary, reset(Cancelled), ONCE, || each(Reset(CANCEL))),
        peer("RST ENHANCE_YOUR_CALM", Unary, reset(ResourceExhausted), ONCE, || each(Reset(ENHANCE_YOUR_CALM))),
        peer("RST INTERNAL_ERROR", Unary, reset(Internal), ONCE, || each(Reset(INTERNAL_ERROR))),
        peer("RST PROTOCOL_ERROR", Unary, reset(Internal), ONCE, || each(Reset(PROTOCOL_ERROR))),
        peer("RST with a reason nobody knows", Unary, reset(Internal), ONCE, || each(Reset(0x99))),
        peer("RST NO_ERROR", Unary, reset(Internal), ONCE, || each(Reset(NO_ERROR))),
        peer("closed", Unary, LOST, IF_IDEMPOTENT, || then([Close])),
        peer("broken", Unary, LOST, IF_IDEMPOTENT, || then([Break])),
        peer("no way to it any more", Unary, LOST, IF_IDEMPOTENT, || then([BreakAs(HostUnreachable)])),
        peer("a frame that breaks the rules", Unary, LOST, IF_IDEMPOTENT, || then([WindowUpdate { stream: 0, by: 0 }])),
        peer("keepalive unanswered", Unary, LOST, IF_IDEMPOTENT, || deaf([Silence])),
    ]
}

#[rustfmt::skip] // A row is a line.
pub(super) fn with_half_an_answer(over: Over) -> Vec<Row> {
    let peer = rows(over);
    vec![
        peer("headers, RST NO_ERROR", Unary, TRUNCATED, ONCE, || headers_then(Reset(NO_ERROR))),
        peer("half a message, RST NO_ERROR", Unary, TRUNCATED, ONCE, || half_then(Reset(NO_ERROR))),
        peer("a message, RST NO_ERROR", Unary, TRUNCATED, ONCE, || message_then(Reset(NO_ERROR))),
        peer("a message, RST NO_ERROR; known unary", Known, TRUNCATED, ONCE, || message_then(Reset(NO_ERROR))),
        peer("a message, RST NO_ERROR; stream", Stream, TRUNCATED, ONCE, || message_then(Reset(NO_ERROR))),
        peer("headers, RST REFUSED_STREAM; known unary", Known, LOST, IF_IDEMPOTENT, || headers_then(Reset(REFUSED_STREAM))),
        peer("half a message, RST CANCEL", Unary, reset(Cancelled), ONCE, || half_then(Reset(CANCEL))),
        peer("half a message, RST CANCEL; stream", Stream, reset(Cancelled), ONCE, || half_then(Reset(CANCEL))),
        peer("half a message, RST INTERNAL_ERROR", Unary, reset(Internal), ONCE, || half_then(Reset(INTERNAL_ERROR))),
        peer("headers, GOAWAY above; known unary", Known, TRUNCATED, ONCE, || headers_then(goaway(0, NO_ERROR))),
        peer("headers, GOAWAY(INTERNAL_ERROR) above; known", Known, LOST, IF_IDEMPOTENT, || headers_then(goaway(0, INTERNAL_ERROR))),
        peer("headers, closed", Unary, LOST, ONCE, || headers_then(Close)),
        peer("headers, closed; known unary", Known, LOST, IF_IDEMPOTENT, || headers_then(Close)),
        peer("half a message, broken", Unary, LOST, ONCE, || half_then(Break)),
        peer("half a message, broken; known unary", Known, LOST, IF_IDEMPOTENT, || half_then(Break)),
        peer("half a message, no way to it any more; known unary", Known, LOST, IF_IDEMPOTENT, || half_then(BreakAs(HostUnreachable))),
        peer("trailers without a status; known unary", Known, TRUNCATED, ONCE, || message_then(Step::trailers([("x", "y")]))),
        peer("a message, broken; stream", Stream, LOST, ONCE, || message_then(Break)),
        peer("a message, keepalive unanswered; stream", Stream, LOST, ONCE, || deaf([Step::answer(), Step::greeting(), Silence])),
        larger_than_allowed(over),
    ]
}

/// What tonic's decoder says is not read as a cause: it stands outside of all layers.
fn larger_than_allowed(over: Over) -> Row {
    let answer = || then([Step::answer(), Step::message(&[0; 5 << 20])]);
    let mut row = rows(over)("5 MiB where 4 MiB are allowed", Unary, LOST, ONCE, answer);
    row.expected.ending = Ending {
        code: OutOfRange,
        cause: None,
    };
    row
}

/// Errors of tower's own layers, put in by the user.
pub(super) fn wrappers() -> Vec<Row> {
    let never: Sent = ([1, 0], [1, 0]);
    vec![
        wrapper(
            "tower's Elapsed",
            (DeadlineExceeded, Other, Unknown),
            never,
            |client| {
                let soon = tower::timeout::TimeoutLayer::new(Duration::from_millis(9));
                client.wrap_call(soon).build().unwrap()
            },
        ),
        wrapper(
            "tower's Overloaded",
            (ResourceExhausted, Other, NeverSent),
            never,
            |client| {
                let full = tower::ServiceBuilder::new()
                    .load_shed()
                    .concurrency_limit(0);
                client.wrap_call(full.into_inner()).build().unwrap()
            },
        ),
        wrapper(
            "tower's Closed",
            (Unavailable, Other, NeverSent),
            WAITING,
            |client| {
                let dead = tower::layer::layer_fn(|inner| tower::buffer::Buffer::pair(inner, 1).0);
                client.wrap_call(dead).build().unwrap()
            },
        ),
    ]
}

fn wrapper(
    case: &'static str,
    end: End,
    sent: Sent,
    wrap: fn(Counting<Scripted>) -> Client,
) -> Row {
    row(case, end, sent, move |options| {
        let silent = Scripted::new(|_| std::future::pending());
        let client = builder().connect(silent);
        let (client, attempts) = counting(client, "10.0.0.1:1", options);
        Scene::without_peer(wrap(client), attempts)
    })
}
