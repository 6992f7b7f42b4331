//! A network for one run alone, and how it is cut.
//!
//! A node behind a pair of virtual cards is cut off by giving both of its ends a neighbour that does not exist: frames leave, and
//! nobody takes them. No card goes down, no error comes back.

use std::{
    env, fs, io,
    net::SocketAddr,
    path::Path,
    process::{Command, Output, Stdio},
};

/// Whether a run can have a network of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// It can.
    Own,
    /// The reason why not.
    Shared(String),
}

/// A network, and processes that end with the one who started them.
const UNSHARE: [&str; 5] = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"];

impl Isolation {
    /// Tries it.
    pub fn available() -> Self {
        let up = spoken(
            Command::new("unshare")
                .args(UNSHARE)
                .args(["ip", "link", "set", "lo", "up"]),
        );
        match up {
            Ok(()) => Self::Own,
            Err(error) => Self::Shared(format!("no network of its own: {error}")),
        }
    }

    /// This program, to be started again in a network of its own if that can be.
    pub fn command(&self) -> io::Result<Command> {
        let program = env::current_exe()?;
        Ok(match self {
            Self::Own => {
                let mut command = Command::new("unshare");
                command.args(UNSHARE).arg(program).arg("--isolated");
                command
            }
            Self::Shared(_) => Command::new(program),
        })
    }
}

/// Brings the new network up.
pub(super) fn begin() -> io::Result<()> {
    ip(&["link", "set", "lo", "up"])
}

/// Where the node behind the cards listens.
pub(super) const BEHIND: ([u8; 4], u16) = ([0, 0, 0, 0], 7_000);

const CARD: &str = "hole";
const OUR_SIDE: &str = "10.77.0.1";
const ITS_SIDE: &str = "10.77.0.2";
const NOBODY: &str = "02:00:00:00:00:bb";

/// The cards between us and the process `id`, which is in a network of its own.
#[derive(Debug)]
pub(super) struct Cards {
    id: String,
}

impl Cards {
    pub(super) fn connect(id: u32) -> io::Result<Self> {
        let cards = Self { id: id.to_string() };
        let pair = ["type", "veth", "peer", "name", CARD, "netns", &cards.id];
        ip(&[&["link", "add", CARD], &pair[..]].concat())?;
        ip(&["addr", "add", &format!("{OUR_SIDE}/24"), "dev", CARD])?;
        ip(&["link", "set", CARD, "up"])?;
        cards.inside(&["addr", "add", &format!("{ITS_SIDE}/24"), "dev", CARD])?;
        cards.inside(&["link", "set", CARD, "up"])?;
        Ok(cards)
    }

    /// Where the node is reached.
    pub(super) fn address(&self) -> SocketAddr {
        let address = format!("{ITS_SIDE}:{}", BEHIND.1);
        address.parse().expect("an address and a port")
    }

    pub(super) fn cut(&self) -> io::Result<()> {
        let to = |side| {
            [
                "neigh",
                "replace",
                side,
                "lladdr",
                NOBODY,
                "dev",
                CARD,
                "nud",
                "permanent",
            ]
        };
        ip(&to(ITS_SIDE))?;
        self.inside(&to(OUR_SIDE))
    }

    pub(super) fn mend(&self) -> io::Result<()> {
        let to = |side| ["neigh", "del", side, "dev", CARD];
        ip(&to(ITS_SIDE))?;
        self.inside(&to(OUR_SIDE))
    }

    fn inside(&self, words: &[&str]) -> io::Result<()> {
        let mut command = Command::new("nsenter");
        spoken(
            command
                .args(["--target", &self.id, "--net", "ip"])
                .args(words),
        )
    }
}

fn ip(words: &[&str]) -> io::Result<()> {
    spoken(Command::new("ip").args(words))
}

/// Runs it; what it complains of is the error.
fn spoken(command: &mut Command) -> io::Result<()> {
    let Output { status, stderr, .. } = command.stdin(Stdio::null()).output()?;
    if status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&stderr).trim().to_owned();
    Err(io::Error::other(format!("{command:?}: {complaint}")))
}

/// What the system has counted in this network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dials {
    /// Connections that were asked for.
    pub(super) begun: u64,
    /// Those that were refused, or given up.
    pub(super) failed: u64,
}

impl Dials {
    pub(super) fn so_far() -> io::Result<Self> {
        let text = fs::read_to_string(Path::new("/proc/self/net/snmp"))?;
        counted(&text).ok_or_else(|| io::Error::other("/proc/self/net/snmp does not count dials"))
    }

    pub(super) const fn since(self, earlier: Self) -> Self {
        Self {
            begun: self.begun.saturating_sub(earlier.begun),
            failed: self.failed.saturating_sub(earlier.failed),
        }
    }
}

/// Two lines begin with `Tcp:`: the names, and the numbers.
fn counted(snmp: &str) -> Option<Dials> {
    let mut lines = snmp.lines().filter(|line| line.starts_with("Tcp:"));
    let names = lines.next()?.split_whitespace();
    let numbers: Vec<_> = lines.next()?.split_whitespace().collect();
    let names: Vec<_> = names.collect();
    let number = |name| {
        let place = names.iter().position(|known| *known == name)?;
        numbers.get(place)?.parse().ok()
    };
    Some(Dials {
        begun: number("ActiveOpens")?,
        failed: number("AttemptFails")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dials_are_found_by_their_names() {
        let snmp = "Ip: Forwarding\nIp: 1\nTcp: RtoMin ActiveOpens PassiveOpens AttemptFails\nTcp: 200 7 5 2\n";
        assert_eq!(
            counted(snmp),
            Some(Dials {
                begun: 7,
                failed: 2
            })
        );
        assert_eq!(counted("Udp: InDatagrams\nUdp: 3\n"), None);
    }
}
