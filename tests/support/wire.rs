//! Which connections tests call real servers with: our own, or with `TOWER_MICRO_CONNECT=tonic` those of tonic.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use tower_micro::{
    Body, BuildError, Candidate, Connect, Error, ResponseBody,
    connect::{
        H2, State, Tonic, TonicConnection,
        h2::{self, H2Connection},
    },
    crates::call::BoxFuture,
};
use tower_service::Service;

/// Whose connections a wire is shown.
const ITS_OWN: &str = "a wire is asked of connections that it made";

/// Our own connections, or tonic's. All that they tell is handed on.
#[derive(Clone, Debug)]
pub(crate) enum Wire {
    H2(H2),
    Tonic(Tonic),
}

impl Wire {
    pub(crate) fn new() -> Self {
        match std::env::var("TOWER_MICRO_CONNECT").as_deref() {
            Err(_) | Ok("h2") => Self::H2(H2::new()),
            Ok("tonic") => Self::Tonic(Tonic::new()),
            Ok(other) => panic!("TOWER_MICRO_CONNECT is h2 or tonic, not {other}"),
        }
    }
}

impl Connect for Wire {
    type Connection = WireConnection;

    fn check(&self) -> Result<(), BuildError> {
        match self {
            Self::H2(h2) => h2.check(),
            Self::Tonic(tonic) => tonic.check(),
        }
    }

    fn connect(
        &self,
        node: &Candidate,
        timeout: Option<Duration>,
    ) -> Result<WireConnection, Error> {
        Ok(match self {
            Self::H2(h2) => WireConnection::H2(h2.connect(node, timeout)?),
            Self::Tonic(tonic) => WireConnection::Tonic(tonic.connect(node, timeout)?),
        })
    }

    fn beside(
        &self,
        other: &WireConnection,
        node: &Candidate,
        timeout: Option<Duration>,
    ) -> Result<WireConnection, Error> {
        Ok(match (self, other) {
            (Self::H2(h2), WireConnection::H2(other)) => {
                WireConnection::H2(h2.beside(other, node, timeout)?)
            }
            (Self::Tonic(tonic), WireConnection::Tonic(other)) => {
                WireConnection::Tonic(tonic.beside(other, node, timeout)?)
            }
            _ => unreachable!("{ITS_OWN}"),
        })
    }

    fn state(&self, connection: &WireConnection) -> State {
        match (self, connection) {
            (Self::H2(h2), WireConnection::H2(connection)) => h2.state(connection),
            (Self::Tonic(tonic), WireConnection::Tonic(connection)) => tonic.state(connection),
            _ => unreachable!("{ITS_OWN}"),
        }
    }

    fn is_idle(&self, connection: &WireConnection) -> bool {
        match (self, connection) {
            (Self::H2(h2), WireConnection::H2(connection)) => h2.is_idle(connection),
            (Self::Tonic(tonic), WireConnection::Tonic(connection)) => tonic.is_idle(connection),
            _ => unreachable!("{ITS_OWN}"),
        }
    }

    fn open(&self, connection: &WireConnection) -> Option<BoxFuture<()>> {
        match (self, connection) {
            (Self::H2(h2), WireConnection::H2(connection)) => h2.open(connection),
            (Self::Tonic(tonic), WireConnection::Tonic(connection)) => tonic.open(connection),
            _ => unreachable!("{ITS_OWN}"),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum WireConnection {
    H2(H2Connection),
    Tonic(TonicConnection),
}

type Answer = Result<Response<ResponseBody>, Error>;

impl Service<Request<Body>> for WireConnection {
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = futures_util::future::Either<h2::ResponseFuture, BoxFuture<Answer>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match self {
            Self::H2(connection) => connection.poll_ready(cx),
            Self::Tonic(connection) => connection.poll_ready(cx),
        }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self {
            Self::H2(connection) => Self::Future::Left(connection.call(request)),
            Self::Tonic(connection) => Self::Future::Right(Box::pin(connection.call(request))),
        }
    }
}
