//! Every way in which a request can end, each told once.

use std::{
    convert::Infallible,
    future::{pending, ready},
    sync::{Arc, Mutex},
    task::Poll::Ready,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use tonic::Code;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_micro_call::{Deadline, Error, ResponseBody};

use crate::{Ending, Observe, ObserveExchangeLayer, ObserveLayer, Observer, Watch};

/// What was seen, in order.
#[derive(Clone, Debug, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn write(&self, text: impl ToString) {
        self.0.lock().unwrap().push(text.to_string());
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().join(" ")
    }
}

impl Observer for Diary {
    type Watch = Self;

    fn begin<B: 'static>(&self, request: &mut Request<B>) -> Option<Self> {
        let wanted = !request.headers().contains_key("unseen");
        wanted.then(|| self.clone())
    }
}

impl Watch for Diary {
    fn answered<B: 'static>(&mut self, _: &mut Response<B>) {
        self.write("answered");
    }

    fn ended(self, ending: Ending<'_>) {
        self.write(match ending {
            Ending::Broken(_) => "broken".to_owned(),
            Ending::Panicked => "panicked".to_owned(),
            Ending::Dropped { answered } => format!("dropped({answered})"),
            _ => format!("{:?}", ending.code()),
        });
    }
}

fn trailers(status: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(
        "grpc-status".parse().unwrap(),
        HeaderValue::from_static(status),
    )])
}

fn grpc<B>(body: B) -> Response<B> {
    let mut response = Response::new(body);
    let grpc = HeaderValue::from_static("application/grpc+proto");
    response.headers_mut().insert("content-type", grpc);
    response
}

/// What is seen of an exchange whose body is read to its end, or to its first frame.
async fn exchange<B>(response: Response<B>, frames: usize) -> String
where
    B: http_body::Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: std::fmt::Debug,
{
    exchange_of(Request::new(()), response, frames).await
}

/// The same of an answer to `request`.
async fn exchange_of<B>(request: Request<()>, response: Response<B>, frames: usize) -> String
where
    B: http_body::Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: std::fmt::Debug,
{
    let diary = Diary::default();
    let mut response = Some(response);
    let mut service =
        ObserveExchangeLayer::new(diary.clone()).layer(service_fn(move |_: Request<()>| {
            ready(Ok::<_, Infallible>(response.take().unwrap()))
        }));
    let answer = service.ready().await.unwrap().call(request).await.unwrap();
    let mut body = answer.into_body();
    for _ in 0..frames {
        if body.frame().await.is_none() {
            break;
        }
    }
    drop(body);
    diary.text()
}

#[tokio::test]
async fn grpc_ends_with_its_status_wherever_that_stands() {
    let body = || Full::new(Bytes::from_static(b"hello"));
    let with = |status| grpc(body().with_trailers(ready(Some(Ok(trailers(status))))));
    assert_eq!(exchange(with("0"), 9).await, "answered Ok");
    assert_eq!(exchange(with("5"), 9).await, "answered NotFound");
    assert_eq!(exchange(with("no number"), 9).await, "answered Unknown");
    let mut at_once = grpc(Empty::<Bytes>::new());
    at_once.headers_mut().extend(trailers("14"));
    assert_eq!(exchange(at_once, 0).await, "answered Unavailable");
    assert_eq!(exchange(grpc(body()), 9).await, "answered Unknown");
    let nothing = grpc(Empty::<Bytes>::new());
    assert_eq!(exchange(nothing, 0).await, "answered Unknown");
    assert_eq!(exchange(with("0"), 1).await, "answered dropped(true)");
}

// Its trailers are the last frame of its body.
#[tokio::test]
async fn grpc_web_ends_with_its_body_unless_its_headers_have_a_status() {
    let of = |kind, body: &'static [u8]| {
        let mut response = Response::new(parts(Ok(Bytes::from_static(body))));
        let kind = HeaderValue::from_static(kind);
        response.headers_mut().insert("content-type", kind);
        response
    };
    for kind in ["application/grpc-web+proto", "application/grpc-web-text"] {
        assert_eq!(exchange(of(kind, b"\x80"), 9).await, "answered Ok");
        let mut at_once = of(kind, b"");
        at_once.headers_mut().extend(trailers("14"));
        assert_eq!(exchange(at_once, 0).await, "answered Unavailable");
    }
    for kind in ["application/grpc", "application/grpc;charset=utf-8"] {
        assert_eq!(exchange(of(kind, b""), 9).await, "answered Unknown");
    }
}

