use bytes::Bytes;
use http::Request;
use tower_micro_selector::Random;

use super::*;
use crate::{Body, Replay};

fn noted() -> Notes {
    let nodes = ["10.0.0.1:1", "10.0.0.2:1"].map(Candidate::at).to_vec();
    let mut notes = Notes::default();
    let picker = Picker::one_of(nodes, Arc::new(Random), true);
    notes.set_picker(&"greeter".parse().unwrap(), picker);
    notes
}

#[test]
fn a_change_to_shared_notes_is_seen_by_nobody_else() {
    let mut notes = noted();
    let shared = notes.common().clone();
    notes.set_options(Arc::default(), None);
    assert!(notes.options().is_some());
    assert!(shared.options().is_none());
    assert_eq!(notes.service(), shared.service());
}

#[test]
fn what_an_attempt_tried_is_known_to_notes_that_were_changed_since() {
    let mut notes = noted();
    let shared = notes.common().clone();
    let picker = |common: &Common| common.picker().cloned().unwrap();
    let first = picker(&shared).next().unwrap();
    notes.set_options(Arc::default(), None);
    let second = picker(notes.common()).next().unwrap();
    assert!(!Arc::ptr_eq(&first, &second));
}

fn request(payload: &'static [u8]) -> Request<Body> {
    Request::new(Bytes::from_static(payload).into())
}

#[test]
fn notes_stay_with_a_body_that_takes_the_place_of_another() {
    let mut request = request(b"hello");
    *Notes::of_mut(&mut request) = noted();
    let request = request.map(|body| body.replaced_by(Bytes::from_static(b"hi")));
    assert!(Notes::of(&request).unwrap().picker().is_some());
    assert_eq!(format!("{:?}", request.body()), "Body(2 bytes)");
}

#[test]
fn notes_stay_with_a_body_that_is_sent_twice() {
    let mut request = request(b"hello");
    *Notes::of_mut(&mut request) = noted();
    let again = Request::new(request.body().replay().unwrap());
    Notes::of_mut(&mut request).set_attempts_left(7);
    let notes = Notes::of(&again).unwrap();
    assert!(notes.picker().is_some());
    assert_eq!(notes.attempt().left, 0, "each has its own");
}

#[test]
fn notes_that_were_left_with_another_body_are_taken_up() {
    let mut foreign = Request::new(tonic::body::Body::empty());
    assert!(Notes::of(&foreign).is_none());
    Notes::of_mut(&mut foreign).set_attempts_left(1);
    let mut captured = foreign.map(Replay::capture);
    assert_eq!(Notes::of(&captured).unwrap().attempt().left, 1);
    assert_eq!(Notes::get_mut(&mut captured).unwrap().attempt().left, 1);
    Notes::of_mut(&mut captured).set_attempts_left(2);
    assert_eq!(Notes::of(&captured).unwrap().attempt().left, 2);
    assert!(captured.extensions().get::<Notes>().is_none(), "moved");
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_what_was_left_when_the_clock_was_read() {
    let second = Duration::from_secs(1);
    let mut notes = Notes::default();
    assert_eq!(notes.time_left(), None);
    let now = Instant::now();
    notes.settle(Arc::default(), Some(Deadline::after(2 * second, now)), now);
    tokio::time::advance(second).await;
    assert_eq!(notes.time_left(), Some(2 * second));
    notes.set_now(Instant::now());
    assert_eq!(notes.time_left(), Some(second));
    notes.set_options(Arc::default(), None);
    assert_eq!(notes.time_left(), None);
}

#[test]
fn a_node_is_forgotten_with_its_attempt() {
    let mut notes = noted();
    notes.set_node(notes.picker().unwrap().choose().unwrap());
    assert!(notes.node().is_some());
    notes.set_attempt(Attempt::new(1, 0));
    assert!(notes.node().is_none());
}
