//! Where two definitions of a tool differ, for a person who has to decide about it.

use serde::Serialize;

use crate::json::Value;

/// One place where they differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// A JSON pointer (RFC 6901).
    pub pointer: String,
    /// What stood there: JSON, or the bare text of a string that became another. None: nothing.
    pub accepted: Option<String>,
    /// What stands there now.
    pub offered: Option<String>,
}

/// All places where two values differ, as deep in them as possible. The order of members says nothing.
#[must_use]
pub fn difference(accepted: &Value, offered: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(String::new(), Some(accepted), Some(offered), &mut found);
    found
}

fn compare(pointer: String, accepted: Option<&Value>, offered: Option<&Value>, found: &mut Vec<Difference>) {
    match (accepted, offered) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            for (key, value) in old {
                let other = new.iter().find(|(name, _)| name == key).map(|(_, value)| value);
                compare(beneath(&pointer, key), Some(value), other, found);
            }
            for (key, value) in new.iter().filter(|(key, _)| old.iter().all(|(name, _)| name != key)) {
                compare(beneath(&pointer, key), None, Some(value), found);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            for index in 0..old.len().max(new.len()) {
                compare(beneath(&pointer, &index.to_string()), old.get(index), new.get(index), found);
            }
        }
        (Some(Value::String(old)), Some(Value::String(new))) => {
            if old != new {
                found.push(Difference { pointer, accepted: Some(old.clone()), offered: Some(new.clone()) });
            }
        }
        _ if accepted.map(Value::canonical) == offered.map(Value::canonical) => {}
        _ => {
            let (accepted, offered) = (accepted.map(Value::to_text), offered.map(Value::to_text));
            found.push(Difference { pointer, accepted, offered });
        }
    }
}

fn beneath(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use crate::limits;

    fn of(accepted: &str, offered: &str) -> Vec<(String, Option<String>, Option<String>)> {
        let read = |text: &str| json::parse(text.as_bytes(), limits::ANSWER).unwrap();
        let found = difference(&read(accepted), &read(offered));
        found.into_iter().map(|one| (one.pointer, one.accepted, one.offered)).collect()
    }

    #[test]
    fn the_deepest_places_and_nothing_else() {
        let some = |text: &str| Some(text.to_owned());
        let found = of(
            r#"{"d":"Pays.","s":{"a/b":[1,{"x":"1"}],"same":1.0,"gone":null}}"#,
            r#"{"s":{"same":1,"a/b":[1,{"x":1},true]},"d":"Pays. Twice.","new":{}}"#,
        );
        assert_eq!(
            found,
            [
                ("/d".to_owned(), some("Pays."), some("Pays. Twice.")),
                ("/s/a~1b/1/x".to_owned(), some("\"1\""), some("1")),
                ("/s/a~1b/2".to_owned(), None, some("true")),
                ("/s/gone".to_owned(), some("null"), None),
                ("/new".to_owned(), None, some("{}")),
            ]
        );
        assert_eq!(of(r#"{"a":1,"b":[]}"#, r#"{"b":[],"a":1.0}"#), []);
    }
}
