//! Collectors, and what stands in for one.

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpListener},
    thread,
    time::Duration,
};

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

/// How long the slow one takes.
const SLOW: Duration = Duration::from_secs(2);

/// Where spans go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherEnd {
    /// A collector that answers at once: what the others are compared with.
    Well,
    /// Nobody records.
    None,
    /// Nobody listens.
    Closed,
    /// One that takes two seconds for each batch.
    Slow,
    /// One that accepts and never answers, nor reads.
    BlackHole,
}

impl OtherEnd {
    /// In the order of the table.
    pub const ALL: [Self; 5] = [
        Self::Well,
        Self::None,
        Self::Closed,
        Self::Slow,
        Self::BlackHole,
    ];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::None => "none",
            Self::Closed => "closed port",
            Self::Slow => "slow",
            Self::BlackHole => "black hole",
        }
    }

    /// Starts it; where there is something to send to, says where.
    pub(super) fn start(self) -> io::Result<Option<SocketAddr>> {
        let pause = match self {
            Self::None => return Ok(None),
            Self::Closed => return listen().map(|(_, address)| Some(address)),
            Self::BlackHole => return black_hole().map(Some),
            Self::Well => Duration::ZERO,
            Self::Slow => SLOW,
        };
        let (listener, address) = listen()?;
        on_its_own_thread(async move {
            let service = TraceServiceServer::new(Collector { pause });
            let server = Server::builder().add_service(service);
            let _ = server.serve_with_incoming(incoming(listener)).await;
        });
        Ok(Some(address))
    }
}

/// The kernel accepts for it, and nobody ever reads.
fn black_hole() -> io::Result<SocketAddr> {
    let (listener, address) = listen()?;
    Box::leak(Box::new(listener));
    Ok(address)
}

pub(super) fn listen() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Called inside of a runtime.
pub(super) fn incoming(listener: TcpListener) -> TcpListenerStream {
    let listener = tokio::net::TcpListener::from_std(listener);
    TcpListenerStream::new(listener.expect("it does not block"))
}

/// Until the process ends.
pub(super) fn on_its_own_thread(work: impl Future<Output = ()> + Send + 'static) {
    thread::spawn(move || crate::calls::runtime_with_io().block_on(work));
}

struct Collector {
    pause: Duration,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        _: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        tokio::time::sleep(self.pause).await;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
