//! Who wraps whom: go-micro's truth table, written with our doors.
//!
//! A test of the table is a registration and the order it gives: `A>` enters A, `<A` leaves it, `call` is the node's answer. Letters
//! are go-micro's own: A to D and X are client wrappers, D1 to F1 call wrappers, P call wrappers of one request, H handler wrappers.

mod sight;

use std::{
    convert::Infallible,
    io::ErrorKind,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use http::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::{io::DuplexStream, time::Instant};
use tonic::{
    Code, Status,
    service::InterceptorLayer,
    transport::{Channel, Endpoint},
};
use tower::{Layer, Service, ServiceExt, service_fn, util::MapResponseLayer};
use tower_micro::{
    Body, BoxError, BuildError, CallOptions, CallWrapper, Client, Context, Dialect, Error, Next,
    Preset, RequestExt, ResponseBody, RetryContext, from_fn, handlers,
};
use tower_micro_testkit::proto::{
    chat::{CountRequest, chat_client::ChatClient},
    greeter::greeter_client::GreeterClient,
};

use crate::support::{
    Diary, Recording, call, failing, greeter, greeting, hello, node_of, scripted, soon,
};

/// A layer that writes down when it is entered and left.
#[derive(Clone)]
struct Named(&'static str, Diary);

#[derive(Clone)]
struct NamedService<S> {
    inner: S,
    layer: Named,
}

impl<S> Layer<S> for Named {
    type Service = NamedService<S>;

    fn layer(&self, inner: S) -> NamedService<S> {
        let layer = self.clone();
        NamedService { inner, layer }
    }
}

impl<S, R> Service<R> for NamedService<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let Named(name, diary) = self.layer.clone();
        diary.write(format!("{name}>"));
        let call = self.inner.call(request);
        call.inspect(move |_| diary.write(format!("<{name}")))
            .boxed()
    }
}

/// Layers that share a diary, and what it says after a call.
#[derive(Default)]
struct Trace(Diary);

impl Trace {
    /// A real layer.
    fn layer(&self, name: &'static str) -> Named {
        Named(name, self.0.clone())
    }

    /// The same as a function.
    fn function(&self, name: &'static str) -> impl CallWrapper + Clone + use<> {
        let diary = self.0.clone();
        move |_: Context, request: Request<Body>, next: Next| {
            let diary = diary.clone();
            async move {
                diary.write(format!("{name}>"));
                let answer = next.run(request).await;
                diary.write(format!("<{name}"));
                answer
            }
        }
    }

    /// What a call of `client` goes through.
    async fn of(&self, client: Result<Client, BuildError>) -> String {
        self.with(client, CallOptions::new()).await
    }

    /// The same for a request with options of its own.
    async fn with(&self, client: Result<Client, BuildError>, options: CallOptions) -> String {
        let request = hello().with_options(options);
        soon(greeter(&client.unwrap()).say_hello(request))
            .await
            .unwrap();
        self.0.text()
    }
}

/// A client without wrappers, whose node writes `call` into the trace.
macro_rules! base {
    ($trace:expr) => {{
        let diary = $trace.0.clone();
        scripted(&Recording::of(1), move |_| {
            diary.write("call");
            async { Ok(greeting("n0")) }
        })
    }};
}

/// `from_fn` around [`Trace::function`].
macro_rules! function {
    ($trace:expr, $name:expr) => {{
        let wrapper = $trace.function($name);
        from_fn(move |cx, request, next| wrapper.wrap(cx, request, next))
    }};
}

#[tokio::test]
async fn t1_in_one_wrap_client_the_first_is_outermost() {
    let t = Trace::default();
    let client = base!(t).wrap_client((t.layer("A"), t.layer("B")));
    assert_eq!(t.of(client.build()).await, "A> B> call <B <A");
}

#[tokio::test]
async fn t2_a_later_wrap_client_goes_outside() {
    let t = Trace::default();
    let client = base!(t).wrap_client(t.layer("A")).wrap_client(t.layer("B"));
    assert_eq!(t.of(client.build()).await, "B> A> call <A <B");
}

