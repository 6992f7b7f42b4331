//! Writing as Go writes.

use std::fmt::{self, Write};

/// A JSON object under way. Members that are empty or 0 are left out, as Go's `omitempty` does.
pub(in crate::micro) struct Object<'out, W> {
    out: &'out mut W,
    is_empty: bool,
}

impl<'out, W: Write> Object<'out, W> {
    pub(in crate::micro) fn begin(out: &'out mut W) -> Result<Self, fmt::Error> {
        out.write_char('{')?;
        Ok(Self {
            out,
            is_empty: true,
        })
    }

    pub(in crate::micro) fn text(&mut self, name: &str, value: &str) -> fmt::Result {
        if value.is_empty() {
            return Ok(());
        }
        self.name(name)?;
        write_text(self.out, value)
    }

    pub(in crate::micro) fn number(&mut self, name: &str, value: i32) -> fmt::Result {
        if value == 0 {
            return Ok(());
        }
        self.name(name)?;
        write!(self.out, "{value}")
    }

    pub(in crate::micro) fn end(self) -> fmt::Result {
        self.out.write_char('}')
    }

    fn name(&mut self, name: &str) -> fmt::Result {
        if !self.is_empty {
            self.out.write_char(',')?;
        }
        self.is_empty = false;
        write!(self.out, "\"{name}\":")
    }
}

/// Writes `text` in quotes.
pub(super) fn write_text(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    let mut written = 0;
    for (at, found) in text.match_indices(needs_escape) {
        out.write_str(&text[written..at])?;
        found
            .chars()
            .try_for_each(|special| write_escape(out, special))?;
        written = at + found.len();
    }
    out.write_str(&text[written..])?;
    out.write_char('"')
}

/// Go escapes `<`, `>` and `&` so that JSON can stand in HTML, U+2028 and U+2029 so that it can stand in JavaScript.
const fn needs_escape(character: char) -> bool {
    matches!(
        character,
        '\0'..='\x1f' | '"' | '\\' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}'
    )
}

/// Only these five have a short form: `\b` and `\f` came with Go 1.22.
fn write_escape(out: &mut impl Write, special: char) -> fmt::Result {
    match special {
        '"' => out.write_str("\\\""),
        '\\' => out.write_str("\\\\"),
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        other => write!(out, "\\u{:04x}", u32::from(other)),
    }
}
