//! Errors as the traces write them, and what our own become.

use std::{error::Error as StdError, fmt, sync::Arc};

use serde_json::{Value, json};
use tonic::{Code, Status};
use tower_micro::{Dialect, Error, Kind, Mark, SelectError, micro};

use super::choice::Failure;

/// An error that is no go-micro error: its text, and how a trace shows it.
#[derive(Clone, Debug)]
struct Said {
    text: String,
    shown: Value,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Said {}

impl Failure {
    /// As a node, a wrapper, a backoff or a predicate of ours returns it.
    pub(super) fn made(&self) -> Error {
        match self {
            Self::Micro { id, code, detail } => sent(&micro::Error::new(id, detail, *code)),
            _ => {
                let said = self.said();
                let error = Error::new(Kind::Other, Code::Unknown, &said.text);
                error.caused_by(Arc::new(said))
            }
        }
    }

    /// As a selector of ours fails with it.
    pub(super) fn selecting(&self) -> SelectError {
        match self {
            Self::Sentinel { message } if message == "not found" => SelectError::NotFound,
            Self::Sentinel { message } if message == "none available" => SelectError::NoneAvailable,
            _ => SelectError::other(self.said()),
        }
    }

    /// As a trace shows it.
    pub(super) fn shown(&self) -> Value {
        match self {
            Self::Micro { id, code, detail } => micro_shown(&micro::Error::new(id, detail, *code)),
            Self::Plain { message } | Self::Sentinel { message } => plain(message),
            Self::Context { message } => json!({"type": "context", "message": message}),
        }
    }

    fn said(&self) -> Said {
        let text = match self {
            Self::Micro { id, code, detail } => micro::Error::new(id, detail, *code).to_json(),
            Self::Plain { message } | Self::Sentinel { message } | Self::Context { message } => {
                message.clone()
            }
        };
        let shown = self.shown();
        Said { text, shown }
    }
}

/// A go-micro error as a server sends it. One of code 200 is UNKNOWN here: in the traces it never went over a wire.
fn sent(error: &micro::Error) -> Error {
    let code = match micro::grpc_code(error.code) {
        Code::Ok => Code::Unknown,
        code => code,
    };
    let text = error.to_json();
    let details = error.to_details(code, &text);
    Status::with_details(code, text, details).into()
}

/// A text that is no go-micro error.
pub(super) fn plain(text: &str) -> Value {
    json!({"type": "plain", "message": text})
}

/// A go-micro error.
pub(super) fn micro_shown(error: &micro::Error) -> Value {
    let micro::Error {
        id,
        code,
        detail,
        status,
    } = error;
    json!({"type": "micro", "id": id, "code": code, "detail": detail, "status": status})
}

/// An error of ours. A text that came in as plain is still plain, even if it reads like a go-micro error.
pub(super) fn shown(error: &Error) -> Value {
    let cause = error.status().source();
    if let Some(said) = cause.and_then(<dyn StdError>::downcast_ref::<Said>) {
        let mut shown = said.shown.clone();
        shown["message"] = error.text().into();
        return shown;
    }
    match error.micro() {
        Some(told) => micro_shown(told),
        None => raw(error),
    }
}

/// What a stream ends with: the status as it is, whatever a go-micro client would make of it.
pub(super) fn raw(error: &Error) -> Value {
    json!({"type": "grpc", "code": i32::from(error.code()), "message": error.text()})
}

/// An error of a trace, as ours. A raw status is one that a node answered.
pub(super) fn told(shown: &Value, dialect: Dialect) -> Error {
    let text = |member: &str| shown[member].as_str().unwrap_or_default();
    let code = shown["code"].as_i64().and_then(|code| code.try_into().ok());
    let code: i32 = code.unwrap_or_default();
    match shown["type"].as_str() {
        Some("micro") => sent(&micro::Error::new(text("id"), text("detail"), code)),
        Some("grpc") => {
            let status = Status::new(Code::from_i32(code), text("message"));
            Error::answered(status, dialect)
        }
        _ => Error::new(Kind::Other, Code::Unknown, text("message")),
    }
}

/// `null` for a success.
pub(super) fn shown_end<T>(end: &Result<T, Error>) -> Value {
    end.as_ref().err().map_or(Value::Null, shown)
}

/// Why a selector has no node.
pub(super) fn shown_selecting(error: &SelectError) -> Value {
    if let SelectError::Other(cause) = error
        && let Some(said) = cause.downcast_ref::<Said>()
    {
        return said.shown.clone();
    }
    plain(&error.to_string())
}

/// Why a trace says that there is no node, as a selector of ours says it.
pub(super) fn not_selected(shown: &Value) -> SelectError {
    let message = shown["message"].as_str().unwrap_or_default().to_owned();
    Failure::Sentinel { message }.selecting()
}

/// What a node is marked with. The last two are ours alone.
pub(super) fn shown_mark(mark: Mark<'_>) -> Value {
    match mark {
        Mark::Success => Value::Null,
        Mark::Failure(error, _) => match error.downcast_ref::<Error>() {
            Some(error) => shown(error),
            None => plain(&error.to_string()),
        },
        Mark::TimedOut(_) => ours("timed out"),
        Mark::Cancelled => ours("cancelled"),
        other => ours(&format!("{other:?}")),
    }
}

/// An end that go-micro has no word for.
pub(super) fn ours(end: &str) -> Value {
    json!({"type": "ours", "message": end})
}
