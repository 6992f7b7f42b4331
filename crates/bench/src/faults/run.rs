//! One run, in this process.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use thiserror::Error;
use tokio::runtime::Builder;

use super::{
    DEADLINE, Figures, NODES, Pace, Trial,
    callers::Callers,
    figures::figures,
    network,
    script::{Stage, Unset},
};
use crate::{
    ledger,
    peers::{Terms, Unbuilt},
    pin::{self, Pinned},
};

/// A run that came to nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Unrun {
    /// The client cannot be built.
    #[error(transparent)]
    Client(#[from] Unbuilt),
    /// The system does not let us.
    #[error(transparent)]
    System(#[from] io::Error),
    /// The scenario cannot be played.
    #[error("{0}")]
    Script(String),
}

impl From<Unset> for Unrun {
    fn from(unset: Unset) -> Self {
        Self::Script(unset.to_string())
    }
}

/// Makes the run; `isolated`: in the network of its own that this process is in.
///
/// # Errors
/// [`Unrun`].
pub fn run(trial: Trial, pace: Pace, isolated: bool) -> Result<Figures, Unrun> {
    if isolated {
        network::begin()?;
    }
    let ledgers = Ledgers::new()?;
    let pinned = Pinned::client();
    let mut stage = Stage::set(trial, &ledgers.0, pinned.servers())?;
    let addresses = stage.addresses();
    let enough = Arc::new(AtomicBool::new(false));
    let script = thread::spawn({
        let enough = Arc::clone(&enough);
        move || {
            // Starting processes takes time, and not the client's.
            pinned.servers().map(pin::here);
            let marks = stage.play(pace);
            enough.store(true, Ordering::Relaxed);
            marks.map(|marks| (marks, stage))
        }
    });
    let terms = Terms {
        deadline: DEADLINE,
        plain_deadline: Some(DEADLINE),
        idempotent: trial.idempotent,
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(trial.variant.open(&addresses, terms, Callers { enough }));
    runtime.shutdown_background();
    let played = script.join();
    let (marks, stage) = played.map_err(|_| Unrun::Script("the script panicked".into()))??;
    drop(stage);
    let ledgers: Result<Vec<_>, _> = (0..NODES)
        .map(|place| ledger::read(&ledgers.of(place)))
        .collect();
    Ok(figures(trial, &ended?, &ledgers?, marks))
}

/// A folder that is gone afterwards.
struct Ledgers(PathBuf);

impl Ledgers {
    fn new() -> io::Result<Self> {
        let name = format!("tower-micro-bench-{}-{}", std::process::id(), ledger::now());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    fn of(&self, place: usize) -> PathBuf {
        Path::new(&self.0).join(place.to_string())
    }
}

impl Drop for Ledgers {
    fn drop(&mut self) {
        // What is left in a temporary folder is left.
        let _ = fs::remove_dir_all(&self.0);
    }
}
