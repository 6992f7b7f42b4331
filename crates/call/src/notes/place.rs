//! Where notes are: on the body of a request if that is ours, else in its extensions.

use std::any::Any;

use http::Request;

use super::Notes;
use crate::Body;

/// The body of `request`, if it is one that carries notes: which type it has is known when this is compiled.
#[inline]
fn carrier<B: 'static>(request: &Request<B>) -> Option<&Body> {
    let body: &dyn Any = request.body();
    body.downcast_ref()
}

#[inline]
fn carrier_mut<B: 'static>(request: &mut Request<B>) -> Option<&mut Body> {
    let body: &mut dyn Any = request.body_mut();
    body.downcast_mut()
}

/// The notes that layers left while the request had a body of another type.
#[cold]
fn beside<B>(request: &Request<B>) -> Option<&Notes> {
    request.extensions().get()
}

#[cold]
fn beside_mut<B>(request: &mut Request<B>) -> Option<&mut Notes> {
    request.extensions_mut().get_mut()
}

/// Begins them: with those that were left while the request had a body of another type, if there are some.
#[cold]
fn begin<B: 'static>(request: &mut Request<B>) {
    if carrier(request).is_none() {
        request.extensions_mut().get_or_insert_default::<Notes>();
        return;
    }
    let beside = request.extensions_mut().remove();
    if let Some(body) = carrier_mut(request) {
        *body.notes_mut() = Some(beside.unwrap_or_default());
    }
}

impl Notes {
    /// The notes of a request, if any layer has left some.
    #[inline]
    pub fn of<B: 'static>(request: &Request<B>) -> Option<&Self> {
        let carried = carrier(request).and_then(Body::notes);
        carried.or_else(|| beside(request))
    }

    /// The same, to be changed.
    #[inline]
    pub fn get_mut<B: 'static>(request: &mut Request<B>) -> Option<&mut Self> {
        if carrier(request).is_some_and(|body| body.notes().is_some()) {
            return carrier_mut(request)?.notes_mut().as_mut();
        }
        beside_mut(request)
    }

    /// The notes of a request, made if there are none.
    #[inline]
    pub fn of_mut<B: 'static>(request: &mut Request<B>) -> &mut Self {
        if carrier(request).is_none_or(|body| body.notes().is_none()) {
            begin(request);
        }
        Self::get_mut(request).expect("begun above")
    }
}
