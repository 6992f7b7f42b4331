//! A generated client over any service, with the deadline that a call has where nothing inside gives it one.

use std::time::Duration;

use tonic::{
    Request, Status,
    body::Body,
    client::GrpcService,
    codegen::{Bytes, StdError},
};

use crate::echo::{Echo, EchoReply, EchoRequest, echo_client::EchoClient};

/// Calls through `S`.
#[derive(Clone)]
pub(super) struct Generated<S> {
    client: EchoClient<S>,
    deadline: Option<Duration>,
}

impl<S> Generated<S>
where
    S: GrpcService<Body>,
    S::Error: Into<StdError>,
    S::ResponseBody: http_body::Body<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
{
    pub(super) fn over(service: S, deadline: Option<Duration>) -> Self {
        let client = EchoClient::new(service);
        Self { client, deadline }
    }
}

impl<S> Echo for Generated<S>
where
    S: GrpcService<Body, Future: Send> + Clone + Send + 'static,
    S::Error: Into<StdError>,
    S::ResponseBody: http_body::Body<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
{
    async fn say(&mut self, request: EchoRequest) -> Result<EchoReply, Status> {
        let mut request = Request::new(request);
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline);
        }
        Ok(self.client.say(request).await?.into_inner())
    }
}
