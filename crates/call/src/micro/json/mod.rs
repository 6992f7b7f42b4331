//! As much of Go's `encoding/json` as an error needs.
//!
//! A scanner of our own, because Go's differs from other readers where it matters: a member of the wrong type does
//! not stop it, names match in any case, half of a surrogate pair is U+FFFD, and nesting may be 10 000 deep.

mod scan;
mod write;

pub(super) use self::{
    scan::{Scanner, Value, unquote},
    write::Object,
};

#[cfg(test)]
mod tests;
