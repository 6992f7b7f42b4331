//! Instructions per call, as callgrind counted them beforehand.
//!
//! A file with a line for each case: its name, a tab, a decimal number. `cargo xtask bench` writes it.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// The count of each case that was counted.
pub type Instructions = HashMap<String, f64>;

/// A file of counts that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// It cannot be opened.
    #[error("cannot read the instruction counts in {}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{line:?} is not a case, a tab and a number")]
    Line {
        /// What it holds.
        line: String,
    },
}

/// Reads the counts in the file at `path`.
///
/// # Errors
/// If there is no such file, or if it holds anything but counts.
pub fn read(path: &Path) -> Result<Instructions, Unreadable> {
    let text = fs::read_to_string(path).map_err(|source| Unreadable::File {
        path: path.to_owned(),
        source,
    })?;
    parse(&text)
}

fn parse(text: &str) -> Result<Instructions, Unreadable> {
    text.lines().map(count).collect()
}

fn count(line: &str) -> Result<(String, f64), Unreadable> {
    let count = line.split_once('\t').and_then(|(case, count)| {
        let count = count
            .parse::<f64>()
            .ok()
            .filter(|count| count.is_finite())?;
        Some((case.to_owned(), count))
    });
    count.ok_or_else(|| Unreadable::Line { line: line.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_case_and_its_count() {
        let counts = parse("empty\t1204.5\nfull\t6000\n").unwrap();
        assert_eq!(counts["empty"], 1204.5);
        assert_eq!(counts["full"], 6000.0);
    }

    #[test]
    fn a_line_that_is_something_else_is_shown() {
        for line in ["empty 12", "empty\t", "empty\tmany", "empty\tNaN"] {
            let complaint = parse(line).unwrap_err().to_string();
            assert!(complaint.contains(&format!("{line:?}")), "{complaint}");
        }
    }
}
