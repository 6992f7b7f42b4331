//! A plain gRPC server.
//!
//! A code that gRPC has not assigned is sent as UNKNOWN, since tonic has no other.

use std::time::Duration;

use tokio_stream::StreamExt;
use tonic::{Code, Request, Response, Status, Streaming, metadata::MetadataMap};

use super::Answers;
use crate::proto::echo;

/// Gives back what it gets, or fails as it is told to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

impl Echo {
    /// As a service for a server.
    pub fn service(self) -> echo::echo_server::EchoServer<Self> {
        echo::echo_server::EchoServer::new(self)
    }
}

fn shown(metadata: &MetadataMap) -> Vec<echo::MetaEntry> {
    let headers = metadata.clone().into_headers();
    let entry = |name: &http::HeaderName| echo::MetaEntry {
        key: name.to_string(),
        values: headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect(),
    };
    headers.keys().map(entry).collect()
}

#[tonic::async_trait]
impl echo::echo_server::Echo for Echo {
    type StreamStream = Answers<echo::EchoResponse>;

    async fn call(
        &self,
        request: Request<echo::EchoRequest>,
    ) -> Result<Response<echo::EchoResponse>, Status> {
        let echo::EchoRequest { payload, sleep_ms } = request.into_inner();
        let time = u64::try_from(sleep_ms).unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(time)).await;
        Ok(Response::new(echo::EchoResponse { payload }))
    }

    async fn stream(
        &self,
        request: Request<Streaming<echo::EchoRequest>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let answers = request.into_inner().map(|message| {
            let payload = message?.payload;
            Ok(echo::EchoResponse { payload })
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn status(
        &self,
        request: Request<echo::StatusRequest>,
    ) -> Result<Response<echo::EchoResponse>, Status> {
        let echo::StatusRequest { code, message } = request.into_inner();
        match Code::from_i32(code) {
            Code::Ok => Ok(Response::new(echo::EchoResponse::default())),
            code => Err(Status::new(code, message)),
        }
    }

    async fn meta(
        &self,
        request: Request<echo::EchoRequest>,
    ) -> Result<Response<echo::MetaResponse>, Status> {
        Ok(Response::new(echo::MetaResponse {
            md: shown(request.metadata()),
            deadline_ms: -1,
            method: "/oracle.echo.Echo/Meta".to_owned(),
        }))
    }
}