#[tokio::test]
async fn t3_each_wrap_client_keeps_its_own_order_and_the_later_one_is_outside() {
    let t = Trace::default();
    let client = base!(t)
        .wrap_client((t.layer("A"), function!(t, "B")))
        .wrap_client((function!(t, "C"), t.layer("D")));
    assert_eq!(t.of(client.build()).await, "C> D> A> B> call <B <A <D <C");
}

#[tokio::test]
async fn t4_the_first_wrap_is_outermost() {
    let t = Trace::default();
    let client = base!(t).wrap(t.layer("A")).wrap(function!(t, "B"));
    assert_eq!(t.of(client.build()).await, "A> B> call <B <A");
}

#[tokio::test]
async fn t5_wrap_client_goes_outside_of_every_wrap() {
    let t = Trace::default();
    let client = base!(t)
        .wrap(t.layer("A"))
        .wrap(t.layer("B"))
        .wrap_client(t.layer("C"));
    assert_eq!(t.of(client.build()).await, "C> A> B> call <B <A <C");
}

// In go-micro `micro.Client(c)` puts another client in the place of the one that was wrapped. Here that is another builder: what the
// first one was given is its own.
#[tokio::test]
async fn t6_a_client_that_takes_the_place_of_another_has_none_of_its_wrappers() {
    let t = Trace::default();
    let replaced = base!(t).wrap_client(t.layer("C"));
    let client = base!(t).wrap(t.layer("A"));
    drop(replaced);
    assert_eq!(t.of(client.build()).await, "A> call <A");
}

// T7 to T10 are about what `NewService` of old versions adds by itself: each after your options, one `WrapClient` each, and so
// outside. A client of ours has no wrapper that nobody asked for; the same order is what the same sequence gives.
#[tokio::test]
async fn t7_the_wrappers_of_a_v2_service_are_outside_of_yours() {
    let t = Trace::default();
    let client = base!(t)
        .wrap_client(t.layer("A"))
        .wrap_client(t.layer("FromService"))
        .wrap_client(t.layer("Trace"))
        .wrap_client(t.layer("Cache"))
        .wrap_client(t.layer("Auth"));
    let expected = "Auth> Cache> Trace> FromService> A> call <A <FromService <Trace <Cache <Auth";
    assert_eq!(t.of(client.build()).await, expected);
}

#[tokio::test]
async fn t8_the_wrapper_of_a_v1_service_is_outside_of_yours() {
    let t = Trace::default();
    let client = base!(t)
        .wrap_client(t.layer("A"))
        .wrap_client(t.layer("FromService"));
    let expected = "FromService> A> call <A <FromService";
    assert_eq!(t.of(client.build()).await, expected);
}

#[tokio::test]
async fn t9_the_wrappers_of_a_v3_service_are_outside_of_yours() {
    let t = Trace::default();
    let client = base!(t)
        .wrap_client(t.layer("A"))
        .wrap_client((t.layer("Trace"), t.layer("FromService")));
    let expected = "Trace> FromService> A> call <A <FromService <Trace";
    assert_eq!(t.of(client.build()).await, expected);
}

// go-micro's `Init` after `NewService` is a later `wrap_client` on the same builder: a client that is built does not change its
// layers.
#[tokio::test]
async fn t10_what_comes_after_the_service_was_made_is_outside_of_all() {
    let t = Trace::default();
    let built_in = (
        t.layer("Auth"),
        t.layer("Cache"),
        t.layer("Trace"),
        t.layer("FromService"),
    );
    let client = base!(t)
        .wrap_client(t.layer("A"))
        .wrap_client(built_in)
        .wrap_client(t.layer("X"));
    let expected =
        "X> Auth> Cache> Trace> FromService> A> call <A <FromService <Trace <Cache <Auth <X";
    assert_eq!(t.of(client.build()).await, expected);
}

#[tokio::test]
async fn t11_call_wrappers_of_a_request_are_inside_of_the_clients() {
    let t = Trace::default();
    let client = base!(t)
        .wrap_call(t.layer("D1"))
        .wrap_call(function!(t, "D2"));
    let request = CallOptions::new()
        .call_wrapper(t.function("P1"))
        .call_wrapper(t.function("P2"));
    let expected = "D1> D2> P1> P2> call <P2 <P1 <D2 <D1";
    assert_eq!(t.with(client.build(), request).await, expected);
}

