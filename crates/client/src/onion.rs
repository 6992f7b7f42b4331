//! A stack that can be looked at.

use std::fmt;

/// Which part of the onion a layer is in. Rings are meaning; they never change places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Ring {
    /// Once per call.
    Call,
    /// Once per attempt; the node is known.
    Attempt,
    /// Once per node.
    Node,
}

impl fmt::Display for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Call => "per call",
            Self::Attempt => "per attempt",
            Self::Node => "per node",
        })
    }
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// Where it is.
    pub ring: Ring,
    /// Its name: ours in lower case, a wrapper's own as it is written.
    pub name: String,
    /// Why it stands there, or which door it came in by.
    pub why: &'static str,
}

impl Line {
    pub(crate) fn new(ring: Ring, name: &str, why: &'static str) -> Self {
        let name = name.to_owned();
        Self { ring, name, why }
    }
}

/// The layers of a client, outermost first. [`Display`](fmt::Display) prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Onion {
    lines: Vec<Line>,
}

impl Onion {
    pub(crate) const fn new(lines: Vec<Line>) -> Self {
        Self { lines }
    }

    /// The layers, outermost first.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }
}

impl fmt::Display for Onion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.lines.iter().map(|line| line.name.len()).max();
        let width = width.unwrap_or_default();
        let mut ring = None;
        for line in &self.lines {
            if ring != Some(line.ring) {
                writeln!(f, "{}{}", "  ".repeat(line.ring as usize), line.ring)?;
                ring = Some(line.ring);
            }
            let indent = "  ".repeat(line.ring as usize + 1);
            let pad = width + 4 - 2 * (line.ring as usize);
            let text = format!("{indent}{:pad$}  {}", line.name, line.why);
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}
