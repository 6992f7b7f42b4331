//! Propagators that are not ours.

use super::*;

#[test]
fn another_propagator_has_its_say_when_no_format_has() {
    let sdk = opentelemetry_sdk::propagation::TraceContextPropagator::new();
    let propagation = Propagation::none().with(sdk);
    let w3c = format!("00-{TRACE}-{SPAN}-01");
    assert_eq!(parent(&propagation, &[("traceparent", &w3c)]), known(true));
    let mut sent = HeaderMap::new();
    propagation.inject_headers(&context(true), &mut sent);
    assert_eq!(sent["traceparent"], w3c);
}

#[test]
fn what_another_propagator_finds_besides_a_parent_is_kept_when_a_format_has_one() {
    let sdk = opentelemetry_sdk::propagation::BaggagePropagator::new();
    let propagation = Propagation::new().baggage(["tenant"]).with(sdk);
    let w3c = format!("00-{TRACE}-{SPAN}-01");
    let came = headers(&[("traceparent", &w3c), ("baggage", "tenant=a,region=north")]);
    let cx = propagation.extract_headers(&Context::new(), &came).unwrap();
    assert_eq!(cx.span().span_context().trace_id().to_string(), TRACE);
    let held = |key| cx.baggage().get(key).map(ToString::to_string);
    assert_eq!(held("region"), Some("north".to_owned()));
    assert_eq!(held("tenant"), Some("a".to_owned()));
}

/// Makes a context of its own current, as a propagator may that asks others.
#[derive(Debug)]
struct Attaching;

impl TextMapPropagator for Attaching {
    fn inject_context(&self, cx: &Context, into: &mut dyn Injector) {
        let _current = cx.clone().attach();
        into.set("x-attached", "yes".to_owned());
    }

    fn extract_with_context(&self, cx: &Context, _: &dyn Extractor) -> Context {
        let _current = cx.clone().attach();
        cx.clone()
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}

#[test]
fn a_propagator_may_make_another_context_current() {
    let propagation = Propagation::new().with(Attaching);
    let mut carried = headers(&[("traceparent", &format!("00-{TRACE}-{SPAN}-01"))]);
    let _current = context(true).attach();
    assert!(propagation.extract_on_current(&carried).is_some());
    assert!(propagation.inject_current(&mut carried));
    assert_eq!(carried["x-attached"], "yes");
}
