//! The protobuf form of an error: `errors.Error`, and `google.rpc.Status` around it.

use bytes::Bytes;
use prost::Message;
use tonic::Code;

use super::Error;

/// What go-micro writes; any host may stand before the slash when reading.
const TYPE_URL: &str = "type.googleapis.com/errors.Error";
const TYPE_NAME: &str = "/errors.Error";

/// go-micro's `errors.proto`.
#[derive(Clone, PartialEq, Message)]
struct WireError {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(int32, tag = "2")]
    code: i32,
    #[prost(string, tag = "3")]
    detail: String,
    #[prost(string, tag = "4")]
    status: String,
}

/// `google/protobuf/any.proto`.
#[derive(Clone, PartialEq, Message)]
struct WireAny {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// `google/rpc/status.proto`, its message as bytes: a text that is not UTF-8 must not cost us the details behind it.
#[derive(Clone, PartialEq, Message)]
struct WireStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(bytes = "bytes", tag = "2")]
    message: Bytes,
    #[prost(message, repeated, tag = "3")]
    details: Vec<WireAny>,
}

impl Error {
    /// The `grpc-status-details-bin` of a status that carries this error, before base64: a `google.rpc.Status` whose
    /// only detail is the error (go-micro v2 `server/grpc/grpc.go`).
    ///
    /// `code` and `message` are those of the status.
    pub fn to_details(&self, code: Code, message: &str) -> Bytes {
        let detail = WireAny {
            type_url: TYPE_URL.to_owned(),
            value: WireError::from(self).encode_to_vec().into(),
        };
        let status = WireStatus {
            code: code.into(),
            message: Bytes::copy_from_slice(message.as_bytes()),
            details: vec![detail],
        };
        status.encode_to_vec().into()
    }

    /// The error that the details of a status carry: the first detail whose type is `errors.Error`.
    ///
    /// `None` if there is none, or if the bytes are not what they should be. Details of other types before it, such
    /// as `google.rpc.ErrorInfo`, are passed over; go-micro's client looks at the first one only, and panics there.
    pub fn from_details(details: &[u8]) -> Option<Self> {
        let status = WireStatus::decode(details).ok()?;
        let ours = status
            .details
            .into_iter()
            .find(|detail| detail.type_url.ends_with(TYPE_NAME))?;
        WireError::decode(ours.value).ok().map(Self::from)
    }
}

impl From<&Error> for WireError {
    fn from(error: &Error) -> Self {
        Self {
            id: error.id.clone(),
            code: error.code,
            detail: error.detail.clone(),
            status: error.status.clone(),
        }
    }
}

impl From<WireError> for Error {
    fn from(error: WireError) -> Self {
        Self {
            id: error.id,
            code: error.code,
            detail: error.detail,
            status: error.status,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn details(details: Vec<WireAny>) -> Vec<u8> {
        WireStatus {
            code: 5,
            message: Bytes::from_static(b"\xff"),
            details,
        }
        .encode_to_vec()
    }

    fn detail(type_url: &str, value: &[u8]) -> WireAny {
        WireAny {
            type_url: type_url.to_owned(),
            value: Bytes::copy_from_slice(value),
        }
    }

    #[test]
    fn the_bytes_are_those_of_go_micro() {
        let error = Error::not_found("greeter", "no such user");
        let message = error.to_json();
        let bytes = error.to_details(Code::NotFound, &message);

        let mut expected = vec![0x08, 0x05, 0x12, 0x48];
        expected.extend(message.as_bytes());
        expected.extend([0x1a, 0x49, 0x0a, 0x20]);
        expected.extend(b"type.googleapis.com/errors.Error");
        expected.extend([0x12, 0x25]);
        expected.extend(b"\x0a\x07greeter\x10\x94\x03\x1a\x0cno such user\x22\x09Not Found");
        assert_eq!(bytes, expected);
        assert_eq!(bytes.len(), 151);
    }

    #[test]
    fn a_foreign_detail_in_front_is_passed_over() {
        let error = Error::conflict("a", "b");
        let ours = WireError::from(&error).encode_to_vec();
        let bytes = details(vec![
            detail("type.googleapis.com/google.rpc.ErrorInfo", b"\x0a\x01r"),
            detail("type.googleapis.com/other.errors.Error", b""),
            detail("example.org/errors.Error", &ours),
        ]);
        assert_eq!(Error::from_details(&bytes), Some(error));
    }

    #[test]
    fn details_without_an_error_of_go_micro_are_none() {
        assert_eq!(Error::from_details(b""), None);
        assert_eq!(Error::from_details(b"\x1a\xff"), None);
        assert_eq!(
            Error::from_details(&details(vec![detail("errors.Error", b"")])),
            None
        );
        assert_eq!(
            Error::from_details(&details(vec![detail(TYPE_URL, b"\x0a\xff")])),
            None
        );
    }

    proptest! {
        #[test]
        fn an_error_is_read_back_from_its_details(id: String, code: i32, detail: String, status: String) {
            let error = Error { id, code, detail, status };
            prop_assert_eq!(Error::from_details(&error.to_details(Code::Unknown, "any")), Some(error));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, at: prop::sample::Index, byte: u8) {
            let _ = Error::from_details(&bytes);
            let mut bent = Error::timeout("id", "detail").to_details(Code::Internal, "m").to_vec();
            let at = at.index(bent.len());
            bent[at] = byte;
            if let Some(error) = Error::from_details(&bent) {
                prop_assert!(error.detail.len() <= bent.len());
            }
        }
    }
}
