//! What one run of a case stands on.

use std::sync::Arc;

use tonic::{
    body::Body,
    client::GrpcService,
    codegen::{Body as HttpBody, Bytes, StdError},
};
use tower_micro::Channel;
use tower_micro_testkit::{
    Interop, InteropSeen, TestServer, proto::interop::test_service_client::TestServiceClient,
};

use super::{mode::Mode, tally::Tally};
use crate::support::{plain, start};

/// What a generated client can be put around.
pub(super) trait Wire:
    GrpcService<
        Body,
        Error: Into<StdError>,
        ResponseBody: HttpBody<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
    > + Clone
{
}

impl<T> Wire for T
where
    T: GrpcService<Body> + Clone,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
}

/// A server, and a channel to it.
pub(super) struct Scene<T> {
    pub(super) wire: T,
    server: Interop,
    _listening: TestServer,
}

/// What is known of the attempts in a scene of ours.
pub(super) struct Attempts {
    mode: Mode,
    tally: Arc<Tally>,
    server: Interop,
}

impl Scene<tonic::transport::Channel> {
    /// tonic's own channel.
    pub(super) async fn bare() -> Self {
        let server = Interop::new();
        let listening = start("n0", server.clone()).await.unwrap();
        Self {
            wire: plain(&listening),
            server,
            _listening: listening,
        }
    }
}

impl Scene<Channel> {
    /// Ours, as `mode` wants it.
    pub(super) async fn ours(mode: Mode) -> (Self, Attempts) {
        let server = mode.server();
        let listening = start("n0", server.clone()).await.unwrap();
        let tally = Arc::default();
        let client = mode.client(listening.node(), &tally).await;
        let attempts = Attempts {
            mode,
            tally,
            server: server.clone(),
        };
        let scene = Self {
            wire: client.channel("interop"),
            server,
            _listening: listening,
        };
        (scene, attempts)
    }
}

impl Attempts {
    /// Whether each call met with what the mode has for it, and was not made more often than that.
    pub(super) fn check(&self) {
        self.tally.assert_attempts(self.mode.attempts());
        let in_vain = self.tally.to_nobody() + self.server.seen().borrow().refused;
        let each = self.mode.attempts() - 1;
        self.tally.assert_each(in_vain, each, "in vain");
    }
}

impl<T: Wire> Scene<T> {
    pub(super) fn client(&self) -> TestServiceClient<T> {
        TestServiceClient::new(self.wire.clone())
    }

    /// Waits until the server has seen as much.
    pub(super) async fn seen(&self, as_much: impl FnMut(&InteropSeen) -> bool) {
        let mut seen = self.server.seen();
        seen.wait_for(as_much).await.unwrap();
    }

    /// Whether the server has let in so many calls, of which so many were reset.
    #[track_caller]
    pub(super) fn assert_seen(&self, calls: usize, reset: usize) {
        let seen = *self.server.seen().borrow();
        assert_eq!((seen.calls, seen.reset), (calls, reset), "calls and resets");
    }
}