#[tokio::test]
async fn http_ends_with_its_body() {
    let full = || Response::new(Full::new(Bytes::from_static(b"hello")));
    assert_eq!(exchange(full(), 9).await, "answered Ok");
    assert_eq!(exchange(full(), 1).await, "answered Ok");
    assert_eq!(exchange(full(), 0).await, "answered dropped(true)");
    assert_eq!(
        exchange(Response::new(Empty::<Bytes>::new()), 0).await,
        "answered Ok"
    );
}

#[tokio::test]
async fn http_in_the_place_of_grpc_ends_as_a_grpc_client_sees_it() {
    for (status, asked_so, else_so) in [
        (503, "answered Unavailable", "answered Ok"),
        (404, "answered Unimplemented", "answered Ok"),
        (302, "answered Unknown", "answered Ok"),
        (200, "answered Ok", "answered Ok"),
    ] {
        for body in ["", "no such page"] {
            let answer = || {
                let mut answer = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
                *answer.status_mut() = status.try_into().unwrap();
                answer
            };
            let mut request = Request::new(());
            assert_eq!(exchange_of(request.clone(), answer(), 9).await, else_so);
            let grpc = HeaderValue::from_static("application/grpc");
            request.headers_mut().insert("content-type", grpc);
            assert_eq!(exchange_of(request, answer(), 9).await, asked_so);
        }
    }
}

/// `part` and then `rest`, which is not said to be the last.
fn parts(
    rest: Result<Bytes, &'static str>,
) -> impl http_body::Body<Data = Bytes, Error = &'static str> + Unpin {
    let frame = |data| http_body::Frame::data(data);
    let parts = [Ok(Bytes::from_static(b"part")), rest];
    StreamBody::new(tokio_stream::iter(parts.map(|part| part.map(frame))))
}

// A server stops asking when it has sent what it promised.
#[tokio::test]
async fn so_it_does_when_its_length_has_come() {
    let mut response = Response::new(parts(Ok(Bytes::from_static(b"rest"))));
    response
        .headers_mut()
        .insert("content-length", HeaderValue::from_static("8"));
    assert_eq!(exchange(response, 2).await, "answered Ok");
}

#[tokio::test]
async fn a_body_that_breaks_is_broken() {
    assert_eq!(
        exchange(Response::new(parts(Err("torn"))), 9).await,
        "answered broken"
    );
}

#[tokio::test]
async fn a_service_that_fails_or_is_let_go_of_has_not_answered() {
    let diary = Diary::default();
    let layer = ObserveExchangeLayer::new(diary.clone());
    let failing = service_fn(|_: Request<()>| ready(Err::<Response<Empty<Bytes>>, _>("down")));
    layer
        .layer(failing)
        .oneshot(Request::new(()))
        .await
        .unwrap_err();
    let silent =
        service_fn(|_: Request<()>| pending::<Result<Response<Empty<Bytes>>, Infallible>>());
    let mut call = tokio_test::task::spawn(layer.layer(silent).oneshot(Request::new(())));
    assert!(call.poll().is_pending());
    drop(call);
    assert_eq!(diary.text(), "broken dropped(false)");
}

#[tokio::test]
async fn what_panics_is_told_from_what_is_let_go_of() {
    let diary = Diary::default();
    let layer = ObserveExchangeLayer::new(diary.clone());
    type Answer = Result<Response<Empty<Bytes>>, Infallible>;
    let at_once = layer.layer(service_fn(|_: Request<()>| -> std::future::Ready<Answer> {
        panic!("at once")
    }));
    let later = layer.layer(service_fn(|_: Request<()>| async {
        tokio::task::yield_now().await;
        let answer: fn() -> Answer = || panic!("later");
        answer()
    }));
    let panicked = tokio::spawn(async { at_once.oneshot(Request::new(())).await.map(drop) }).await;
    assert!(panicked.unwrap_err().is_panic());
    let panicked = tokio::spawn(async { later.oneshot(Request::new(())).await.map(drop) }).await;
    assert!(panicked.unwrap_err().is_panic());
    assert_eq!(diary.text(), "panicked panicked");
}

#[tokio::test]
async fn a_body_that_panics_is_told_so_too() {
    let diary = Diary::default();
    type Frame = Result<http_body::Frame<Bytes>, Infallible>;
    let frames = std::iter::repeat_with(|| -> Frame { panic!("in the body") });
    let body = StreamBody::new(tokio_stream::iter(frames));
    let mut response = Some(Response::new(body));
    let service =
        service_fn(move |_: Request<()>| ready(Ok::<_, Infallible>(response.take().unwrap())));
    let service = ObserveExchangeLayer::new(diary.clone()).layer(service);
    let mut answer = service.oneshot(Request::new(())).await.unwrap().into_body();
    let panicked = tokio::spawn(async move { answer.frame().await.is_some() }).await;
    assert!(panicked.unwrap_err().is_panic());
    assert_eq!(diary.text(), "answered panicked");
}

