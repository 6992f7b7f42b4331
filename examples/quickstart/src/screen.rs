//! What the terminal shows.

use std::{
    collections::BTreeMap,
    env,
    io::{self, IsTerminal, Write},
};

use http::{Request, Response};
use tonic::Status;
use tower_micro::{
    Body, CallReport, Context, Error, Next, Onion, ResponseBody, crates::trace::picture::Trace,
};

use crate::attempts::Attempts;

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

/// The stack that each call goes through, and how to read what follows.
pub(crate) fn begin(onion: &Onion) {
    title("The layers of this client, outermost first");
    println!("{onion}");
    title("Calls, as they end: the node that answered; a capital took more than one attempt");
}

/// Something happened.
pub(crate) fn news(text: &str) {
    println!("\n{}", paint(DIM, text));
}

/// A client wrapper that is a function: once per call, it prints a letter when the call has ended.
pub(crate) async fn show_call(
    _: Context,
    request: Request<Body>,
    next: Next,
) -> Result<Response<ResponseBody>, Error> {
    let answer = next.run(request).await;
    print!("{}", letter(&answer));
    // Whoever closed our output does not want the letter.
    let _ = io::stdout().flush();
    answer
}

fn letter(answer: &Result<Response<ResponseBody>, Error>) -> String {
    let Ok(response) = answer else {
        return paint(RED, "!");
    };
    let report = response.extensions().get::<CallReport>();
    let node = report.and_then(|report| report.node.as_ref());
    let id = node.map_or("?", |node| &node.id);
    match report {
        Some(report) if report.attempts > 1 => paint(YELLOW, &id.to_uppercase()),
        _ => id.to_owned(),
    }
}

/// Who did how much.
pub(crate) fn counts(answers: &[Result<String, Status>], attempts: &Attempts) {
    println!("\n");
    title("node   attempts   answered");
    for (node, attempts) in attempts.counts() {
        let answered = answers.iter().flatten().filter(|by| **by == node).count();
        println!("{node:4}   {attempts:8}   {answered:8}");
    }
}

/// The call that took the most attempts.
pub(crate) fn most_tried(traces: &[Trace]) {
    if let Some(trace) = traces.iter().max_by_key(|trace| trace.attempts()) {
        println!();
        title("The call that was tried most often");
        print!("{}", trace.waterfall());
    }
}

/// The sums, in the last line.
pub(crate) fn end(answers: &[Result<String, Status>], attempts: &Attempts) {
    println!("\n{}", sums(answers, &attempts.counts()));
}

fn sums(answers: &[Result<String, Status>], attempts: &BTreeMap<String, usize>) -> String {
    let calls = answers.len();
    let attempts: usize = attempts.values().sum();
    let retries = attempts.saturating_sub(calls);
    let failures: Vec<_> = answers
        .iter()
        .filter_map(|end| end.as_ref().err())
        .collect();
    let failed = failures.len();
    let text = format!("{calls} calls, {attempts} attempts, {retries} retries, {failed} failed");
    match failures.first() {
        None => paint(GREEN, &text),
        Some(first) => paint(RED, &format!("one of the failures: {first}\n{text}")),
    }
}

fn title(text: &str) {
    println!("{}\n", paint(BOLD, text));
}

/// In colour, if a person is looking who has not asked for none.
fn paint(colour: &str, text: &str) -> String {
    if io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{colour}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
