//! Finds a peer that has gone without a word.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use h2::{Ping, PingPong};
use tokio::time::{Sleep, sleep};

use super::heard::Heard;
use crate::BuildError;

/// How often a peer is asked whether it is there, and how long it may take to say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// From one answer to the next question. grpc-go's servers want 5 minutes between pings on a connection without calls, unless
    /// they are told otherwise (`keepalive.EnforcementPolicy`); one that complains is asked half as often. Longer than zero.
    pub interval: Duration,
    /// From question to answer; then the connection is given up, unless something else was read from it meanwhile: then it has as long
    /// again. Longer than zero.
    pub timeout: Duration,
    /// Whether a connection without a call is asked too.
    pub while_idle: bool,
}

impl Default for Keepalive {
    /// 30 s, 10 s, and while idle.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
            while_idle: true,
        }
    }
}

impl Keepalive {
    /// Without an interval a peer would be asked without end; without a timeout none would be there in time.
    pub(super) fn check(&self) -> Result<(), BuildError> {
        let times = [
            ("keepalive.interval", self.interval),
            ("keepalive.timeout", self.timeout),
        ];
        let mut times = times.into_iter();
        match times.find(|(_, time)| time.is_zero()) {
            Some((option, _)) => Err(BuildError::Connections {
                option,
                given: "zero".to_owned(),
                instead: "make it longer, or leave pings out with `keepalive(None)`",
            }),
            None => Ok(()),
        }
    }
}

/// The pings of one connection.
pub(super) struct Pinger {
    settings: Keepalive,
    /// How often the peer has said that it is asked too often, on whichever connection: now, when the timer was set, and when it was set for
    /// the last ping.
    complaints: u32,
    timed_by: u32,
    asked_by: u32,
    pings: PingPong,
    /// Since the last ping, or since its time was over.
    heard: Heard,
    timer: Pin<Box<Sleep>>,
    asked: bool,
}

impl Pinger {
    pub(super) fn new(settings: Keepalive, pings: PingPong, heard: Heard, complaints: u32) -> Self {
        Self {
            settings,
            complaints,
            timed_by: complaints,
            asked_by: complaints,
            pings,
            heard,
            timer: Box::pin(sleep(interval(&settings, complaints))),
            asked: false,
        }
    }

    /// Of how many complaints it knew that the peer could complain of its pings.
    pub(super) const fn asked_by(&self) -> u32 {
        self.asked_by
    }

    /// There are so many by now.
    pub(super) fn hear(&mut self, complaints: u32) {
        if complaints == self.complaints {
            return;
        }
        self.complaints = complaints;
        if !self.asked {
            self.next_ping();
        }
    }

    fn next_ping(&mut self) {
        self.timed_by = self.complaints;
        self.again_in(interval(&self.settings, self.complaints));
    }

    /// Ready when the peer has not answered in time.
    pub(super) fn poll_gone(&mut self, is_idle: bool, cx: &mut Context<'_>) -> Poll<Duration> {
        loop {
            if self.asked && self.pings.poll_pong(cx).is_ready() {
                // An error is that of the connection, which tells it itself.
                self.asked = false;
                self.next_ping();
            }
            ready!(self.timer.as_mut().poll(cx));
            let is_there = self.heard.take();
            if self.asked && !is_there {
                return Poll::Ready(self.settings.timeout);
            }
            if self.asked {
                // Its answer may stand behind all that it sends (grpc-go waits for any activity too: `keepalive.ClientParameters`).
                self.again_in(self.settings.timeout);
                continue;
            }
            if is_idle && !self.settings.while_idle {
                self.next_ping();
                continue;
            }
            self.asked_by = self.timed_by;
            self.asked = self.pings.send_ping(Ping::opaque()).is_ok();
            self.again_in(self.settings.timeout);
        }
    }

    fn again_in(&mut self, time: Duration) {
        // A point in time so far away may be none; `sleep` knows what to do then.
        self.timer.set(sleep(time));
    }
}

/// Twice as long for each complaint.
fn interval(settings: &Keepalive, complaints: u32) -> Duration {
    let factor = 2_u32.saturating_pow(complaints.min(16));
    settings.interval.saturating_mul(factor)
}
