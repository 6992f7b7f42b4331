//! What the methods do.

use std::{collections::VecDeque, pin::Pin, time::Duration};

use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use tonic::{Code, Request, Response, Status, Streaming};

use super::Compressed;
use crate::proto::interop::{
    BoolValue, EchoStatus, Empty, Payload, ResponseParameters, SimpleRequest, SimpleResponse,
    StreamingInputCallRequest, StreamingInputCallResponse, StreamingOutputCallRequest,
    StreamingOutputCallResponse, test_service_server::TestService,
};

type Answers = Pin<Box<dyn Stream<Item = Result<StreamingOutputCallResponse, Status>> + Send>>;

/// The methods of `TestService`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handlers;

#[tonic::async_trait]
impl TestService for Handlers {
    type StreamingOutputCallStream = Answers;
    type FullDuplexCallStream = Answers;

    async fn empty_call(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Ok(Response::new(Empty {}))
    }

    async fn unary_call(
        &self,
        request: Request<SimpleRequest>,
    ) -> Result<Response<SimpleResponse>, Status> {
        check_compressed(&request, request.get_ref().expect_compressed)?;
        let request = request.into_inner();
        check_status(request.response_status)?;
        let payload = Some(zeros(request.response_size)?);
        let mut response = Response::new(SimpleResponse { payload });
        if request.response_compressed != Some(BoolValue { value: true }) {
            response.disable_compression();
        }
        Ok(response)
    }

    async fn streaming_input_call(
        &self,
        request: Request<Streaming<StreamingInputCallRequest>>,
    ) -> Result<Response<StreamingInputCallResponse>, Status> {
        let sizes = request
            .into_inner()
            .map_ok(|request| size_of(request.payload));
        let aggregated_payload_size = sizes.try_fold(0, async |sum, size| Ok(sum + size?)).await?;
        Ok(Response::new(StreamingInputCallResponse {
            aggregated_payload_size,
        }))
    }

    async fn streaming_output_call(
        &self,
        request: Request<StreamingOutputCallRequest>,
    ) -> Result<Response<Answers>, Status> {
        let due = request.into_inner().response_parameters;
        let answers = stream::iter(due).then(answer);
        Ok(Response::new(Box::pin(answers)))
    }

    async fn full_duplex_call(
        &self,
        request: Request<Streaming<StreamingOutputCallRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let mut answers = Box::pin(answers(request.into_inner()));
        let first = answers.try_next().await?;
        let answers = stream::iter(first.map(Ok)).chain(answers);
        Ok(Response::new(Box::pin(answers)))
    }

    async fn unimplemented_call(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Err(Status::unimplemented("this server has no such method"))
    }
}

/// What the requests ask for, in order; ends with the status that one of them asks for.
fn answers(
    requests: Streaming<StreamingOutputCallRequest>,
) -> impl Stream<Item = Result<StreamingOutputCallResponse, Status>> + Send {
    let none_due = VecDeque::new();
    stream::try_unfold((requests, none_due), |(mut requests, mut due)| async move {
        loop {
            if let Some(next) = due.pop_front() {
                return Ok(Some((answer(next).await?, (requests, due))));
            }
            let Some(request) = requests.message().await? else {
                return Ok(None);
            };
            check_status(request.response_status)?;
            due.extend(request.response_parameters);
        }
    })
}

async fn answer(parameters: ResponseParameters) -> Result<StreamingOutputCallResponse, Status> {
    let pause = u64::try_from(parameters.interval_us).unwrap_or_default();
    if pause > 0 {
        tokio::time::sleep(Duration::from_micros(pause)).await;
    }
    let payload = Some(zeros(parameters.size)?);
    Ok(StreamingOutputCallResponse { payload })
}

fn zeros(size: i32) -> Result<Payload, Status> {
    let size = usize::try_from(size)
        .map_err(|_| Status::invalid_argument(format!("a size of {size} bytes")))?;
    let body = vec![0; size];
    Ok(Payload {
        body,
        ..Payload::default()
    })
}

fn size_of(payload: Option<Payload>) -> Result<i32, Status> {
    let size = payload.unwrap_or_default().body.len();
    i32::try_from(size).map_err(|_| Status::out_of_range("more than 2 GiB"))
}

fn check_status(wanted: Option<EchoStatus>) -> Result<(), Status> {
    let EchoStatus { code, message } = wanted.unwrap_or_default();
    match Code::from_i32(code) {
        Code::Ok => Ok(()),
        code => Err(Status::new(code, message)),
    }
}

fn check_compressed<T>(request: &Request<T>, expected: Option<BoolValue>) -> Result<(), Status> {
    let compressed = request.extensions().get::<Compressed>();
    let compressed = compressed.is_some_and(Compressed::is_set);
    match expected {
        Some(BoolValue { value }) if value != compressed => {
            let text = format!("compressed: {compressed}, expected: {value}");
            Err(Status::invalid_argument(text))
        }
        _ => Ok(()),
    }
}
