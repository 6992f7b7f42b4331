//! Responses of any transport, taken into the onion.

use http::Response;

use super::{ResponseBody, State};
use crate::{Dialect, Error, status};

/// A body that a response of the onion may come with: tonic's, or ours.
pub trait AnswerBody: Sized {
    /// Gives `response` the body that sees its end, and reads what its headers say of it, unless both is done.
    fn adopt(response: Response<Self>) -> Response<ResponseBody>;
}

impl AnswerBody for tonic::body::Body {
    fn adopt(response: Response<Self>) -> Response<ResponseBody> {
        judged(response.map(ResponseBody::from))
    }
}

impl AnswerBody for ResponseBody {
    #[inline]
    fn adopt(response: Response<Self>) -> Response<Self> {
        if response.body().0.judged {
            return response;
        }
        judged(response)
    }
}

/// Reads what the headers say of the end.
fn judged(mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    response.body_mut().0.judged = true;
    match status::of(&mut response) {
        None => {}
        Some(Ok(())) => response.body_mut().set_ended(),
        Some(Err(status)) => {
            let error = Error::answered(*status, Dialect::Grpc);
            response.body_mut().end(State::Failed(error));
        }
    }
    response
}
