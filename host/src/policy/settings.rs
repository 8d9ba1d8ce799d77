//! A policy's settings: TOML in the file, canonical JSON for the policy.

use toml::{Table, Value};

use crate::json;

/// A table as canonical JSON.
///
/// # Errors
/// A sentence about the first value that JSON does not have.
pub(super) fn canonical(table: &Table) -> Result<String, String> {
    Ok(json::Value::from(&object("", table)?).canonical())
}

fn object(at: &str, table: &Table) -> Result<serde_json::Value, String> {
    let member = |(key, value): (&String, &Value)| {
        let token = key.replace('~', "~0").replace('/', "~1");
        Ok((key.clone(), value_at(&format!("{at}/{token}"), value)?))
    };
    Ok(serde_json::Value::Object(table.iter().map(member).collect::<Result<_, String>>()?))
}

fn value_at(at: &str, value: &Value) -> Result<serde_json::Value, String> {
    Ok(match value {
        Value::String(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => serde_json::Number::from_f64(*number)
            .map(serde_json::Value::Number)
            .ok_or_else(|| format!("the setting `{at}` is {number}, which JSON does not have"))?,
        Value::Boolean(bool) => (*bool).into(),
        Value::Datetime(date) => {
            return Err(format!(
                "the setting `{at}` is a date, which JSON does not have: write it as a string, \"{date}\""
            ));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate().map(|(index, item)| value_at(&format!("{at}/{index}"), item));
            serde_json::Value::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Table(table) => object(at, table)?,
    })
}
