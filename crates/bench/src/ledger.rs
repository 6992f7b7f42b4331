//! What a node writes down of all that reaches it, in a file that outlives its being killed.
//!
//! A record is two little-endian `u64`: the id of the call, and the microseconds since 1970 with the kind in the top byte. Each is
//! one `write`, which the system keeps even if the process is killed the moment after.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

const RECORD: usize = 16;
const KIND: u32 = 56;
const TIME: u64 = (1 << KIND) - 1;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The handler began to work on a call.
    Executed = 0,
    /// The call was turned away with UNAVAILABLE, without any work.
    Refused = 1,
    /// A connection was accepted. It has no id.
    Accepted = 2,
}

/// A line of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Of the call.
    pub id: u64,
    /// When, in microseconds since 1970.
    pub at: u64,
    /// What.
    pub kind: Kind,
}

/// Microseconds since 1970: the clock that all processes of a machine share.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as u64)
}

/// The pen.
#[derive(Debug)]
pub struct Ledger(File);

impl Ledger {
    /// Goes on with the file at `path`, or begins it.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map(Self)
    }

    /// Writes one record. A ledger that cannot be written to ends the process: its figures would be lies.
    pub fn write(&self, id: u64, kind: Kind) {
        let written = (&self.0).write_all(&encoded(id, now(), kind));
        written.expect("the ledger is a file that was opened for this");
    }
}

fn encoded(id: u64, at: u64, kind: Kind) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    let at = at & TIME | (kind as u64) << KIND;
    record[..8].copy_from_slice(&id.to_le_bytes());
    record[8..].copy_from_slice(&at.to_le_bytes());
    record
}

/// Reads all of the ledger at `path`; what is not there is empty.
///
/// # Errors
/// If it is there and cannot be read.
pub fn read(path: &Path) -> io::Result<Vec<Record>> {
    match fs::read(path) {
        Ok(bytes) => Ok(bytes.chunks_exact(RECORD).filter_map(decoded).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn decoded(record: &[u8]) -> Option<Record> {
    let (id, at) = record.split_at(8);
    let at = u64::from_le_bytes(at.try_into().ok()?);
    let kind = match at >> KIND {
        0 => Kind::Executed,
        1 => Kind::Refused,
        2 => Kind::Accepted,
        _ => return None,
    };
    Some(Record {
        id: u64::from_le_bytes(id.try_into().ok()?),
        at: at & TIME,
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for kind in [Kind::Executed, Kind::Refused, Kind::Accepted] {
            let record = Record {
                id: 7,
                at: 1 << 50,
                kind,
            };
            assert_eq!(decoded(&encoded(record.id, record.at, kind)), Some(record));
        }
    }

    #[test]
    fn a_ledger_is_added_to_by_those_who_come_later() {
        let path = std::env::temp_dir().join(format!("ledger-{}", std::process::id()));
        Ledger::open(&path).unwrap().write(1, Kind::Executed);
        Ledger::open(&path).unwrap().write(2, Kind::Refused);
        let ids: Vec<_> = read(&path)
            .unwrap()
            .iter()
            .map(|record| record.id)
            .collect();
        fs::remove_file(&path).unwrap();
        assert_eq!(ids, [1, 2]);
        assert!(read(&path).unwrap().is_empty());
    }
}
