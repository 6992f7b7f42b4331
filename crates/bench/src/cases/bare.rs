//! The zero lines.

use crate::{
    calls::Calls,
    case::Case,
    mock::{Mock, MockConnection},
    request::{captured, repeatable, unary},
};

pub(super) const CASES: &[Case] = &[
    // The request is built and answered at once; everything else is measured over this.
    Case::new("empty", || Box::new(Calls::new(Mock::at_once, unary))),
    // A request that can be sent twice, as our door makes it.
    Case::new("capture", || {
        Box::new(Calls::new(Mock::at_once, repeatable))
    })
    .over("empty"),
    // What our door and our transport do with the bodies: layers between them are measured over this.
    Case::new("bodies", || {
        Box::new(Calls::new(|| MockConnection(Mock::at_once()), captured))
    })
    .over("empty"),
];
