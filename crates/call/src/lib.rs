#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod ambient;
pub mod body;
pub mod error;
pub mod expiry;
pub mod header;
pub mod hedge;
pub mod metadata;
pub mod micro;
pub mod notes;
pub mod options;
mod picked;
pub mod policy;
pub mod proxy;
mod report;
mod request;
pub mod response;
pub mod status;
pub mod timeout;
pub mod wrapper;

pub use ambient::Ambient;
pub use body::{Body, Payload, Replay, ReplayMemory};
pub use error::{BoxError, Dialect, Disposition, Error, Kind};
pub use expiry::Expiry;
pub use hedge::Hedge;
pub use metadata::Metadata;
pub use notes::{Attempt, Common, Deadline, Notes};
pub use options::CallOptions;
pub use picked::{Marking, Picked};
pub use policy::{Backoff, Budget, RetryContext, RetryPolicy};
pub use proxy::Proxy;
pub use report::CallReport;
pub use request::RequestExt;
pub use response::{AnswerBody, End, Ended, ResponseBody, SharedEnded};
pub use wrapper::{BoxFuture, CallWrapper, Context, Next};
