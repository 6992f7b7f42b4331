//! A greeter whose answers can be changed while it runs.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tonic::{Request, Response, Status};

use crate::proto::greeter::{HelloReply, HelloRequest, greeter_server};

/// What a greeter does with a call.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Answer {
    /// Greets.
    #[default]
    Hello,
    /// Fails with this status.
    Fail(Status),
    /// Waits before it greets.
    After(Duration),
    /// Never answers.
    Never,
}

/// A greeter that says which node it is. Clones share everything.
#[derive(Clone, Debug)]
pub struct Greeter {
    node: Arc<str>,
    answer: Arc<Mutex<Answer>>,
    calls: Arc<AtomicUsize>,
}

impl Greeter {
    /// The greeter of node `node`.
    pub fn new(node: &str) -> Self {
        Self {
            node: node.into(),
            answer: Arc::default(),
            calls: Arc::default(),
        }
    }

    /// Changes what it does from now on.
    pub fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    /// How many calls have reached it.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// As a service for a server.
    pub fn service(&self) -> greeter_server::GreeterServer<Self> {
        greeter_server::GreeterServer::new(self.clone())
    }

    fn answer_now(&self) -> Answer {
        let answer = self.answer.lock();
        answer.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[tonic::async_trait]
impl greeter_server::Greeter for Greeter {
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        match self.answer_now() {
            Answer::Hello => {}
            Answer::Fail(status) => return Err(status),
            Answer::After(delay) => tokio::time::sleep(delay).await,
            Answer::Never => std::future::pending().await,
        }
        Ok(Response::new(HelloReply {
            message: format!("Hello {}", request.into_inner().name),
            node: self.node.to_string(),
        }))
    }
}
