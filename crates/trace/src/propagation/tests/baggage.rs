//! What is carried besides a parent.

use super::*;

fn carrying(pairs: &[(&'static str, &'static str)]) -> Context {
    let pairs = pairs.iter().map(|(key, value)| KeyValue::new(*key, *value));
    Context::new().with_baggage(pairs)
}

#[test]
fn baggage_is_carried_if_it_is_named_and_not_otherwise() {
    let cx = carrying(&[
        ("tenant", "blue, or =green; \u{e4}"),
        ("password", "hunter2"),
    ]);
    let send = |propagation: &Propagation| {
        let mut headers = HeaderMap::new();
        propagation.inject_headers(&cx, &mut headers);
        headers
    };
    assert!(send(&Propagation::new()).is_empty());
    let named = Propagation::new().baggage(["tenant", "not=a token"]);
    let sent = send(&named);
    assert_eq!(
        sent["baggage"],
        "tenant=blue%2C%20or%20%3Dgreen%3B%20%C3%A4"
    );
    let back = named.extract_headers(&Context::new(), &sent).unwrap();
    let tenant = back.baggage().get("tenant").unwrap();
    assert_eq!(tenant.as_str(), "blue, or =green; \u{e4}");
    let inbound = headers(&[("baggage", "password=hunter2,tenant = blue ;secret=1")]);
    let cx = named.extract_headers(&Context::new(), &inbound).unwrap();
    assert_eq!(cx.baggage().len(), 1);
    assert_eq!(cx.baggage().get("tenant").unwrap().as_str(), "blue");
}

#[test]
fn jaegers_baggage_has_a_header_for_each_entry() {
    let propagation = Propagation::of_jaeger().baggage(["tenant"]);
    let mut sent = HeaderMap::new();
    propagation.inject_headers(&carrying(&[("tenant", "blue")]), &mut sent);
    assert_eq!(sent["uberctx-tenant"], "blue");
    let inbound = headers(&[("uberctx-tenant", "a%20b"), ("uberctx-password", "x")]);
    let cx = propagation
        .extract_headers(&Context::new(), &inbound)
        .unwrap();
    assert_eq!(cx.baggage().get("tenant").unwrap().as_str(), "a b");
    assert_eq!(cx.baggage().len(), 1);
}

impl Propagation {
    fn of_jaeger() -> Self {
        Self::none()
            .inject([Format::Jaeger])
            .extract([Format::Jaeger])
    }
}

#[test]
fn more_baggage_than_a_header_may_hold_is_not_read() {
    let named = Propagation::new().baggage(["tenant"]);
    let long = format!("tenant=blue,rest={}", "x".repeat(9000));
    assert!(
        named
            .extract_headers(&Context::new(), &headers(&[("baggage", &long)]))
            .is_none()
    );
}

#[test]
fn baggage_alone_takes_an_old_parent_off() {
    let mut headers = headers(&[("traceparent", &format!("00-{TRACE}-{SPAN}-01"))]);
    let cx = Context::new().with_baggage([KeyValue::new("tenant", "a")]);
    let propagation = Propagation::new().baggage(["tenant"]);
    assert!(!propagation.inject_headers(&cx, &mut headers));
    assert_eq!(headers.keys().collect::<Vec<_>>(), ["baggage"]);
}

#[test]
fn baggage_that_stays_here_takes_nothing_off() {
    let headers = headers(&[("traceparent", &format!("00-{TRACE}-{SPAN}-01"))]);
    let cx = Context::new().with_baggage([KeyValue::new("password", "hunter2")]);
    for propagation in [Propagation::new(), Propagation::new().baggage(["tenant"])] {
        let mut left = headers.clone();
        assert!(!propagation.inject_headers(&cx, &mut left));
        assert_eq!(left, headers);
    }
}
