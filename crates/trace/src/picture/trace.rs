//! The spans of one trace, as the rows of a picture.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::{Duration, SystemTime},
    vec,
};

use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;
use tower_micro_observe::attributes;

/// One trace. See the [module docs](super) for an example.
#[derive(Clone, Debug)]
pub struct Trace {
    rows: Vec<Row>,
    length: Duration,
}

/// One line of the picture. Times count from the beginning of the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) depth: usize,
    pub(super) label: String,
    pub(super) what: What,
    pub(super) begins: Duration,
    pub(super) ends: Duration,
    /// How it ended, in a few words.
    pub(super) status: String,
    pub(super) failed: bool,
}

/// What a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Call,
    Attempt,
    Handler,
    Other,
    /// Nothing happened between two attempts.
    Pause,
    /// A moment, not a time.
    Event,
}

impl Trace {
    /// The traces that `spans` form, in the order of their beginnings.
    pub fn all<'a>(spans: impl IntoIterator<Item = &'a SpanData>) -> Vec<Self> {
        let mut traces = BTreeMap::<_, Vec<_>>::new();
        for span in spans {
            let trace = span.span_context.trace_id().to_bytes();
            traces.entry(trace).or_default().push(span);
        }
        let mut traces: Vec<_> = traces.into_values().collect();
        traces.sort_by_key(|spans| spans.iter().map(|span| span.start_time).min());
        traces.iter().map(|spans| Self::of(spans)).collect()
    }

    fn of(spans: &[&SpanData]) -> Self {
        let begin = spans.iter().map(|span| span.start_time).min();
        let begin = begin.unwrap_or(SystemTime::UNIX_EPOCH);
        let mut family = Family::new(spans, begin);
        family.visit();
        let length = family.rows.iter().map(|row| row.ends).max();
        Self {
            rows: family.rows,
            length: length.unwrap_or_default(),
        }
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// From the first beginning to the last end.
    pub fn length(&self) -> Duration {
        self.length
    }

    /// The part of it that stands under call number `number`, counted from 0 in the order of their beginnings.
    pub fn call(&self, number: usize) -> Option<Self> {
        let mut calls = (0..self.rows.len()).filter(|at| self.rows[*at].what == What::Call);
        let (call, rest) = self.rows[calls.nth(number)?..].split_first()?;
        let inside = rest.iter().take_while(|row| row.depth > call.depth);
        let rows = std::iter::once(call).chain(inside);
        let rows: Vec<_> = rows.map(|row| row.moved(call)).collect();
        let length = rows.iter().map(|row| row.ends).max()?;
        Some(Self { rows, length })
    }

    /// How many attempts it shows, as spans or as the event of one that failed.
    pub fn attempts(&self) -> usize {
        let is_attempt = |row: &&Row| {
            row.what == What::Attempt || row.what == What::Event && row.label.starts_with("attempt")
        };
        self.rows.iter().filter(is_attempt).count()
    }
}

impl Row {
    /// The same, counted from `first`.
    fn moved(&self, first: &Self) -> Self {
        Self {
            depth: self.depth - first.depth,
            begins: self.begins.saturating_sub(first.begins),
            ends: self.ends.saturating_sub(first.begins),
            ..self.clone()
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.waterfall())
    }
}

/// Spans by their parents.
struct Family<'a> {
    children: BTreeMap<[u8; 8], Vec<&'a SpanData>>,
    begin: SystemTime,
    rows: Vec<Row>,
}

impl<'a> Family<'a> {
    /// A span whose parent is not here stands as a root does.
    fn new(spans: &[&'a SpanData], begin: SystemTime) -> Self {
        let ids: BTreeSet<_> = spans.iter().map(|span| id(span)).collect();
        let mut children = BTreeMap::<_, Vec<_>>::new();
        for span in spans {
            let parent = span.parent_span_id.to_bytes();
            let parent = ids.get(&parent).copied().unwrap_or_default();
            children.entry(parent).or_default().push(*span);
        }
        for family in children.values_mut() {
            family.sort_by_key(|span| (span.start_time, id(span)));
        }
        let rows = Vec::new();
        Self {
            children,
            begin,
            rows,
        }
    }

    /// Draws all of them: those that stand under a root, and then those that stand in a circle, from any of its spans on.
    fn visit(&mut self) {
        self.visit_from(SpanId::INVALID);
        while let Some((&parent, _)) = self.children.first_key_value() {
            self.visit_from(SpanId::from_bytes(parent));
        }
    }

    /// Draws what stands under `parent`, without recursion: a trace may be deeper than a thread's stack.
    fn visit_from(&mut self, parent: SpanId) {
        let mut under_way = vec![self.siblings(parent, 0)];
        while let Some(siblings) = under_way.last_mut() {
            let Some(span) = siblings.left.next() else {
                under_way.pop();
                continue;
            };
            self.draw(span, siblings);
            let depth = under_way.len();
            under_way.push(self.siblings(span.span_context.span_id(), depth));
        }
    }

    // Each span is taken out as it is drawn, so that no circle of parents is followed twice.
    fn siblings(&mut self, parent: SpanId, depth: usize) -> Siblings<'a> {
        let spans = self.children.remove(&parent.to_bytes());
        Siblings {
            left: spans.unwrap_or_default().into_iter(),
            before: None,
            depth,
        }
    }