#[tokio::test]
async fn t12_call_wrappers_stand_in_the_order_in_which_they_were_added() {
    let t = Trace::default();
    let client = base!(t)
        .wrap_call(t.layer("D1"))
        .wrap_call((t.layer("E1"), function!(t, "E2")))
        .wrap_call(t.layer("F1"));
    let request = CallOptions::new().call_wrapper(t.function("P1"));
    let expected = "D1> E1> E2> F1> P1> call <P1 <F1 <E2 <E1 <D1";
    assert_eq!(t.with(client.build(), request).await, expected);
}

#[tokio::test]
async fn t13_the_first_handler_wrapper_is_outermost_over_several_calls_too() {
    let t = Trace::default();
    let diary = t.0.clone();
    let handler = service_fn(move |_: Request<()>| {
        diary.write("handler");
        async { Ok::<_, Infallible>(Response::new(())) }
    });
    let wrappers = handlers()
        .wrap_handler((t.layer("H1"), t.layer("H2")))
        .wrap_handler(t.layer("H3"));
    wrappers
        .layer(handler)
        .oneshot(Request::new(()))
        .await
        .unwrap();
    assert_eq!(t.0.text(), "H1> H2> H3> handler <H3 <H2 <H1");
}

/// Asked and told, a backoff and a predicate write into `diary`.
fn recorded(diary: &Diary) -> CallOptions {
    let (asked, judged) = (diary.clone(), diary.clone());
    CallOptions::new()
        .backoff(move |cx: RetryContext<'_>| {
            let delay = Duration::from_millis(100) * cx.attempt;
            asked.write(format!("backoff:{}={delay:?}", cx.attempt));
            Ok(delay)
        })
        .retry(move |cx: RetryContext<'_>| {
            judged.write(format!("retry:{}", cx.attempt));
            Ok(true)
        })
}

// As in go-micro, the end of a unary answer is waited for inside of all wrappers. Of a method that nobody has said to be unary the
// headers are handed out, and the node is marked when the answer has ended.
#[tokio::test(start_paused = true)]
async fn t17_a_call_with_one_retry_goes_through_every_step_in_go_micros_order() {
    let recording = Recording::of(2);
    let t = Trace(recording.diary.clone());
    let diary = t.0.clone();
    let client = scripted(&recording, move |request| {
        let node = node_of(&request);
        diary.write(format!("call:{node}"));
        async move {
            match &*node {
                "n0" => Ok(failing(Status::internal("e"))),
                _ => Ok(greeting(node)),
            }
        }
    });
    let client = client
        .wrap_call((t.layer("D1"), t.layer("D2")))
        .options(recorded(&t.0).retries(1).streaming(false))
        .wrap_client((t.layer("A"), t.layer("B")));
    let began = Instant::now();
    let request = CallOptions::new().call_wrapper(t.function("P1"));
    let expected = [
        "A> B> select:greeter",
        "backoff:0=0ns next:n0 D1> D2> P1> call:n0 <P1 <D2 <D1 mark:n0:failed retry:0",
        "backoff:1=100ms next:n1 D1> D2> P1> call:n1 <P1 <D2 <D1 mark:n1:ok",
        "<B <A",
    ];
    assert_eq!(t.with(client.build(), request).await, expected.join(" "));
    assert_eq!(began.elapsed(), Duration::from_millis(100));
}

#[tokio::test]
async fn erased_wrappers_keep_their_order() {
    let t = Trace::default();
    let mut client = base!(t)
        .wrap_client(t.layer("A"))
        .wrap_call(t.layer("D1"))
        .erased();
    for (around, inside) in [("B", "D2"), ("C", "D3")] {
        client = client
            .wrap_client(t.layer(around))
            .wrap_call(t.layer(inside))
            .erased();
    }
    let client = client.wrap(t.layer("Z")).build();
    let expected = "C> B> A> Z> D1> D2> D3> call <D3 <D2 <D1 <Z <A <B <C";
    assert_eq!(t.of(client).await, expected);
}

