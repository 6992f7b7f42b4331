//! A body whose end is told.

use std::{
    any::type_name,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use tonic::Code;

use crate::{
    Ending, Watch,
    head::{EndsWith, status, status_at_once},
    open::Open,
};

/// The body of an exchange that is looked at. It changes nothing.
#[pin_project]
pub struct ObservedBody<B, W: Watch> {
    #[pin]
    inner: B,
    open: Open<W>,
    ends_with: EndsWith,
}

impl<B: Body, W: Watch> ObservedBody<B, W> {
    /// That of `response`, which was `asked` for in gRPC or not.
    pub(crate) fn of(response: Response<B>, asked: bool, mut open: Open<W>) -> Response<Self> {
        let ends_with = EndsWith::of(&response, asked);
        match (ends_with, status_at_once(response.headers())) {
            (_, Some(code)) => open.end(Ending::Status(code)),
            // Nobody polls what is known to be empty.
            (_, None) if response.body().is_end_stream() => open.end(stopped(ends_with)),
            _ => {}
        }
        response.map(|inner| Self {
            inner,
            open,
            ends_with,
        })
    }
}

impl<B: Body, W: Watch> Body for ObservedBody<B, W> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let inner = &mut this.inner;
        let frame = ready!(this.open.within(|| inner.as_mut().poll_frame(cx)));
        match &frame {
            Some(Ok(frame)) => {
                let last = inner.is_end_stream();
                if let Some(ending) = read(frame, this.ends_with, last) {
                    this.open.end(ending);
                }
            }
            Some(Err(_)) => this.open.end(Ending::Broken(type_name::<B::Error>())),
            None => this.open.end(stopped(*this.ends_with)),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// How the exchange ends with `frame`, if it does; after the last one nobody asks for more.
fn read<D: Buf>(frame: &Frame<D>, ends_with: &mut EndsWith, last: bool) -> Option<Ending<'static>> {
    if let (Some(trailers), EndsWith::Trailers) = (frame.trailers_ref(), &ends_with) {
        return Some(Ending::Status(status(trailers).unwrap_or(Code::Unknown)));
    }
    let bytes = frame.data_ref().map_or(0, Buf::remaining);
    (ends_with.come(bytes) || last).then(|| stopped(*ends_with))
}

/// A gRPC answer that stops without a status has failed.
const fn stopped(ends_with: EndsWith) -> Ending<'static> {
    match ends_with {
        EndsWith::Trailers => Ending::Status(Code::Unknown),
        EndsWith::Body { code: Code::Ok, .. } => Ending::Ok,
        EndsWith::Body { code, .. } => Ending::Status(code),
    }
}

impl<B: Default, W: Watch> Default for ObservedBody<B, W> {
    fn default() -> Self {
        Self {
            inner: B::default(),
            open: Open::new(None),
            ends_with: EndsWith::Body {
                left: None,
                code: Code::Ok,
            },
        }
    }
}

impl<B, W: Watch> fmt::Debug for ObservedBody<B, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservedBody")
            .field("open", &self.open)
            .field("ends_with", &self.ends_with)
            .finish_non_exhaustive()
    }
}
