//! What a node does.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use futures_util::{Stream, StreamExt};
use tokio::{
    io::{AsyncBufReadExt, BufReader, stdin},
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

use super::{LISTENING, Order};
use crate::{
    echo::{EchoReply, EchoRequest, echo_server},
    ledger::{Kind, Ledger},
};

/// How many times as long a slow node takes.
const SLOWER: u32 = 10;

/// What a node is started to do.
#[derive(Debug)]
pub struct Duty {
    /// Where; port 0 is any.
    pub listen: SocketAddr,
    /// How long it works on a call. Zero: it answers at once.
    pub service_time: Duration,
    /// Where it writes down what reaches it.
    pub ledger: Option<Ledger>,
    /// Accepts connections and says nothing on them.
    pub black_hole: bool,
}

/// Listens, says where through `say`, and serves until it is told to stop, or nobody is there to tell it.
///
/// # Errors
/// If it cannot listen or cannot serve.
pub async fn serve(duty: Duty, say: impl FnOnce(String) -> io::Result<()>) -> io::Result<()> {
    let listener = TcpListener::bind(duty.listen).await?;
    let ledger = duty.ledger.map(Arc::new);
    let mood = Arc::new(Mood::default());
    say(format!("{LISTENING}{}", listener.local_addr()?))?;
    let accepted = accepted(listener, ledger.clone());
    let echo = EchoNode {
        service_time: duty.service_time,
        ledger,
        mood: Arc::clone(&mood),
    };
    let serving = async {
        if duty.black_hole {
            return swallow(accepted).await;
        }
        let server = Server::builder().add_service(echo_server::EchoServer::new(echo));
        let until_stopped = mood.stopped.notified();
        let served = server.serve_with_incoming_shutdown(accepted, until_stopped);
        served.await.map_err(io::Error::other)
    };
    either(serving, obey(&mood)).await
}

/// The first that is there: serving ends when it was told to, obeying when there is no one left.
async fn either(
    serving: impl Future<Output = io::Result<()>>,
    obeying: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    tokio::select! {
        served = pin!(serving) => served,
        alone = pin!(obeying) => alone,
    }
}

fn accepted(
    listener: TcpListener,
    ledger: Option<Arc<Ledger>>,
) -> impl Stream<Item = io::Result<TcpStream>> {
    TcpListenerStream::new(listener).inspect(move |accepted| {
        if let Ok(stream) = accepted {
            // Small answers must not wait for more to come; where the system refuses, they do.
            let _ = stream.set_nodelay(true);
            if let Some(ledger) = &ledger {
                ledger.write(0, Kind::Accepted);
            }
        }
    })
}

async fn swallow(accepted: impl Stream<Item = io::Result<TcpStream>>) -> io::Result<()> {
    let mut accepted = pin!(accepted);
    let mut held = Vec::new();
    while let Some(stream) = accepted.next().await {
        held.push(stream?);
    }
    Ok(())
}

async fn obey(mood: &Mood) -> io::Result<()> {
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let order: Order = line
            .parse()
            .map_err(|()| io::Error::other(format!("{line:?} is no order")))?;
        mood.take(order);
    }
    Ok(())
}

/// How the node feels today.
#[derive(Debug, Default)]
struct Mood {
    order: AtomicU8,
    stopped: Notify,
}

impl Mood {
    fn take(&self, order: Order) {
        match order {
            Order::Stop => self.stopped.notify_one(),
            other => self.order.store(other as u8, Ordering::Relaxed),
        }
    }

    fn is(&self, order: Order) -> bool {
        self.order.load(Ordering::Relaxed) == order as u8
    }
}

struct EchoNode {
    service_time: Duration,
    ledger: Option<Arc<Ledger>>,
    mood: Arc<Mood>,
}

impl EchoNode {
    fn note(&self, id: u64, kind: Kind) {
        if let Some(ledger) = &self.ledger {
            ledger.write(id, kind);
        }
    }

    fn work(&self) -> Duration {
        let slow = self.mood.is(Order::Slow);
        self.service_time * if slow { SLOWER } else { 1 }
    }
}

#[tonic::async_trait]
impl echo_server::Echo for EchoNode {
    async fn say(&self, request: Request<EchoRequest>) -> Result<Response<EchoReply>, Status> {
        let request = request.into_inner();
        if self.mood.is(Order::Unavailable) {
            self.note(request.id, Kind::Refused);
            return Err(Status::unavailable("not today"));
        }
        self.note(request.id, Kind::Executed);
        let work = self.work();
        if !work.is_zero() {
            tokio::time::sleep(work).await;
        }
        Ok(Response::new(EchoReply::to(request)))
    }
}