fn node(
    answer: Result<Response<ResponseBody>, Error>,
) -> impl Service<Request<()>, Response = Response<ResponseBody>, Error = Error, Future: Send> {
    let mut answer = Some(answer);
    service_fn(move |_| ready(answer.take().unwrap()))
}

#[tokio::test]
async fn a_call_ends_with_its_answer_or_its_error() {
    let diary = Diary::default();
    let layer = ObserveLayer::new(diary.clone());
    let down = Error::new(tower_micro_call::Kind::Other, Code::Unavailable, "down");
    layer
        .layer(node(Err(down)))
        .oneshot(Request::new(()))
        .await
        .unwrap_err();
    let body = Empty::<Bytes>::new().with_trailers(ready(Some(Ok::<_, Infallible>(trailers("7")))));
    let denied = Response::new(ResponseBody::new(body));
    let answer = layer
        .layer(node(Ok(denied)))
        .oneshot(Request::new(()))
        .await
        .unwrap();
    assert_eq!(
        diary.text(),
        "Unavailable answered",
        "its trailers have not come"
    );
    let _ = answer.into_body().collect().await.unwrap();
    assert_eq!(diary.text(), "Unavailable answered PermissionDenied");
    let well = Response::new(ResponseBody::empty());
    layer
        .layer(node(Ok(well)))
        .oneshot(Request::new(()))
        .await
        .unwrap();
    assert!(diary.text().ends_with("answered Ok"));
}

// As the attempt does that a hedge has overtaken.
#[tokio::test]
async fn what_is_under_way_inside_of_a_call_ends_before_it() {
    struct Beside(Diary);

    impl Drop for Beside {
        fn drop(&mut self) {
            self.0.write("beside");
        }
    }

    let diary = Diary::default();
    let overtakes = |_: Request<()>| {
        let beside = Beside(diary.clone());
        std::future::poll_fn(move |_| {
            let _beside = &beside;
            Ready(Ok::<_, Error>(Response::new(ResponseBody::empty())))
        })
    };
    let call = ObserveLayer::new(diary.clone()).layer(service_fn(overtakes));
    call.oneshot(Request::new(())).await.unwrap();
    assert_eq!(diary.text(), "beside answered Ok");
}

#[tokio::test]
async fn a_request_that_is_not_wanted_is_not_seen() {
    let diary = Diary::default();
    let mut request = Request::new(());
    request
        .headers_mut()
        .insert("unseen", HeaderValue::from_static("1"));
    let well = node(Ok(Response::new(ResponseBody::empty())));
    Observe::new(well, diary.clone())
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(diary.text(), "");
}

/// Looks at nothing, and must not be shown anything.
#[derive(Clone)]
struct Idle;

impl Observer for Idle {
    type Watch = Diary;

    fn is_idle(&self) -> bool {
        true
    }

    fn begin<B: 'static>(&self, _: &mut Request<B>) -> Option<Diary> {
        unreachable!("nobody looks")
    }
}

#[tokio::test]
async fn an_observer_that_is_idle_is_shown_nothing() {
    let answers = || {
        service_fn(|_: Request<()>| {
            let body = Full::new(Bytes::from_static(b"hello"));
            ready(Ok::<_, Error>(grpc(body)))
        })
    };
    let exchange = ObserveExchangeLayer::new(Idle).layer(answers());
    exchange.oneshot(Request::new(())).await.unwrap();
    let onion = answers().map_response(|response| response.map(tonic::body::Body::new));
    let onion = ObserveLayer::new(Idle).layer(onion);
    let answer = onion.oneshot(Request::new(())).await.unwrap();
    assert_eq!(
        answer.into_body().collect().await.unwrap_err().code(),
        Code::Unknown
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_clock_has_ended_is_told_as_late() {
    let second = std::time::Duration::from_secs(1);
    let deadline = Deadline::after(second, tokio::time::Instant::now());
    let cancelled = |code| {
        let said = tonic::Status::new(code, "gone");
        Error::answered(said, tower_micro_call::Dialect::Grpc)
    };
    let (by_node, other) = (cancelled(Code::Cancelled), cancelled(Code::NotFound));
    let codes = |deadline| {
        let dropped = Ending::Dropped { answered: false };
        [dropped, Ending::Failed(&by_node), Ending::Failed(&other)]
            .map(|ending| ending.code_of_attempt(deadline))
    };
    let as_they_are = [Code::Cancelled, Code::Cancelled, Code::NotFound];
    assert_eq!(codes(Some(deadline)), as_they_are);
    tokio::time::advance(second).await;
    assert_eq!(codes(None), as_they_are);
    let late = Code::DeadlineExceeded;
    assert_eq!(codes(Some(deadline)), [late, late, Code::NotFound]);
}
