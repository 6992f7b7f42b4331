//! What is kept of a request, call after call through one service.

use http::{HeaderValue, Method, Uri, Version};
use tonic::GrpcMethod;
use tower_service::Service;

use super::{super::head::Head, *};

/// Something that a client wrapper may put on a request.
#[derive(Clone, Debug)]
struct Mine(Arc<()>);

/// As a generated client makes it.
fn generated() -> Request<Body> {
    let mut request = request(once());
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = Uri::from_static("http://node/greeter.Greeter/SayHello");
    request
        .headers_mut()
        .insert("te", HeaderValue::from_static("trailers"));
    let method = GrpcMethod::new("greeter.Greeter", "SayHello");
    request.extensions_mut().insert(method);
    request
}

type Change = fn(&mut Request<Body>);

/// What one request may say otherwise than another, each alone.
const CHANGES: [(&str, Change); 14] = [
    ("method", |request| *request.method_mut() = Method::PUT),
    ("version", |request| {
        *request.version_mut() = Version::HTTP_11;
    }),
    ("path", |request| {
        say(request, "http://node/greeter.Greeter/SayHallo");
    }),
    ("query", |request| {
        say(request, "http://node/greeter.Greeter/SayHello?");
    }),
    ("authority", |request| {
        say(request, "http://NODE/greeter.Greeter/SayHello");
    }),
    ("scheme", |request| {
        say(request, "https://node/greeter.Greeter/SayHello");
    }),
    ("no authority", |request| {
        say(request, "/greeter.Greeter/SayHello");
    }),
    ("value", |request| {
        set(request, "x-mine", HeaderValue::from_static("2"));
    }),
    ("sensitive", |request| {
        let mut value = HeaderValue::from_static("1");
        value.set_sensitive(true);
        set(request, "x-mine", value);
    }),
    ("another header", |request| {
        set(request, "x-other", HeaderValue::from_static("1"));
    }),
    ("a header twice", |request| {
        let value = HeaderValue::from_static("1");
        request.headers_mut().append("x-mine", value);
    }),
    ("a header less", |request| {
        drop(request.headers_mut().remove("x-mine"));
    }),
    ("a header instead", |request| {
        request.headers_mut().remove("te");
        set(request, "tf", HeaderValue::from_static("trailers"));
    }),
    ("generated method", |request| {
        let method = GrpcMethod::new("greeter.Greeter", "SayHallo");
        request.extensions_mut().insert(method);
    }),
];

fn say(request: &mut Request<Body>, uri: &'static str) {
    *request.uri_mut() = Uri::from_static(uri);
}

fn set(request: &mut Request<Body>, name: &'static str, value: HeaderValue) {
    request.headers_mut().insert(name, value);
}

#[test]
fn whatever_a_request_says_otherwise_is_noticed() {
    let head = Head::of(&generated());
    assert!(head.is_of(&generated()));
    for (what, change) in CHANGES {
        let mut changed = generated();
        change(&mut changed);
        assert!(!head.is_of(&changed), "{what}");
        assert!(Head::of(&changed).is_of(&changed), "{what}");
        assert!(!Head::of(&changed).is_of(&generated()), "{what}");
    }
}

#[test]
fn a_request_with_extensions_of_somebody_else_is_like_no_other() {
    let mut request = generated();
    request.extensions_mut().insert(Mine(Arc::default()));
    assert!(!Head::of(&generated()).is_of(&request));
    assert!(!Head::of(&request).is_of(&request));
    request.extensions_mut().remove::<GrpcMethod<'static>>();
    assert!(!Head::of(&generated()).is_of(&request), "as many as before");
}

/// What a node sees of a request.
fn seen(request: &Request<Body>) -> String {
    let mine = request.extensions().get::<Mine>();
    let method = request.extensions().get::<GrpcMethod<'static>>();
    format!(
        "{} {} {:?} {:?} {method:?} {mine:?}",
        request.method(),
        request.uri(),
        request.version(),
        request.headers()
    )
}

#[tokio::test]
async fn each_call_repeats_what_it_said_itself_whatever_was_said_before() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let node = Arc::clone(&heard);
    let service = service_fn(move |request: Request<Body>| {
        node.lock().unwrap().push(seen(&request));
        async { Err::<Response<ResponseBody>, _>(down()) }
    });
    let mut retry = RetryLayer::with_options(quick()).layer(service);
    let unchanged: Change = |_| {};
    let changes = CHANGES.map(|(_, change)| change);
    let mine: Change = |request| drop(request.extensions_mut().insert(Mine(Arc::default())));
    for change in changes
        .into_iter()
        .chain([mine])
        .flat_map(|change| [change, unchanged, change])
    {
        let mut request = generated();
        change(&mut request);
        let said = seen(&request);
        retry
            .ready()
            .await
            .unwrap()
            .call(request)
            .await
            .unwrap_err();
        assert_eq!(
            heard.lock().unwrap().drain(..).collect::<Vec<_>>(),
            [&*said; 3]
        );
    }
}

#[tokio::test]
async fn what_came_in_extensions_is_let_go_of_with_its_call() {
    let service = service_fn(|_: Request<Body>| async { good() });
    let mut retry = RetryLayer::with_options(quick()).layer(service);
    let mine = Mine(Arc::default());
    let mut request = generated();
    request.extensions_mut().insert(mine.clone());
    let call = retry.ready().await.unwrap().call(request);
    assert!(Arc::strong_count(&mine.0) > 1);
    call.await.unwrap();
    assert_eq!(Arc::strong_count(&mine.0), 1);
}

#[tokio::test]
async fn what_is_kept_tells_nobody_what_headers_say() {
    let node = service_fn(|_: Request<Body>| async { good() });
    let mut retry = RetryLayer::new().layer(node);
    let mut request = generated();
    let secret = HeaderValue::from_static("Bearer s3cret");
    set(&mut request, "authorization", secret);
    retry.call(request).await.unwrap();
    let told = format!("{retry:?}");
    assert!(told.contains("authorization"), "{told}");
    assert!(!told.contains("s3cret"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn nor_does_a_call_that_is_to_be_sent_again() {
    let fails = |_: Request<Body>| std::future::ready(Err::<Response<ResponseBody>, _>(down()));
    let mut retry = RetryLayer::new().layer(service_fn(fails));
    let mut request = generated();
    let secret = HeaderValue::from_static("Bearer s3cret");
    set(&mut request, "authorization", secret);
    let mut call = tokio_test::task::spawn(retry.call(request));
    tokio_test::assert_pending!(call.poll());
    let told = format!("{call:?}");
    assert!(!told.contains("s3cret"), "{told}");
}

#[tokio::test]
async fn a_call_under_way_repeats_what_it_said_though_another_has_begun_that_says_something_else() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let node = Arc::clone(&heard);
    let service = service_fn(move |request: Request<Body>| {
        let mine = request.headers()["x-mine"].clone();
        node.lock().unwrap().push(mine);
        async { Err::<Response<ResponseBody>, _>(down()) }
    });
    let mut retry = RetryLayer::with_options(quick()).layer(service);
    let calls = ["1", "2"].map(|mine| {
        let mut request = generated();
        set(&mut request, "x-mine", HeaderValue::from_static(mine));
        retry.call(request)
    });
    for call in calls {
        call.await.unwrap_err();
    }
    assert_eq!(*heard.lock().unwrap(), ["1", "2", "1", "1", "2", "2"]);
}
