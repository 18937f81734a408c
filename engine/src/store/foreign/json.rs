//! JSON as other programs write it: with values that are not numbers, and numbers that are texts.

use serde_json::{Map, Value};

/// Reads a text of at most [`super::texts::MAX_TEXT_BYTES`], so that the values have a bound too;
/// deeper than 128 levels is refused.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    if text.len() > super::texts::MAX_TEXT_BYTES {
        return Err("is too long".to_owned());
    }
    let strict = serde_json::from_str(text);
    strict.or_else(|_| serde_json::from_str(&without_nan(text))).map_err(|error| {
        // What serde says may quote the file at any length.
        let said: String = error.to_string().chars().take(120).collect();
        format!("is no JSON that can be read ({said})")
    })
}

/// Reads an object.
pub(super) fn object(text: &str) -> Result<Map<String, Value>, String> {
    match parse(text)? {
        Value::Object(object) => Ok(object),
        _ => Err("is no JSON object".to_owned()),
    }
}

/// Puts `null` where Python writes `NaN` or `Infinity`, outside of texts.
fn without_nan(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut is_text) = (text, false);
    while let Some(first) = rest.chars().next() {
        let word = ["NaN", "-Infinity", "Infinity"].iter().find(|word| rest.starts_with(**word));
        let taken = match (is_text, first) {
            (true, '\\') => {
                let escaped = rest.chars().nth(1).map_or(0, char::len_utf8);
                out.push_str(&rest[..1 + escaped]);
                1 + escaped
            }
            (_, '"') => {
                is_text = !is_text;
                out.push('"');
                1
            }
            (false, _) if let Some(word) = word => {
                out.push_str("null");
                word.len()
            }
            _ => {
                out.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    out
}

/// Returns a value as people would write it; `None` for nothing, lists and objects.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Returns a value at whatever length, shortened.
pub(super) fn shown(value: &Value) -> String {
    const MOST: usize = 2000;
    let text = scalar(value).unwrap_or_else(|| value.to_string());
    text.chars().take(MOST).collect()
}

/// Returns a text, unless it is empty.
pub(super) fn text(value: Option<&Value>) -> Option<String> {
    scalar(value?).filter(|text| !text.trim().is_empty())
}

/// Returns a whole number of 0 or more, also out of a text.
pub(super) fn whole(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Number(number) => number.as_u64().or_else(|| {
            let float = number.as_f64()?;
            // Whole numbers beyond these are not all floats.
            (float.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&float))
                .then_some(float as u64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Returns a number of steps.
pub(super) fn steps(value: Option<&Value>) -> Option<u32> {
    u32::try_from(whole(value)?).ok()
}

/// Returns a finite number, also out of a text.
pub(super) fn number(value: Option<&Value>) -> Option<f32> {
    let number = match value? {
        Value::Number(number) => number.as_f64()? as f32,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// Returns a finite number of 0 or more.
pub(super) fn strength(value: Option<&Value>) -> Option<f32> {
    number(value).filter(|number| *number >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_writes_for_no_number_is_nothing_and_texts_stay() {
        let read = parse(r#"{"a": [NaN, -Infinity, 1], "b": "NaN \" Infinity", "ü": Infinity}"#);
        let expected = serde_json::json!({
            "a": [null, null, 1], "b": "NaN \" Infinity", "ü": null
        });
        assert_eq!(read, Ok(expected));
        assert!(parse("{\"a\": \"NaN\\").is_err());
        assert!(parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn numbers_are_read_out_of_texts_too() {
        let value = serde_json::json!({"a": "18446744073709551615", "b": 7.0, "c": -1, "d": "x"});
        assert_eq!(whole(value.get("a")), Some(u64::MAX));
        assert_eq!(whole(value.get("b")), Some(7));
        assert_eq!((whole(value.get("c")), whole(value.get("d"))), (None, None));
        assert_eq!(number(value.get("c")), Some(-1.0));
        assert_eq!(strength(value.get("c")), None);
    }
}
