//! Reading the fields of a request, and cutting lists into pages.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::errors::ApiError;

/// A field that has to be there.
pub(super) fn text<'r>(request: &'r Value, field: &str) -> Result<&'r str, ApiError> {
    optional(request, field).ok_or_else(|| validation(&format!("`{field}` must not be null")))
}

/// A field that may be there.
pub(super) fn optional<'r>(request: &'r Value, field: &str) -> Option<&'r str> {
    request.get(field).and_then(Value::as_str)
}

/// A list of texts that has to be there.
pub(super) fn list<'r>(request: &'r Value, field: &str) -> Result<Vec<&'r str>, ApiError> {
    optional_list(request, field).ok_or_else(|| validation(&format!("`{field}` must not be null")))
}

/// A list of texts that may be there.
pub(super) fn optional_list<'r>(request: &'r Value, field: &str) -> Option<Vec<&'r str>> {
    let items = request.get(field).and_then(Value::as_array)?;
    Some(items.iter().filter_map(Value::as_str).collect())
}

/// The entries of a list of objects; none when it is not there.
pub(super) fn objects<'r>(request: &'r Value, field: &str) -> &'r [Value] {
    request.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A number between two limits, both included; `default` when it is not there.
pub(super) fn number(request: &Value, field: &str, least: u64, most: u64, default: u64) -> Result<u64, ApiError> {
    let Some(value) = request.get(field).filter(|value| !value.is_null()) else { return Ok(default) };
    let number = value.as_u64().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| {
        validation(&format!(
            "1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: Member must have \
             value between {least} and {most}"
        ))
    })
}

/// One page of `entries`, and the token with which the next one begins. `key` tells an entry from all others; the token
/// holds the last entry's, so entries that come in between two calls do not shift the pages.
pub(super) fn page<T>(
    entries: Vec<T>,
    size: usize,
    token: Option<&str>,
    key: impl Fn(&T) -> String,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let start = match token.filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => {
            let last = URL_SAFE_NO_PAD.decode(token).ok();
            let found = entries.iter().position(|entry| last.as_deref() == Some(key(entry).as_bytes()));
            found.ok_or_else(|| ApiError::client("InvalidNextToken", "The specified token is not valid."))? + 1
        }
    };
    let more = entries.len() > start + size;
    let page: Vec<T> = entries.into_iter().skip(start).take(size).collect();
    let next = page.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(key(last)));
    Ok((page, next))
}

/// The error of requests that break a constraint of the API itself.
pub(super) fn validation(message: &str) -> ApiError {
    ApiError::client("ValidationException", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_every_entry_once() {
        let (mut all, mut token) = (Vec::new(), None::<String>);
        loop {
            let (page, next) = page((0..23).collect(), 10, token.as_deref(), ToString::to_string).unwrap();
            all.extend(page);
            let Some(next) = next else { break };
            token = Some(next);
        }
        assert_eq!(all, (0..23).collect::<Vec<_>>());
        assert_eq!(page(vec![1], 1, Some("?"), ToString::to_string).unwrap_err().code, "InvalidNextToken");
    }
}
