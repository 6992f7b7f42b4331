//! What each way to fail on the wire is called, and whether it is done once more.
//!
//! This is the table of `tower_micro_call`'s `error/cause.rs`, measured: a peer writes frames by hand, and all that stands between it
//! and the call is real: a connection of our own, and tonic's. A row that fails after an update of one of them tells what has changed its meaning.

mod measure;
mod once;
mod rows;
mod scene;

use tower_micro_testkit::closed_port;

use self::{
    measure::{Measured, Row},
    rows::{
        Over, ours, refused, tonics, with_half_an_answer, without_a_connection_of_ours,
        without_a_connection_of_tonics, without_an_answer, wrappers,
    },
};

#[tokio::test]
async fn every_cause_has_its_code_its_disposition_and_its_number_of_attempts() {
    // A real port needs a real clock.
    let closed = closed_port().await.unwrap();
    check(measured([refused(closed)]).await);
    tokio::time::pause();
    check(measured(without_a_connection_of_ours()).await);
    check(sent(ours).await);
    check(measured(wrappers()).await);
}

#[tokio::test(start_paused = true)]
async fn so_has_every_cause_over_tonics_channels() {
    check(measured(without_a_connection_of_tonics()).await);
    check(sent(tonics).await);
}

/// What befalls requests that were sent.
async fn sent(over: Over) -> Vec<(Row, Measured)> {
    let mut table = measured(without_an_answer(over)).await;
    table.extend(measured(with_half_an_answer(over)).await);
    table
}

fn check(table: Vec<(Row, Measured)>) {
    print(&table);
    let wrong = table.iter().filter(|(row, got)| row.expected != *got);
    let wrong: Vec<_> = wrong.map(|(row, _)| row.expected.line(row.case)).collect();
    assert!(wrong.is_empty(), "expected:\n{}", wrong.join("\n"));
}

async fn measured(rows: impl IntoIterator<Item = Row>) -> Vec<(Row, Measured)> {
    let mut table = Vec::new();
    for row in rows {
        let measured = row.measure().await;
        table.push((row, measured));
    }
    table
}

#[allow(clippy::print_stderr, reason = "shown if a row fails, or asked for")]
fn print(table: &[(Row, Measured)]) {
    eprintln!("{}", Measured::HEAD);
    for (row, measured) in table {
        eprintln!("{}", measured.line(row.case));
    }
}
