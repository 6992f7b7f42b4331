//! Who looks on, and what is seen.

use http::{Request, Response};
use tokio::time::Instant;
use tonic::Code;
use tower_micro_call::{Deadline, End, Error};

/// Looks on as requests begin. One for each place: around calls, around attempts, around handlers (gRFC A66 has the same cut:
/// `CallTracer`, `AttemptTracer`).
pub trait Observer {
    /// What is kept of one request until it has ended.
    type Watch: Watch;

    /// Whether nobody looks at any request now. It is asked first: a request that is not even shown is passed by for less.
    fn is_idle(&self) -> bool {
        false
    }

    /// A request begins. `None` if nobody wants to know how it goes on; then nothing more is done for it.
    fn begin<B: 'static>(&self, request: &mut Request<B>) -> Option<Self::Watch>;
}

/// Looks on while one request is under way. [`ended`](Self::ended) is called exactly once, whatever happens.
pub trait Watch: Send + 'static {
    /// Around the call that starts the request: hands it on, as it is unless there is more to write on it.
    fn start<B: 'static, T>(
        &mut self,
        request: Request<B>,
        run: impl FnOnce(Request<B>) -> T,
    ) -> T {
        self.within(|| run(request))
    }

    /// Around each poll, and, unless [`start`](Self::start) says otherwise, around the call that starts the request.
    fn within<T>(&mut self, run: impl FnOnce() -> T) -> T {
        run()
    }

    /// The answer has begun: its headers are here.
    fn answered<B: 'static>(&mut self, _response: &mut Response<B>) {}

    /// It is over.
    fn ended(self, ending: Ending<'_>);
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Ending<'a> {
    /// A call or an attempt with `grpc-status: 0`, or an HTTP exchange whose body came to its end.
    Ok,
    /// A call or an attempt, with this error.
    Failed(&'a Error),
    /// What a gRPC handler answered, or what came of asking in gRPC where the answer is plain HTTP.
    Status(Code),
    /// The service or the body failed with an error of this type, without a status.
    Broken(&'static str),
    /// What is looked at panicked.
    Panicked,
    /// Whoever waited let go of it. What had come of an HTTP answer may have been all that was wanted.
    Dropped {
        /// Whether the answer's headers had come.
        answered: bool,
    },
}

impl<'a> Ending<'a> {
    pub(crate) const fn of(end: End<'a>) -> Self {
        match end {
            End::Ok => Self::Ok,
            End::Failed(error) => Self::Failed(error),
            End::Dropped => Self::Dropped { answered: true },
        }
    }

    /// What kind of failure it was, if it has no status.
    pub const fn broken(&self) -> Option<&'static str> {
        match self {
            Self::Broken(kind) => Some(kind),
            Self::Panicked => Some("panic"),
            _ => None,
        }
    }

    /// The gRPC code this amounts to in an attempt, if its call ends at `deadline`: what is let go of when that has passed, or cancelled by
    /// its node, which was told it, was ended by the clock.
    pub fn code_of_attempt(&self, deadline: Option<Deadline>) -> Code {
        let is_cut = match self {
            Self::Dropped { .. } => true,
            Self::Failed(error) => error.is_cancelled_by_node(),
            _ => false,
        };
        let has_passed = |deadline: Deadline| deadline.has_passed(Instant::now());
        match deadline {
            Some(deadline) if is_cut && has_passed(deadline) => Code::DeadlineExceeded,
            _ => self.code(),
        }
    }

    /// The gRPC code this amounts to.
    pub fn code(&self) -> Code {
        match self {
            Self::Ok => Code::Ok,
            Self::Failed(error) => error.code(),
            Self::Status(code) => *code,
            Self::Broken(_) => Code::Unknown,
            Self::Panicked => Code::Internal,
            Self::Dropped { .. } => Code::Cancelled,
        }
    }
}
