//! The onion as SVG.

use std::{fmt::Write, time::Duration};

use super::{
    Trace,
    scale::told,
    svg::{STYLE, escaped},
    trace::{Row, What},
};

const LAYER: usize = 22;
const HEAD: usize = 34;
const PADDING: usize = 18;
const WIDTH: usize = 640;
/// Between the last layer of a ring and the next ring.
const GAP: usize = 8;

/// One ring: its name, and the layers that stand in it.
type Ring = (String, Vec<String>);

/// The layers of a client as nested boxes, a box a ring, with the time that one real call spent in each if `trace` shows one.
///
/// `layers` are pairs of ring and name, outermost first: the lines of `Client::onion()`. The times are those of the first call in
/// `trace`: all of it, its attempts, and the handlers at the nodes. They are complete if every attempt has a span
/// (`Attempts::Always`) and the nodes record in the same place; a ring of which nothing is known shows no time.
pub fn onion<R, N>(layers: impl IntoIterator<Item = (R, N)>, trace: Option<&Trace>) -> String
where
    R: ToString,
    N: Into<String>,
{
    let rings = rings(layers);
    let times = trace.map(times).unwrap_or_default();
    let height = PADDING + rings.iter().map(tall).sum::<usize>();
    let width = WIDTH + 2 * PADDING;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\
         <style>{STYLE}.ring{{fill:#3b6fd4;fill-opacity:.09;stroke:#3b6fd4;stroke-opacity:.45}}.name{{font-weight:600}}</style>\
         <rect class=\"paper\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>"
    );
    let mut top = PADDING / 2;
    for (depth, ring) in rings.iter().enumerate() {
        draw(
            &mut svg,
            ring,
            depth,
            top,
            height - PADDING / 2 - depth * PADDING,
            &times,
        );
        top += tall(ring) - PADDING;
    }
    svg.push_str("</svg>\n");
    svg
}

fn rings<R: ToString, N: Into<String>>(layers: impl IntoIterator<Item = (R, N)>) -> Vec<Ring> {
    let mut rings = Vec::<Ring>::new();
    for (ring, layer) in layers {
        let ring = ring.to_string();
        match rings.last_mut().filter(|(name, _)| *name == ring) {
            Some((_, layers)) => layers.push(layer.into()),
            None => rings.push((ring, vec![layer.into()])),
        }
    }
    rings
}

/// Its layers, its head, and the room below that it keeps as others end inside of it.
fn tall((_, layers): &Ring) -> usize {
    HEAD + layers.len() * LAYER + PADDING + GAP
}

fn draw(
    svg: &mut String,
    ring: &Ring,
    depth: usize,
    top: usize,
    bottom: usize,
    times: &[Duration],
) {
    let (name, layers) = ring;
    let left = PADDING + depth * PADDING;
    let (width, height) = (WIDTH.saturating_sub(2 * depth * PADDING), bottom - top);
    let (text, line, right) = (left + 14, top + 22, left + width - 14);
    let name = escaped(name);
    let _ = write!(
        svg,
        "<rect class=\"ring\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"10\"/>\
         <text class=\"name\" x=\"{text}\" y=\"{line}\">{name}</text>\
         <text class=\"dim\" x=\"{right}\" y=\"{line}\" text-anchor=\"end\">{}</text>",
        share(times, depth)
    );
    for (number, layer) in layers.iter().enumerate() {
        let line = top + HEAD + 15 + number * LAYER;
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{line}\">{}</text>",
            text + 14,
            escaped(layer)
        );
    }
}

/// The time inside of a ring, and how much of it was spent in the ring itself.
fn share(times: &[Duration], depth: usize) -> String {
    let Some(whole) = times.get(depth) else {
        return String::new();
    };
    match times.get(depth + 1) {
        Some(inner) => {
            let own = told(whole.saturating_sub(*inner));
            format!("{} in all, {own} here", told(*whole))
        }
        None => told(*whole),
    }
}

/// How long the first call was, its attempts, and its handlers, as far as the trace knows.
fn times(trace: &Trace) -> Vec<Duration> {
    let rows = trace.rows();
    let Some(at) = rows.iter().position(|row| row.what == What::Call) else {
        return Vec::new();
    };
    let call = &rows[at];
    let inside = rows[at + 1..]
        .iter()
        .take_while(|row| row.depth > call.depth);
    let inside: Vec<_> = inside.collect();
    let sum = |what, depth| -> Option<Duration> {
        let rows = inside
            .iter()
            .filter(|row| row.what == what && row.depth == depth);
        let lengths: Vec<_> = rows.map(|row| long(row)).collect();
        (!lengths.is_empty()).then(|| lengths.into_iter().sum())
    };
    let attempts = sum(What::Attempt, call.depth + 1);
    let handlers = attempts.and_then(|_| sum(What::Handler, call.depth + 2));
    [Some(long(call)), attempts, handlers]
        .into_iter()
        .flatten()
        .collect()
}

fn long(row: &Row) -> Duration {
    row.ends.saturating_sub(row.begins)
}