#[tokio::test]
async fn the_order_is_the_same_in_every_preset() {
    for preset in [Preset::Standard, Preset::GoMicroV2, Preset::GoMicroV4] {
        let t = Trace::default();
        let client = base!(t)
            .preset(preset)
            .wrap_client((t.layer("A"), t.layer("B")))
            .wrap_call((t.layer("D1"), t.layer("D2")));
        let expected = "A> B> D1> D2> call <D2 <D1 <B <A";
        assert_eq!(t.of(client.build()).await, expected, "{preset:?}");
    }
}

/// A client of another service, of which no node can be reached, or is slow.
fn elsewhere(error: fn() -> Error) -> Client {
    scripted(&Recording::of(1), move |_| async move { Err(error()) })
        .options(CallOptions::new().retries(0))
        .build()
        .unwrap()
}

fn unreachable() -> Error {
    Error::transport(std::io::Error::from(ErrorKind::ConnectionRefused))
}

fn late() -> Error {
    Error::deadline(Duration::from_secs(1), Dialect::Grpc)
}

#[tokio::test]
async fn how_a_wrappers_own_call_fails_says_nothing_of_the_attempt() {
    for (error, code, called) in [
        (unreachable as fn() -> Error, Code::Unavailable, "audit"),
        (unreachable, Code::Unavailable, "greeter"),
        (late, Code::DeadlineExceeded, "audit"),
    ] {
        let recording = Recording::of(1);
        let (sent, other) = (Diary::default(), elsewhere(error));
        let diary = sent.clone();
        let audit = move |_: Context, request: Request<Body>, next: Next| {
            let mut other = GreeterClient::new(other.channel(called));
            async move {
                let answer = next.run(request).await?;
                other.say_hello(hello()).await?;
                Ok(answer)
            }
        };
        let client = scripted(&recording, move |_| {
            diary.write("sent");
            async { Ok(greeting("n0")) }
        });
        let client = client.wrap_call(from_fn(audit)).build().unwrap();
        let status = soon(greeter(&client).say_hello(hello())).await.unwrap_err();
        assert_eq!(status.code(), code);
        assert_eq!(sent.text(), "sent", "it was done, and is not done again");
        assert_eq!(
            recording.diary.text(),
            "select:greeter next:n0 mark:n0:failed"
        );
    }
}

/// What tonic says where nobody listens.
async fn connect() -> Result<Channel, tonic::transport::Error> {
    let nobody = service_fn(|_: http::Uri| async {
        let refused = std::io::Error::from(ErrorKind::ConnectionRefused);
        Err::<TokioIo<DuplexStream>, _>(refused)
    });
    let endpoint = Endpoint::from_static("http://audit:1");
    endpoint.connect_with_connector(nobody).await
}

#[tokio::test]
async fn how_a_wrappers_own_connection_fails_says_nothing_of_the_attempt() {
    for boxed in [false, true] {
        let (recording, sent) = (Recording::of(1), Diary::default());
        let diary = sent.clone();
        let audit = move |_: Context, request: Request<Body>, next: Next| async move {
            let answer = next.run(request).await?;
            let connected = connect().await;
            if boxed {
                connected.map_err(BoxError::from)?;
            } else {
                connected?;
            }
            Ok(answer)
        };
        let client = scripted(&recording, move |_| {
            diary.write("sent");
            async { Ok(greeting("n0")) }
        });
        let waits = CallOptions::new().wait_for_ready(true);
        let client = client.options(waits).wrap_call(from_fn(audit));
        let status = soon(call(&client.build().unwrap())).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(sent.text(), "sent", "it was done, and is not done again");
        assert_eq!(
            recording.diary.text(),
            "select:greeter next:n0 mark:n0:failed"
        );
    }
}