    /// One span, the pause before it, and its events.
    fn draw(&mut self, span: &SpanData, among: &mut Siblings<'a>) {
        let row = row(span, among.depth, self.begin);
        if let Some(ended) = among.before.filter(|_| row.what == What::Attempt) {
            self.rows.extend(pause(ended, &row));
        }
        among.before = (row.what == What::Attempt).then_some(row.ends);
        self.rows.push(row);
        for event in &span.events.events {
            let at = since(self.begin, event.timestamp);
            let told = event.attributes.as_slice();
            self.rows
                .extend(moment(&event.name, told, at, among.depth + 1));
        }
    }
}

/// The spans under one parent that were not drawn yet.
struct Siblings<'a> {
    left: vec::IntoIter<&'a SpanData>,
    /// When the attempt that was drawn last ended.
    before: Option<Duration>,
    depth: usize,
}

fn id(span: &SpanData) -> [u8; 8] {
    span.span_context.span_id().to_bytes()
}

fn since(begin: SystemTime, moment: SystemTime) -> Duration {
    moment.duration_since(begin).unwrap_or_default()
}

fn value(pairs: &[opentelemetry::KeyValue], key: &str) -> Option<String> {
    let pair = pairs.iter().find(|pair| pair.key.as_str() == key)?;
    Some(pair.value.to_string())
}

fn row(span: &SpanData, depth: usize, begin: SystemTime) -> Row {
    let number = value(&span.attributes, attributes::ATTEMPT_NUMBER);
    let what = match (&span.span_kind, &number) {
        (_, Some(_)) => What::Attempt,
        (SpanKind::Client, None) => What::Call,
        (SpanKind::Server, None) => What::Handler,
        _ => What::Other,
    };
    let label = match (what, number) {
        (What::Attempt, Some(number)) => attempt(&number, &span.attributes),
        (What::Handler, _) => format!("{} (server)", span.name),
        _ => span.name.to_string(),
    };
    let begins = since(begin, span.start_time);
    Row {
        depth,
        label,
        what,
        begins,
        ends: since(begin, span.end_time).max(begins),
        status: status(span),
        failed: matches!(span.status, Status::Error { .. }),
    }
}

fn attempt(number: &str, pairs: &[opentelemetry::KeyValue]) -> String {
    let node = value(pairs, attributes::NODE).filter(|id| !id.is_empty());
    match node.or_else(|| value(pairs, attributes::PEER_ADDRESS)) {
        Some(node) => format!("attempt {number} → {node}"),
        None => format!("attempt {number}"),
    }
}

fn status(span: &SpanData) -> String {
    let pairs = &span.attributes;
    let code =
        value(pairs, attributes::STATUS_CODE).or_else(|| value(pairs, attributes::HTTP_STATUS));
    let failed = matches!(span.status, Status::Error { .. }).then(|| "ERROR".to_owned());
    let mut words: Vec<_> = code.or(failed).into_iter().collect();
    words.extend(value(pairs, attributes::DISPOSITION).map(|told| format!("({told})")));
    words.extend(value(pairs, attributes::ATTEMPTS).map(|many| format!("after {many} attempts")));
    words.join(" ")
}

/// What happened between an attempt and the next, if that took any time.
fn pause(ended: Duration, next: &Row) -> Option<Row> {
    let gap = next.begins.checked_sub(ended)?;
    (gap >= Duration::from_micros(100)).then(|| Row {
        depth: next.depth,
        label: "pause".to_owned(),
        what: What::Pause,
        begins: ended,
        ends: next.begins,
        status: String::new(),
        failed: false,
    })
}

/// Only the event of an attempt is drawn: what else a program logs is its own.
fn moment(
    name: &str,
    pairs: &[opentelemetry::KeyValue],
    at: Duration,
    depth: usize,
) -> Option<Row> {
    let number = value(pairs, attributes::ATTEMPT_NUMBER).filter(|_| name == "attempt failed")?;
    let told = [attributes::STATUS_CODE, attributes::DISPOSITION];
    let told: Vec<_> = told.iter().filter_map(|key| value(pairs, key)).collect();
    Some(Row {
        depth,
        label: format!("{} failed", attempt(&number, pairs)),
        what: What::Event,
        begins: at,
        ends: at,
        status: told.join(" "),
        failed: true,
    })
}
