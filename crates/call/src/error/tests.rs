use std::{error::Error as StdError, io, sync::Arc, time::Duration};

use tonic::{Code, Status};
use tower_micro_registry::{Node, ServiceName};
use tower_micro_selector::{Candidate, SelectError};

use super::*;

fn greeter() -> ServiceName {
    ServiceName::new("greeter").unwrap()
}

fn node() -> Arc<Candidate> {
    Candidate::new(Node::new("greeter-1", "10.0.0.7:4001"))
}

/// What a generated client makes of an error.
fn as_a_caller_sees_it(error: Error) -> Status {
    Status::from_error(error.into())
}

#[test]
fn what_a_node_said_reaches_the_caller_unchanged() {
    let mut said = Status::with_details(Code::NotFound, "no such user", vec![1, 2, 3].into());
    said.metadata_mut().insert("x-id", "7".parse().unwrap());
    let error = Error::answered(said, Dialect::GoMicroV2)
        .with_service(&greeter())
        .with_node(&node())
        .with_attempts(3, None);
    let got = as_a_caller_sees_it(error);
    assert_eq!(got.code(), Code::NotFound);
    assert_eq!(got.message(), "no such user");
    assert_eq!(got.details(), [1, 2, 3]);
    assert_eq!(got.metadata().get("x-id").unwrap(), "7");
}

#[test]
fn an_error_made_here_names_service_node_attempts_and_what_came_before() {
    let before = Error::transport(io::Error::from(io::ErrorKind::ConnectionReset));
    let error = Error::transport(io::Error::from(io::ErrorKind::ConnectionRefused))
        .with_service(&greeter())
        .with_node(&node())
        .with_attempts(2, Some(before));
    let got = as_a_caller_sees_it(error);
    assert_eq!(got.code(), Code::Unavailable);
    assert_eq!(
        got.message(),
        "connection refused (service greeter, node greeter-1 at 10.0.0.7:4001, 2 attempts); \
         the attempt before ended with Unavailable: connection reset"
    );
}

#[test]
fn the_error_can_be_found_behind_the_status_a_caller_gets() {
    let got: Status = Error::attempt_timeout(Duration::from_millis(5)).into();
    let error: &Error = got.source().unwrap().downcast_ref().unwrap();
    assert_eq!(error.kind(), Kind::AttemptTimeout);
    let again = Error::from(got);
    assert_eq!(again.kind(), Kind::AttemptTimeout);
}

#[test]
fn a_boxed_error_is_recognised_for_what_it_is() {
    let status: BoxError = Box::new(Status::aborted("no"));
    assert_eq!(Error::from(status).code(), Code::Aborted);
    let known: BoxError = Box::new(Error::new(Kind::Request, Code::InvalidArgument, "bad"));
    assert_eq!(Error::from(known).kind(), Kind::Request);
    let text: BoxError = "boom".into();
    let error = Error::from(text);
    assert_eq!((error.kind(), error.code()), (Kind::Other, Code::Unknown));
    assert_eq!(error.go_text(), "boom");
    assert!(error.micro().is_none());
}

#[test]
fn a_refused_connection_was_never_sent_and_a_reset_one_may_have_been() {
    let refused = Error::transport(io::Error::from(io::ErrorKind::ConnectionRefused));
    assert_eq!(refused.disposition(), Disposition::NeverSent);
    let reset = Error::transport(io::Error::from(io::ErrorKind::ConnectionReset));
    assert_eq!(reset.disposition(), Disposition::Unknown);
    assert_eq!(reset.code(), Code::Unavailable);
}

#[test]
fn a_status_that_the_transport_made_is_told_without_the_chain_it_prints() {
    let broken = io::Error::new(io::ErrorKind::BrokenPipe, "broken pipe");
    let mut status = Status::unknown("error reading a body");
    status.set_source(Arc::new(broken));
    let error = Error::transport(status);
    assert_eq!(error.text(), "error reading a body: broken pipe");
}

#[tokio::test(start_paused = true)]
async fn a_connector_that_has_run_out_of_time_has_sent_nothing() {
    let never = std::future::pending::<()>();
    let elapsed = tokio::time::timeout(Duration::from_secs(1), never).await;
    let timed_out = io::Error::new(io::ErrorKind::TimedOut, elapsed.unwrap_err());
    let error = Error::transport(timed_out);
    assert_eq!(
        (error.kind(), error.disposition()),
        (Kind::Connect, Disposition::NeverSent)
    );
    let died = Error::transport(io::Error::from(io::ErrorKind::TimedOut));
    assert_eq!(died.disposition(), Disposition::Unknown);
}

#[test]
fn tonics_own_timeout_is_a_deadline_and_not_a_cancellation() {
    let error = Error::transport(tonic::TimeoutExpired(()));
    assert_eq!(error.code(), Code::DeadlineExceeded);
}

