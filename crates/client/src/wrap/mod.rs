//! The doors for your own layers, and their order.
//!
//! | door | go-micro | order |
//! |---|---|---|
//! | [`ClientBuilder::wrap`](crate::ClientBuilder::wrap) | `client.Wrap` | first added is outermost |
//! | [`ClientBuilder::wrap_client`](crate::ClientBuilder::wrap_client) | `micro.WrapClient` | in one call the first of a tuple is outermost; each later call goes outside of all before |
//! | [`ClientBuilder::wrap_call`](crate::ClientBuilder::wrap_call) | `client.WrapCall`, `micro.WrapCall` | first added is outermost |
//! | [`CallOptions::call_wrapper`](tower_micro_call::CallOptions::call_wrapper) | `client.WithCallWrapper` | inside of all by `wrap_call`; first added is outermost |
//!
//! A client wrapper runs once per call and sees neither node nor attempt. A call wrapper runs once per attempt and sees both; what it
//! returns is what the node is marked with and what the retry predicate sees.
//!
//! A wrapper is any [`Layer`] that leaves the bodies their types, or an `async fn` through [`from_fn`](from_fn::from_fn). A layer that
//! makes another body of an answer needs one more outside of it, which makes a [`ResponseBody`](tower_micro_call::ResponseBody) of that
//! again:
//!
//! ```
//! use http::Response;
//! use tonic::service::InterceptorLayer;
//! use tower::util::MapResponseLayer;
//! use tower_micro_call::ResponseBody;
//! use tower_micro_client::Client;
//!
//! let add_token = InterceptorLayer::new(|mut request: tonic::Request<()>| {
//!     request.metadata_mut().insert("x-token", "secret".parse().expect("it is ASCII"));
//!     Ok(request)
//! });
//! let back = MapResponseLayer::new(|answer: Response<_>| answer.map(ResponseBody::new));
//! # let nodes = tower_micro_registry::Static::addresses("greeter", ["127.0.0.1:50051"])?;
//! let client = Client::builder().registry(nodes).wrap_client((back, add_token)).build()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An interceptor can also stand where it always did: `GreeterClient::with_interceptor(client.channel("greeter"), function)`.
//!
//! Each service that a client calls has a stack of its own, so that a layer is applied once a service, when its channel is first asked
//! for. What a layer makes then (the limit of tower's `ConcurrencyLimitLayer`) is the service's, what it holds itself
//! (`GlobalConcurrencyLimitLayer`) is the client's.
//!
//! The layers inside work with the time as it was when the attempt began. A function may wait before it runs its inside: then it is read
//! again. A layer of your own that waits tells them so ([`Notes::set_now`](tower_micro_call::Notes::set_now)), or the node is told of more
//! time than there is.
//!
//! The doors build types, not
//! a list: a layer costs what it does and nothing else. A builder that has to grow in a loop can be
//! [erased](crate::ClientBuilder::erased) on the way, for one box per call and door.

pub mod erase;

pub mod from_fn;

use tower_layer::Layer;
use tower_micro_call::{Body, Next};

use erase::WrappedService;

/// A stack of layers around `service`, with the request and response of the onion, as something a [`Next`] can be made of.
///
/// For tests of wrappers that are functions.
pub fn with_wrappers<L, S>(layer: L, service: S) -> Next<Body>
where
    L: Layer<S>,
    L::Service: WrappedService<Body>,
{
    crate::per_call::per_attempt::wrappers::next(layer.layer(service))
}

/// The names of the layers in a type: one, or those of a tuple.
pub(crate) fn names_of<L>() -> Vec<String> {
    let name = std::any::type_name::<L>();
    match name
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
    {
        Some(tuple) => parts(tuple).into_iter().map(short).collect(),
        None => vec![short(name)],
    }
}

/// Splits at the commas that are not inside of brackets.
fn parts(tuple: &str) -> Vec<&str> {
    let (mut depth, mut before) = (0i32, ' ');
    let split = tuple.split(|letter: char| {
        depth += match letter {
            '<' | '(' | '[' => 1,
            // Of an arrow, which names what a function returns.
            '>' if before == '-' => 0,
            '>' | ')' | ']' => -1,
            _ => 0,
        };
        before = letter;
        letter == ',' && depth == 0
    });
    split
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

/// What the compiler calls a function without a name.
const CLOSURE: &str = "{{closure}}";

/// `audit::AuditLayer` is `AuditLayer`; a function is named as it is written, a closure by the function it stands in.
fn short(name: &str) -> String {
    let name = match name.split_once("FromFnLayer<") {
        Some((_, function)) => parts(function.trim_end_matches('>'))[0],
        None => name.split('<').next().unwrap_or(name),
    };
    let mut path = name.rsplit("::");
    let last = path.next().unwrap_or(name);
    if last != CLOSURE {
        return last.to_owned();
    }
    // What stands in an `async fn` stands in the closure that its body is.
    match path.find(|part| *part != CLOSURE) {
        Some(function) => format!("closure in {function}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_named_by_its_type_and_a_tuple_by_its_members() {
        assert_eq!(names_of::<crate::RetryLayer>(), ["RetryLayer"]);
        let both = names_of::<(crate::RetryLayer, Option<Vec<(u8, u16)>>)>();
        assert_eq!(both, ["RetryLayer", "Option"]);
        let of_functions = names_of::<(Option<fn(u8) -> u16>, crate::RetryLayer)>();
        assert_eq!(of_functions, ["Option", "RetryLayer"]);
    }

    fn names<T>(_: &T) -> Vec<String> {
        names_of::<T>()
    }

    #[tokio::test]
    async fn a_closure_is_named_by_the_function_it_stands_in_async_or_not() {
        use tower_micro_call::Context;

        fn plain() -> Vec<String> {
            let run = |_: Context, request, next: Next| async move { next.run(request).await };
            names(&from_fn::from_fn(run))
        }
        async fn inside() -> Vec<String> {
            let run = |_: Context, request, next: Next| async move { next.run(request).await };
            names(&from_fn::from_fn(run))
        }
        assert_eq!(plain(), ["closure in plain"]);
        assert_eq!(inside().await, ["closure in inside"]);
    }
}
