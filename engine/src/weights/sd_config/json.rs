//! Values of a `config.json`, bounded.

use serde_json::Value;

use super::Said;

/// Returns a whole number within bounds; `None` where it is absent or null.
pub(super) fn whole(value: &Value, key: &str, most: usize) -> Said<Option<usize>> {
    match &value[key] {
        Value::Null => Ok(None),
        found => one(found, key, most).map(Some),
    }
}

fn one(value: &Value, key: &str, most: usize) -> Said<usize> {
    let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
    let number = number.filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("says “{key}” is {value}, not a number from 1 to {most}"))
}

/// Returns a whole number that must be there.
pub(super) fn needed(value: &Value, key: &str, most: usize) -> Said<usize> {
    whole(value, key, most)?.ok_or_else(|| format!("does not say “{key}”"))
}

/// Returns a list of whole numbers.
pub(super) fn wholes(value: &Value, key: &str, most: usize) -> Said<Vec<usize>> {
    let list = value[key].as_array().ok_or_else(|| format!("does not list “{key}”"))?;
    list.iter().map(|item| one(item, key, most)).collect()
}

/// Returns a number per level, of a list or of one number for all; `None` where it is absent.
pub(super) fn per_level(
    value: &Value,
    key: &str,
    levels: usize,
    most: usize,
) -> Said<Option<Vec<usize>>> {
    match &value[key] {
        Value::Null => Ok(None),
        Value::Array(list) if list.len() == levels => wholes(value, key, most).map(Some),
        Value::Array(list) => {
            Err(format!("lists {} numbers as “{key}” for {levels} levels", list.len()))
        }
        found => Ok(Some(vec![one(found, key, most)?; levels])),
    }
}

/// Returns texts of a list; nothing where it is absent.
pub(super) fn texts<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    value[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Returns a flag; `false` where it is absent.
pub(super) fn flag(value: &Value, key: &str) -> bool {
    value[key].as_bool().unwrap_or(false)
}
