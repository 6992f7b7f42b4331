//! An error as a gRPC status, and back.

use tonic::{Code, Status};

use super::{Error, grpc_code};

/// What grpc-go makes of a go-micro error with code 200: a status of code OK cannot have details.
const OK_HAS_NO_DETAILS: &str = "no error details for status with code OK";

/// The go-micro error that `status` carries, or `None` if it is not one of go-micro's.
///
/// Looks at the details first, see [`Error::from_details`]; then at the message, which counts if it is JSON with a
/// code above 0 (go-micro v2 `client/grpc/error.go`).
pub fn from_status(status: &Status) -> Option<Error> {
    Error::from_details(status.details()).or_else(|| from_message(status.message()))
}

fn from_message(message: &str) -> Option<Error> {
    // Only an object can have a code: this spares us a copy of every plain message.
    let may_be_object = message.trim_start().starts_with('{');
    may_be_object
        .then(|| Error::parse(message))
        .filter(|error| error.code > 0)
}

/// The status by which a go-micro server answers: [`grpc_code`], the JSON as the message, the error as the first detail.
///
/// An error of code 200 is the exception: it becomes UNKNOWN with the message that go-micro's servers send for it, for
/// a status of code OK would be a success. Nothing of the error is left then, so do not make such errors.
impl From<&Error> for Status {
    fn from(error: &Error) -> Self {
        let code = grpc_code(error.code);
        if code == Code::Ok {
            return Self::unknown(OK_HAS_NO_DETAILS);
        }
        let message = error.to_json();
        let details = error.to_details(code, &message);
        Self::with_details(code, message, details)
    }
}

/// See `From<&Error>`.
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;

    fn over_the_wire(status: &Status) -> Status {
        let mut headers = HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        Status::from_header_map(&headers).unwrap()
    }

    #[test]
    fn a_plain_status_is_not_go_micros() {
        for message in [
            "",
            "boom",
            "[]",
            "{}",
            r#"{"id":"x"}"#,
            r#"{"code":0}"#,
            r#"{"code":-1}"#,
            "null",
        ] {
            assert_eq!(
                from_status(&Status::not_found(message)),
                None,
                "{message:?}"
            );
        }
    }

    #[test]
    fn a_message_in_json_with_a_code_is_go_micros() {
        let error = from_status(&Status::unknown(r#" {"code":404}"#)).unwrap();
        assert_eq!(
            error,
            Error {
                code: 404,
                ..Error::default()
            }
        );
    }

    #[test]
    fn the_details_count_before_the_message() {
        let details = Error::conflict("d", "from the details").to_details(Code::Internal, "m");
        let message = Error::not_found("m", "from the message").to_json();
        let status = Status::with_details(Code::Internal, message, details);
        assert_eq!(from_status(&status).unwrap().id, "d");
    }

    #[test]
    fn spoilt_details_leave_the_message() {
        let message = Error::not_found("m", "x").to_json();
        let status = Status::with_details(Code::NotFound, message, b"\xff\xff".as_slice().into());
        assert_eq!(from_status(&status), Some(Error::not_found("m", "x")));
    }

    #[test]
    fn an_error_of_code_200_is_sent_as_go_micro_sends_it() {
        let status = Status::from(Error::new("srv", "d", 200));
        assert_eq!(status.code(), Code::Unknown);
        assert_eq!(status.message(), OK_HAS_NO_DETAILS);
        assert!(status.details().is_empty());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_between_an_error_and_its_status(
            id: String,
            code in prop_oneof![any::<i32>(), 201..600],
            detail: String,
            status: String,
        ) {
            prop_assume!(code != 200);
            let error = Error { id, code, detail, status };
            let status = Status::from(&error);
            prop_assert_eq!(status.code(), grpc_code(code));
            prop_assert_eq!(Error::parse(status.message()), error.clone());
            prop_assert_eq!(from_status(&status), Some(error.clone()));
            prop_assert_eq!(from_status(&over_the_wire(&status)), Some(error));
        }

        #[test]
        fn any_status_is_read_without_a_panic(code in -1..20, message: String, details: Vec<u8>) {
            let status = Status::with_details(Code::from_i32(code), message, details.into());
            if let Some(error) = from_status(&status) {
                prop_assert!(Error::from_details(status.details()).is_some() || error.code > 0);
            }
        }
    }
}
