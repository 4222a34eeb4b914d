//! Checks of JSON fields that both wires share, in OpenAI's words; not which fields a wire has.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::rejection::Rejection;

const METADATA_PAIRS_MAX: usize = 16;
const METADATA_KEY_CHARS_MAX: usize = 64;
const METADATA_VALUE_CHARS_MAX: usize = 512;

type Fields = Map<String, Value>;

/// The fields of a request's body.
pub fn body(bytes: &[u8]) -> Result<Fields, Rejection> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(Rejection::wrong_type("body", "an object", &other)),
        Err(error) => {
            Err(Rejection::unnamed(400, None, format!("We could not parse the JSON body of your request: {error}.")))
        }
    }
}

/// Fails on the first field that `known` does not name; `path` is what comes before the field's name.
pub fn known(fields: &Fields, path: &str, known: &[&str]) -> Result<(), Rejection> {
    match fields.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => {
            let param = format!("{path}{key}");
            let message = format!("Unknown parameter: '{param}'.");
            Err(Rejection::invalid(Some("unknown_parameter"), param, message))
        }
    }
}

/// A field's value; null counts as absent, as OpenAI counts it.
pub fn present<'a>(fields: &'a Fields, key: &str) -> Option<&'a Value> {
    fields.get(key).filter(|value| !value.is_null())
}

pub fn string<'a>(fields: &'a Fields, path: &str, key: &str) -> Result<Option<&'a str>, Rejection> {
    present(fields, key)
        .map(|value| {
            let wrong = || Rejection::wrong_type(format!("{path}{key}"), "a string", value);
            value.as_str().ok_or_else(wrong)
        })
        .transpose()
}

pub fn required_string<'a>(fields: &'a Fields, path: &str, key: &str) -> Result<&'a str, Rejection> {
    string(fields, path, key)?.ok_or_else(|| Rejection::missing(format!("{path}{key}")))
}

pub fn boolean(fields: &Fields, key: &'static str) -> Result<bool, Rejection> {
    present(fields, key).map_or(Ok(false), |value| {
        let wrong = || Rejection::wrong_type(key, "a boolean", value);
        value.as_bool().ok_or_else(wrong)
    })
}

pub fn array<'a>(fields: &'a Fields, key: &'static str) -> Result<&'a [Value], Rejection> {
    present(fields, key).map_or(Ok(&[]), |value| {
        let wrong = || Rejection::wrong_type(key, "an array", value);
        value.as_array().map(Vec::as_slice).ok_or_else(wrong)
    })
}

pub fn object<'a>(value: &'a Value, path: &str) -> Result<&'a Fields, Rejection> {
    let wrong = || Rejection::wrong_type(path.to_owned(), "an object", value);
    value.as_object().ok_or_else(wrong)
}

/// An integer not below `min`, if it is there.
pub fn integer(fields: &Fields, key: &'static str, min: u64) -> Result<Option<u64>, Rejection> {
    let Some(value) = present(fields, key) else {
        return Ok(None);
    };
    match (value.as_u64(), value.as_i64()) {
        (Some(number), _) if number >= min => Ok(Some(number)),
        (None, None) => Err(Rejection::wrong_type(key, "an integer", value)),
        _ => Err(Rejection::invalid(
            Some("integer_below_min_value"),
            key,
            format!(
                "Invalid '{key}': integer below minimum value. \
                 Expected a value >= {min}, but got {value} instead."
            ),
        )),
    }
}

pub fn decimal(fields: &Fields, key: &'static str, range: &RangeInclusive<f64>) -> Result<(), Rejection> {
    let Some(value) = present(fields, key) else {
        return Ok(());
    };
    let wrong = || Rejection::wrong_type(key, "a decimal", value);
    let number = value.as_f64().ok_or_else(wrong)?;
    let (code, place, bound) = if number < *range.start() {
        let bound = format!(">= {}", range.start());
        ("decimal_below_min_value", "below minimum", bound)
    } else if number > *range.end() {
        let bound = format!("<= {}", range.end());
        ("decimal_above_max_value", "above maximum", bound)
    } else {
        return Ok(());
    };
    let message = format!("Invalid '{key}': decimal {place} value. Expected a value {bound}, but got {value} instead.");
    Err(Rejection::invalid(Some(code), key, message))
}

/// `metadata`: at most 16 pairs of strings, keys up to 64 and values up to 512 characters.
pub fn metadata(fields: &Fields) -> Result<(), Rejection> {
    let Some(value) = present(fields, "metadata") else {
        return Ok(());
    };
    let pairs = object(value, "metadata")?;
    let count = pairs.len();
    if count > METADATA_PAIRS_MAX {
        return Err(Rejection::invalid(
            Some("object_above_max_properties"),
            "metadata",
            format!(
                "Invalid 'metadata': too many properties. Expected an object with at most \
                 {METADATA_PAIRS_MAX} properties, but got an object with {count} properties instead."
            ),
        ));
    }
    for key in pairs.keys() {
        let value = string(pairs, "metadata.", key)?.unwrap_or_default();
        length("metadata", key, METADATA_KEY_CHARS_MAX)?;
        length(&format!("metadata.{key}"), value, METADATA_VALUE_CHARS_MAX)?;
    }
    Ok(())
}

fn length(param: &str, text: &str, max: usize) -> Result<(), Rejection> {
    let chars = text.chars().count();
    if chars <= max {
        return Ok(());
    }
    Err(Rejection::invalid(
        Some("string_above_max_length"),
        param.to_owned(),
        format!(
            "Invalid '{param}': string too long. Expected a string with maximum length {max}, \
             but got a string with length {chars} instead."
        ),
    ))
}

/// An id that the caller gives must carry its kind's prefix.
pub fn id_prefix(fields: &Fields, path: &str, prefix: &str) -> Result<(), Rejection> {
    match string(fields, path, "id")? {
        Some(id) if !id.starts_with(prefix) => Err(Rejection::invalid(
            Some("invalid_value"),
            format!("{path}id"),
            format!("Invalid '{path}id': '{id}'. Expected an ID that begins with '{prefix}'."),
        )),
        _ => Ok(()),
    }
}
