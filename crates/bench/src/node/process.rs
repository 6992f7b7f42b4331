//! A node as a process of its own, seen from who started it. Everything here blocks.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use thiserror::Error;

use super::{LISTENING, Order};

/// How a node is started, and started again.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// Where it listens; port 0 is any, and the same one from then on.
    pub listen: SocketAddr,
    /// How long it works on a call.
    pub service_time: Duration,
    /// The file of its ledger.
    pub ledger: Option<PathBuf>,
    /// The processor it runs on.
    pub core: Option<usize>,
    /// In a network of its own.
    pub isolated: bool,
}

/// A node that does not come up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Unstarted {
    /// The program cannot be started.
    #[error("cannot start {}: build the program `node` too", program.display())]
    Program {
        /// Which file.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It says something else, or nothing.
    #[error("a node said {0:?} instead of where it listens")]
    Said(String),
}

/// A running node. Dropped, it is killed.
#[derive(Debug)]
pub struct Node {
    options: NodeOptions,
    child: Child,
    orders: Option<ChildStdin>,
}

impl Node {
    /// Starts one and waits until it listens.
    ///
    /// # Errors
    /// [`Unstarted`].
    pub fn start(options: NodeOptions) -> Result<Self, Unstarted> {
        Self::begin(options, &[])
    }

    /// Starts one that accepts connections and says nothing on them.
    ///
    /// # Errors
    /// [`Unstarted`].
    pub fn black_hole(options: NodeOptions) -> Result<Self, Unstarted> {
        Self::begin(options, &["--black-hole"])
    }

    fn begin(mut options: NodeOptions, more: &[&str]) -> Result<Self, Unstarted> {
        let program = program();
        let mut command = command(&options, &program);
        let child = command.args(more).spawn();
        let mut child = child.map_err(|source| Unstarted::Program { program, source })?;
        let orders = child.stdin.take();
        let said = child.stdout.take().map_or_else(String::new, first_line);
        let listening = said.trim().strip_prefix(LISTENING);
        let Some(listen) = listening.and_then(|address| address.parse().ok()) else {
            end(&mut child);
            return Err(Unstarted::Said(said));
        };
        options.listen = listen;
        Ok(Self {
            options,
            child,
            orders,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.options.listen
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it something. A node that is gone does not hear it.
    pub fn tell(&mut self, order: Order) {
        if let Some(orders) = &mut self.orders {
            let _ = writeln!(orders, "{order}");
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        end(&mut self.child);
    }

    /// Tells it to stop, and waits until it has.
    ///
    /// # Errors
    /// If the system cannot say.
    pub fn stop(&mut self) -> io::Result<()> {
        self.tell(Order::Stop);
        self.child.wait().map(drop)
    }

    /// `SIGSTOP`: its connections stay, and nothing moves on them.
    ///
    /// # Errors
    /// If it is gone.
    pub fn freeze(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// `SIGCONT`.
    ///
    /// # Errors
    /// If it is gone.
    pub fn thaw(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Where it was, a new one, and well.
    ///
    /// # Errors
    /// [`Unstarted`].
    pub fn restart(&mut self) -> Result<(), Unstarted> {
        self.kill();
        *self = Self::start(self.options.clone())?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let id = id.ok_or_else(|| io::Error::other("a process without an id"))?;
        Ok(kill_process(id, signal)?)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn command(options: &NodeOptions, program: &PathBuf) -> Command {
    let mut command = if options.isolated {
        let mut command = Command::new("unshare");
        command.arg("--net").arg(program);
        command
    } else {
        Command::new(program)
    };
    command.args(["--listen", &options.listen.to_string()]);
    command.args([
        "--service-micros",
        &options.service_time.as_micros().to_string(),
    ]);
    if let Some(ledger) = &options.ledger {
        command.arg("--ledger").arg(ledger);
    }
    if let Some(core) = options.core {
        command.args(["--core", &core.to_string()]);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// It stands beside this program.
fn program() -> PathBuf {
    let mut program = env::current_exe().unwrap_or_default();
    program.set_file_name(format!("node{}", env::consts::EXE_SUFFIX));
    program
}

fn first_line(from: impl io::Read) -> String {
    let mut line = String::new();
    // What cannot be read is as good as nothing said.
    let _ = BufReader::new(from).read_line(&mut line);
    line
}

fn end(child: &mut Child) {
    // A child that has ended already is what we want.
    let _ = child.kill();
    let _ = child.wait();
}
