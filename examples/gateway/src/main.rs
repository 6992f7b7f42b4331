//! An HTTP gateway, a service behind it, and two nodes of another service behind that; one of the two fails. One request goes through
//! all of them, and leaves one trace, which is drawn at the end.
//!
//! ```text
//! cargo run -p gateway                                  # the waterfall in the terminal
//! cargo run -p gateway -- --html trace.html             # and as a page
//! cargo run -p gateway -- --onion onion.svg             # the client's onion, with the time spent in each ring
//! cargo run -p gateway -- --otlp http://localhost:4317  # and to a collector
//! ```
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example speaks to whoever runs it")]

mod arguments;
mod front;
mod services;
mod telemetry;

use tower_micro::{BoxError, crates::trace::picture};

use crate::{arguments::Arguments, services::Services, telemetry::Telemetry};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let telemetry = Telemetry::install(arguments.otlp.as_deref())?;

    // hello (a and b, of which b is busy) <- welcome <- gateway
    let services = Services::start().await?;
    let gateway = front::serve(services.welcome.channel("welcome")).await?;

    println!("GET http://{gateway}/hello/Ada\n");
    let answer = front::get(gateway, "/hello/Ada").await?;
    println!("{answer}\n");

    // Servers' spans may end a little after the answer has come.
    telemetry.settle().await;
    let traces = telemetry.recorder.traces();
    let trace = traces.last().ok_or("no trace was recorded")?;
    println!("{}", trace.waterfall());
    if let Some(file) = arguments.html {
        std::fs::write(&file, trace.html("GET /hello/Ada, through three services"))?;
        println!("the same as a page: {file}");
    }
    if let Some(file) = arguments.onion {
        let lines = services.hello.onion().lines().iter();
        let layers = lines.map(|line| (line.ring, line.name.clone()));
        let inner = telemetry.call_to_hello();
        std::fs::write(&file, picture::onion(layers, inner.as_ref()))?;
        println!("the onion of the client that tried twice: {file}");
    }
    telemetry.flush()
}
