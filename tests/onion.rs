//! The stack prints itself as `docs/onion.md` shows it.

use http::{Request, Response};
use tower::Layer;
use tower_micro::{Body, Client, Context, Error, Next, ResponseBody, Static, from_fn};

use crate::documents::{fenced, read};

/// Layers that do nothing but have a name.
macro_rules! named {
    ($($name:ident),*) => {$(
        #[derive(Clone, Debug)]
        struct $name;

        impl<S> Layer<S> for $name {
            type Service = S;

            fn layer(&self, inner: S) -> S {
                inner
            }
        }
    )*};
}
named!(AuditLayer, CacheLayer, TraceLayer);

async fn log_attempt(
    _: Context,
    request: Request<Body>,
    next: Next,
) -> Result<Response<ResponseBody>, Error> {
    next.run(request).await
}

fn registry() -> Static {
    Static::addresses("greeter", ["127.0.0.1:1"]).unwrap()
}

#[rustfmt::skip] // as in docs/onion.md
fn wrapped() -> Client {
    Client::builder()
        .registry(registry())
        .wrap(CacheLayer)                       // client.Wrap
        .wrap_client((TraceLayer, AuditLayer))  // micro.WrapClient
        .wrap_call(from_fn(log_attempt))        // micro.WrapCall
        .build().unwrap()
}

fn pictures() -> Vec<String> {
    fenced(&read("docs/onion.md"), "onion")
}

#[test]
fn a_plain_client_prints_the_first_picture() {
    let client = Client::builder().registry(registry()).build().unwrap();
    assert_eq!(client.onion().to_string(), pictures()[0]);
}

#[test]
fn a_client_with_wrappers_prints_the_second_picture() {
    assert_eq!(wrapped().onion().to_string(), pictures()[1]);
}

#[test]
fn there_are_two_pictures_and_the_code_beside_them_is_the_code_of_this_test() {
    assert_eq!(pictures().len(), 2);
    let shown = fenced(&read("docs/onion.md"), "rust");
    let lines: Vec<_> = shown[0].lines().map(str::trim).collect();
    let here = read("tests/onion.rs");
    let here: Vec<_> = here.lines().map(str::trim).collect();
    let is_here = here.windows(lines.len()).any(|window| window == lines);
    assert!(is_here, "docs/onion.md shows other code: {lines:#?}");
}

/// The rows of a table whose head is `head`, without the signs of either kind of documentation.
fn rows(text: &str, head: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.trim_start_matches("//! "));
    let table = lines.skip_while(|line| *line != head);
    let rows = table.take_while(|line| line.starts_with('|'));
    rows.map(|row| row.replace(['`', '[', ']'], "")).collect()
}

#[test]
fn the_notes_are_those_of_the_code() {
    let head = "| note | written by | read by |";
    let code = rows(&read("crates/call/src/notes/mod.rs"), head);
    assert!(code.len() > 4, "only {code:?} was read");
    assert_eq!(rows(&read("docs/onion.md"), head), code);
}