#[test]
fn an_unknown_service_is_unavailable_in_grpcs_words_and_a_500_in_go_micros() {
    let grpc = Error::select(&greeter(), SelectError::NotFound, Dialect::Grpc);
    assert_eq!(grpc.code(), Code::Unavailable);
    assert!(grpc.status().message().contains("greeter"));
    let go = Error::select(&greeter(), SelectError::NotFound, Dialect::GoMicroV2);
    assert_eq!(
        go.micro().unwrap().to_string(),
        r#"{"id":"go.micro.client","code":500,"detail":"service greeter: not found","status":"Internal Server Error"}"#
    );
}

#[test]
fn a_plain_status_is_500_for_v2_and_translated_for_v4() {
    let code = |dialect| Error::answered(Status::unavailable("m"), dialect).micro_code();
    assert_eq!(code(Dialect::GoMicroV2), 500);
    assert_eq!(code(Dialect::GoMicroV4), 503);
    assert_eq!(code(Dialect::Grpc), 0);
}

// v4 would say 503 of a call that is no stream.
#[test]
fn a_stream_that_finds_no_connection_is_a_500_in_both() {
    let refused = || Error::transport(io::Error::from(io::ErrorKind::ConnectionRefused));
    for dialect in [Dialect::GoMicroV2, Dialect::GoMicroV4] {
        let error = refused().spoken_of_stream(dialect);
        let told = error.micro().unwrap();
        let detail =
            "Error creating stream: rpc error: code = Unavailable desc = connection refused";
        assert_eq!((told.code, &*told.detail), (500, detail));
        assert_eq!(error.code(), Code::Unavailable);
    }
    assert_eq!(refused().spoken_of_stream(Dialect::Grpc).micro(), None);
    let reset = Error::transport(io::Error::from(io::ErrorKind::ConnectionReset));
    assert_eq!(reset.spoken_of_stream(Dialect::GoMicroV4).micro_code(), 503);
}

#[test]
fn a_go_micro_error_is_read_in_every_dialect() {
    let sent = micro::Error::not_found("greeter", "100% gone");
    for dialect in [Dialect::Grpc, Dialect::GoMicroV2, Dialect::GoMicroV4] {
        let error = Error::answered(Status::from(sent.clone()), dialect);
        assert_eq!(error.micro(), Some(&sent));
    }
}

#[test]
fn the_cause_stays_in_the_chain_when_the_story_grows() {
    let error = Error::transport(io::Error::from(io::ErrorKind::ConnectionRefused))
        .with_node(&node())
        .with_attempts(1, None);
    let cause = error.status().source().unwrap();
    assert!(cause.downcast_ref::<io::Error>().is_some());
}

#[test]
fn a_status_that_a_wrapper_makes_of_an_error_is_the_wrappers() {
    let mut status = Status::aborted("the other side is not there");
    status.set_source(Arc::new(Error::attempt_timeout(Duration::from_millis(5))));
    let error = Error::from(status);
    assert_eq!((error.kind(), error.code()), (Kind::Other, Code::Aborted));
    assert_eq!(error.text(), "the other side is not there");
    let mut status = Status::from(Error::attempt_timeout(Duration::from_millis(5)));
    status.metadata_mut().insert("x-id", "7".parse().unwrap());
    let error = Error::from(status);
    assert_eq!(error.status().metadata().get("x-id").unwrap(), "7");
}

#[test]
fn of_a_call_of_its_own_only_what_was_said_is_kept() {
    let late = || Error::deadline(Duration::from_secs(1), Dialect::GoMicroV2);
    let error = late().with_service(&greeter()).of_attempt().unwrap_err();
    assert_eq!(
        (error.kind(), error.disposition()),
        (Kind::Other, Disposition::Unknown)
    );
    assert_eq!(
        (error.code(), error.micro_code()),
        (Code::DeadlineExceeded, 408)
    );
    assert_eq!(late().of_attempt().unwrap().kind(), Kind::Deadline);
}

#[test]
fn what_stands_behind_an_error_of_a_wrapper_is_found() {
    #[derive(Debug, thiserror::Error)]
    #[error("while calling")]
    struct Calling<E: StdError + 'static>(#[source] E);
    let said: BoxError = Box::new(Calling(Status::not_found("no such user")));
    assert_eq!(Error::from(said).code(), Code::NotFound);
    let late: BoxError = Box::new(Calling(Error::deadline(
        Duration::from_secs(1),
        Dialect::Grpc,
    )));
    assert_eq!(Error::from(late).code(), Code::DeadlineExceeded);
}

#[test]
fn an_io_error_is_of_the_transport_only_where_a_transport_says_so() {
    #[derive(Debug, thiserror::Error)]
    #[error("while writing down what was asked")]
    struct Writing<E: StdError + 'static>(#[source] E);
    let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
    let wrappers: [BoxError; 2] = [Box::new(refused()), Box::new(Writing(refused()))];
    for error in wrappers.map(Error::from) {
        assert_eq!((error.kind(), error.code()), (Kind::Other, Code::Unknown));
        assert_eq!(error.disposition(), Disposition::Unknown);
    }
    let carried: BoxError = Box::new(Writing(tonic::ConnectError(Box::new(refused()))));
    let error = Error::from(carried);
    assert_eq!(
        (error.kind(), error.disposition()),
        (Kind::Connect, Disposition::NeverSent)
    );
}
