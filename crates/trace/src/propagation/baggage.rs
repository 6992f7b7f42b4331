//! Baggage by an allow-list: what is not on it neither comes in nor goes out.
//!
//! W3C's `baggage`, and Jaeger's `uberctx-…` where that format is spoken. Properties behind a `;` are not kept. Values may hold
//! personal data, which is why nothing is carried unless it is named.

use opentelemetry::{
    Context,
    baggage::{Baggage, BaggageExt, KeyValueMetadata},
    propagation::{Extractor, Injector},
};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::jaeger;

pub(super) const BAGGAGE: &str = "baggage";

/// W3C Baggage §3.3.2: what is longer may be thrown away.
const LONGEST: usize = 8192;

/// All that a `baggage-octet` is not.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'%')
    .add(b',')
    .add(b';')
    .add(b'=')
    .add(b'\\');

/// Of the members of a `baggage` header those whose keys are `allowed`, as they came.
pub(super) fn named(header: &str, allowed: &[String]) -> String {
    let members = header.split(',').map(str::trim);
    let is_allowed = |member: &&str| {
        let key = member.split(['=', ';']).next().unwrap_or_default().trim();
        allowed.iter().any(|name| name == key)
    };
    let named: Vec<_> = members.filter(is_allowed).collect();
    named.join(",")
}

/// Adds to `cx`, and to the baggage that it carries, what is allowed of what came.
pub(super) fn extract(
    cx: Context,
    allowed: &[String],
    jaeger: bool,
    from: &dyn Extractor,
) -> Context {
    if allowed.is_empty() {
        return cx;
    }
    let mut baggage = Baggage::new();
    let mut take = |key: &str, value: &str| {
        let value = percent_decode_str(value).decode_utf8().ok();
        if let (true, Some(value)) = (allowed.iter().any(|name| name == key), value) {
            baggage.insert(key.to_owned(), value.into_owned());
        }
    };
    if jaeger {
        for key in allowed {
            if let Some(value) = from.get(&format!("{}{key}", jaeger::BAGGAGE)) {
                take(key, value.trim());
            }
        }
    }
    let lines = from.get_all(BAGGAGE).unwrap_or_default();
    let length: usize = lines.iter().map(|line| line.len()).sum();
    let members = lines.iter().flat_map(|line| line.split(','));
    for (key, value) in members.filter_map(member).filter(|_| length <= LONGEST) {
        take(key, value);
    }
    if baggage.is_empty() {
        return cx;
    }
    let all = cx.baggage().iter().chain(&baggage);
    let all = all.map(|(key, (value, about))| {
        KeyValueMetadata::new(key.clone(), value.clone(), about.clone())
    });
    cx.with_baggage(all.collect::<Vec<_>>())
}

fn member(text: &str) -> Option<(&str, &str)> {
    let pair = text.split(';').next().unwrap_or(text);
    let (key, value) = pair.split_once('=')?;
    Some((key.trim(), value.trim()))
}

/// Writes what is allowed of what `cx` carries.
pub(super) fn inject(cx: &Context, allowed: &[String], jaeger: bool, into: &mut dyn Injector) {
    if allowed.is_empty() || cx.baggage().is_empty() {
        return;
    }
    let mut text = String::new();
    for key in allowed {
        let Some(value) = cx.baggage().get(key) else {
            continue;
        };
        let value = utf8_percent_encode(value.as_str(), ENCODED).to_string();
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(key);
        text.push('=');
        text.push_str(&value);
        if jaeger {
            into.set(&format!("{}{key}", jaeger::BAGGAGE), value);
        }
    }
    if !text.is_empty() {
        into.set(BAGGAGE, text);
    }
}