#[tokio::test]
async fn how_a_wrappers_own_file_fails_says_nothing_of_the_attempt() {
    for kind in [ErrorKind::NotFound, ErrorKind::ConnectionRefused] {
        let (recording, sent) = (Recording::of(1), Diary::default());
        let diary = sent.clone();
        let audit = move |_: Context, request: Request<Body>, next: Next| async move {
            next.run(request).await?;
            let failed: Result<_, BoxError> = Err(std::io::Error::from(kind).into());
            Ok(failed?)
        };
        let client = scripted(&recording, move |_| {
            diary.write("sent");
            async { Ok(greeting("n0")) }
        });
        let client = client.wrap_call(from_fn(audit)).build().unwrap();
        let status = soon(greeter(&client).say_hello(hello())).await.unwrap_err();
        assert_eq!(status.code(), Code::Unknown);
        assert_eq!(sent.text(), "sent", "it was done, and is not done again");
    }
}

/// tonic's interceptors answer with a body of their own.
#[tokio::test]
async fn a_layer_that_makes_another_body_fits_inside_of_one_that_takes_it_back() {
    let add_token = InterceptorLayer::new(|mut request: tonic::Request<()>| {
        request
            .metadata_mut()
            .insert("x-token", "7".parse().unwrap());
        Ok(request)
    });
    let back = MapResponseLayer::new(|answer: Response<_>| answer.map(ResponseBody::new));
    for around_calls in [true, false] {
        let recording = Recording::of(2);
        let client = scripted(&recording, |request| async move {
            assert_eq!(request.headers()["x-token"], "7");
            match &*node_of(&request) {
                "n0" => Ok(failing(Status::unavailable("busy"))),
                node => Ok(greeting(node)),
            }
        });
        let client = client.options(CallOptions::new().idempotent(true));
        let wrapper = (back.clone(), add_token);
        let client = match around_calls {
            true => client.wrap_client(wrapper).build(),
            false => client.wrap_call(wrapper).build(),
        };
        let answer = soon(greeter(&client.unwrap()).say_hello(hello())).await;
        assert_eq!(answer.unwrap().into_inner().node, "n1");
        assert_eq!(
            recording.diary.text(),
            "select:greeter next:n0 mark:n0:failed next:n1 mark:n1:ok"
        );
    }
}

/// What a node sends that has nothing to say.
fn empty_handed(details: &'static str) -> Response<ResponseBody> {
    let response = Response::builder().header("content-type", "application/grpc");
    let code = if details.is_empty() { "0" } else { "13" };
    let response = response.header("grpc-status", code);
    let response = response.header("grpc-status-details-bin", details);
    response.body(ResponseBody::empty()).unwrap()
}

// As tonic's own would be: nobody has read what its headers say.
#[tokio::test]
async fn what_a_client_wrapper_answers_with_is_read_as_what_a_node_answers() {
    let anew = MapResponseLayer::new(|answer: Response<ResponseBody>| {
        let body = tonic::body::Body::new(answer.into_body());
        empty_handed("").map(|_| ResponseBody::from(body))
    });
    let scripted = || scripted(&Recording::of(1), |_| async { Ok(empty_handed("")) });
    let client = scripted().wrap_client(anew).build().unwrap();
    let mut chat = ChatClient::new(client.channel("greeter"));
    let numbers = chat.count(CountRequest::default()).await.unwrap();
    assert!(
        soon(numbers.into_inner().message())
            .await
            .unwrap()
            .is_none()
    );

    let odd = from_fn(|_: Context, _: Request<Body>, _: Next| async {
        let body = tonic::body::Body::empty();
        Ok(empty_handed("!!!").map(|_| ResponseBody::from(body)))
    });
    let client = scripted().wrap_client(odd).build().unwrap();
    let status = soon(call(&client)).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_for_which_its_wrapper_leaves_no_time_is_not_sent() {
    let (recording, sent) = (Recording::of(1), Diary::default());
    let diary = sent.clone();
    let second = Duration::from_secs(1);
    let waits = move |_: Context, request: Request<Body>, next: Next| async move {
        tokio::time::sleep(second).await;
        next.run(request).await
    };
    let client = scripted(&recording, move |_| {
        diary.write("sent");
        async { Ok(greeting("n0")) }
    });
    let client = client.options(CallOptions::new().timeout(second));
    let client = client.wrap_call(from_fn(waits)).build().unwrap();
    let status = soon(call(&client)).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(sent.text(), "");
}
