//! `errors.New`, its friends, `errors.Parse`, `errors.FromError`, `errors.Equal`.

use serde_json::{Value, json};
use tower_micro::{Preset, micro::Error};

use super::{super::events::micro_shown, Given, members, options, text, unknown};

pub(super) fn given(input: &Value, expect: &Value, preset: Preset) -> Given {
    if let Some(text) = input["text"].as_str() {
        return Ok(parsed(&Error::parse(text), preset));
    }
    if let Some(name) = input["constructor"].as_str() {
        let error = constructor(name).ok_or_else(|| unknown(name))?("id", "d 7");
        return Ok(members(json!({"error": error.to_json()})));
    }
    if input["code"].is_number() {
        return made(input);
    }
    if !expect["plain_json"].is_null() {
        return Ok(from_error());
    }
    Ok(equal())
}

fn parsed(error: &Error, preset: Preset) -> serde_json::Map<String, Value> {
    members(json!({
        "id": error.id,
        "code": error.code,
        "detail": error.detail,
        "status": error.status,
        "retry_on_error": options::is_retried(Some(error), preset),
    }))
}

fn made(input: &Value) -> Given {
    let code = input["code"]
        .as_i64()
        .and_then(|code| i32::try_from(code).ok());
    let code = code.ok_or_else(|| unknown("a code that is no 32 bit number"))?;
    let detail = match input["detail_hex"].as_str() {
        Some(hex) => String::from_utf8(unhex(hex)).map_err(|_| "utf-8".to_owned())?,
        None => text(input, "detail").to_owned(),
    };
    let json = Error::new(text(input, "id"), detail, code).to_json();
    Ok(members(json!({"error": json, "error_hex": hex(&json)})))
}

fn constructor(name: &str) -> Option<fn(&'static str, &'static str) -> Error> {
    Some(match name {
        "BadRequest" => Error::bad_request,
        "Unauthorized" => Error::unauthorized,
        "Forbidden" => Error::forbidden,
        "NotFound" => Error::not_found,
        "MethodNotAllowed" => Error::method_not_allowed,
        "Timeout" => Error::timeout,
        "Conflict" => Error::conflict,
        "InternalServerError" => Error::internal_server_error,
        _ => return None,
    })
}

fn from_error() -> serde_json::Map<String, Value> {
    members(json!({
        "plain": micro_shown(&Error::parse("boom")),
        "micro": micro_shown(&Error::parse(&Error::not_found("i", "d").to_json())),
        "plain_json": micro_shown(&Error::parse(r#"{"id":"x","code":404}"#)),
    }))
}

fn equal() -> serde_json::Map<String, Value> {
    let error = Error::not_found("a", "x");
    members(json!({
        "same_code_other_id": error.same_code(&Error::not_found("b", "y")),
        "other_code": error.same_code(&Error::conflict("a", "x")),
    }))
}

fn unhex(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.filter_map(byte).collect()
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}
