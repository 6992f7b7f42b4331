//! The error itself.

use std::fmt;

use super::{json, status_text::status_text};

/// go-micro's error (`errors.Error` of go-micro v2 and v4). See the [module docs](super) for an example.
///
/// `Display` is its JSON, as Go's `Error()`. Equality compares all four members; [`same_code`](Self::same_code) is
/// go-micro's own comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Error {
    /// Who made the error: by custom a service name, or `go.micro.client`.
    pub id: String,
    /// An HTTP status code, by custom; 0 when absent.
    pub code: i32,
    /// What went wrong, for people.
    pub detail: String,
    /// The text of the code, such as `Not Found`; empty for a code that Go does not know.
    pub status: String,
}

impl Error {
    /// An error with any `code`; its status is the text of that code (go-micro `errors.New`).
    pub fn new(id: impl Into<String>, detail: impl Into<String>, code: i32) -> Self {
        Self {
            id: id.into(),
            code,
            detail: detail.into(),
            status: status_text(code).to_owned(),
        }
    }

    /// 400, `Bad Request`.
    pub fn bad_request(id: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(id, detail, 400)
    }

    /// 401, `Unauthorized`.
    pub fn unauthorized(id: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(id, detail, 401)
    }

    /// 403, `Forbidden`.
    pub fn forbidden(id: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(id, detail, 403)
    }

    /// 404, `Not Found`.
    pub fn not_found(id: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(id, detail, 404)
    }

    /// 405, `Method Not Allowed`.
    pub fn method_not_allowed(id: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(id, detail, 405)
    }

    /// 408, `Request Timeout`.
    pub fn timeout(id: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(id, detail, 408)
    }

    /// 409, `Conflict`.
    pub fn conflict(id: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(id, detail, 409)
    }

    /// 500, `Internal Server Error`.
    pub fn internal_server_error(id: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(id, detail, 500)
    }

    /// Whether both errors have the same code, whatever else they say (go-micro `errors.Equal`).
    pub const fn same_code(&self, other: &Self) -> bool {
        self.code == other.code
    }

    /// The JSON of the error, byte for byte as Go's `encoding/json` writes it: members in the order id, code, detail,
    /// status, without those that are empty or 0.
    ///
    /// `<`, `>`, `&`, U+2028 and U+2029 are escaped. So are backspace and form feed, as `\u0008` and `\u000c`, which is
    /// how Go writes them up to 1.21; from 1.22 on it writes `\b` and `\f`. Every JSON reader takes both.
    pub fn to_json(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut object = json::Object::begin(out)?;
        object.text("id", &self.id)?;
        object.number("code", self.code)?;
        object.text("detail", &self.detail)?;
        object.text("status", &self.status)?;
        object.end()
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_has_no_empty_members() {
        assert_eq!(Error::default().to_json(), "{}");
        assert_eq!(
            Error::new("1", "detail", 99).to_json(),
            r#"{"id":"1","code":99,"detail":"detail"}"#
        );
    }

    #[test]
    fn a_constructor_writes_the_status_of_its_code() {
        let made = [
            Error::bad_request("id", "d"),
            Error::unauthorized("id", "d"),
            Error::forbidden("id", "d"),
            Error::not_found("id", "d"),
            Error::method_not_allowed("id", "d"),
            Error::timeout("id", "d"),
            Error::conflict("id", "d"),
            Error::internal_server_error("id", "d"),
        ];
        for (error, code) in made
            .into_iter()
            .zip([400, 401, 403, 404, 405, 408, 409, 500])
        {
            assert_eq!(error, Error::new("id", "d", code));
            assert!(!error.status.is_empty());
        }
    }

    #[test]
    fn a_percent_sign_in_a_detail_survives() {
        assert_eq!(Error::timeout("id", "100% %d").detail, "100% %d");
    }

    #[test]
    fn errors_are_the_same_to_go_micro_when_their_codes_are() {
        let error = Error::not_found("a", "x");
        assert!(error.same_code(&Error::not_found("b", "y")));
        assert!(!error.same_code(&Error::conflict("a", "x")));
    }
}
