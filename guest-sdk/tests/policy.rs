//! What a policy's author sees: two policies in one program, their settings' problems, and what a case answers.

use portcullis_guest::test::{Case, configured, problems};
use portcullis_guest::{
    Account, Call, Context, CurrencyFrom, Denial, Pointer, Policy, Problem, Value, Verdict, Window, ZonedTime,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    pointer: Pointer,
}

/// Says in its tags what it read.
struct Reader(Settings);

impl Policy for Reader {
    const NAME: &'static str = "reader";
    const VERSION: &'static str = "0.1.0";
    const SUMMARY: &'static str = "Reads.";
    const SCHEMA: &'static str = "{}";
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, Vec<Problem>> {
        if settings.rules.len() > 2 {
            return Err(vec![Problem::new("/rules", "at most two")]);
        }
        Ok(Self(settings))
    }

    fn evaluate(&self, _: &Call, context: &Context) -> Result<Verdict, Denial> {
        let mut verdict = portcullis_guest::Obligations::default();
        for rule in &self.0.rules {
            verdict.tags.push(format!("{:?}", context.get(rule.pointer.as_str())));
        }
        Ok(Verdict::Pass(verdict))
    }
}

portcullis_guest::export!(Reader);

/// Uses every fact.
struct Facts;

impl Policy for Facts {
    const NAME: &'static str = "facts";
    const VERSION: &'static str = "0.1.0";
    const SUMMARY: &'static str = "Asks for facts.";
    const SCHEMA: &'static str = "{}";
    type Settings = serde::de::IgnoredAny;

    fn new(_: serde::de::IgnoredAny) -> Result<Self, Vec<Problem>> {
        Ok(Self)
    }

    fn evaluate(&self, call: &Call, context: &Context) -> Result<Verdict, Denial> {
        let day = Window::parse("24h").map_err(Denial::new)?;
        let euro = context.currency(&CurrencyFrom::Pointer(Pointer::parse("/currency").map_err(Denial::new)?))?;
        let spent = context.spent(&Account::Agent, &euro, day)?;
        let hour = context.local_time("Europe/Paris")?.hour;
        Ok(Verdict::ask(format!(
            "{} {spent} {} {hour} {}",
            call.principal.roles.len(),
            context.calls(day),
            context.canonical()
        )))
    }
}

portcullis_guest::export!(Facts);

fn only(settings: &str) -> (String, String) {
    let mut problems = problems::<Reader>(settings);
    assert_eq!(problems.len(), 1, "{settings}: {problems:?}");
    let problem = problems.remove(0);
    (problem.pointer, problem.message)
}

#[test]
fn problems_point_into_the_settings() {
    for (settings, pointer, part) in [
        (r#"{"rules": [{"pointer": "/a"}, {"pointer": "b"}]}"#, "/rules/1/pointer", "not a JSON pointer"),
        (r#"{"rules": [{"pointr": "/a"}]}"#, "/rules/0/pointr", "`pointer`"),
        (r#"{"rules": [{}]}"#, "/rules/0", "missing field `pointer`"),
        (r#"{"rules": 7}"#, "/rules", "invalid type"),
        (r#"{"rules": [{"pointer": ""}, {"pointer": ""}, {"pointer": ""}]}"#, "/rules", "at most two"),
        ("[]", "", "not an object"),
        ("", "", "not an object"),
        ("{} {}", "", "trailing"),
        (r#"{"rules": [], "rules": []}"#, "", "duplicate field"),
    ] {
        let (found, message) = only(settings);
        assert_eq!(found, pointer, "{settings}: {message}");
        assert!(message.contains(part) && !message.contains("line 1"), "{settings}: {message}");
    }
    assert!(problems::<Reader>("{}").is_empty());
}

#[test]
fn arguments_keep_their_exact_text() {
    let read = |pointer: &str, json: &str| {
        let policy: Reader = configured(&format!(r#"{{"rules": [{{"pointer": "{pointer}"}}]}}"#));
        match Case::call("a__b").arguments(json).evaluate(&policy) {
            Verdict::Pass(due) => due.tags.concat(),
            other => panic!("{other:?}"),
        }
    };
    let some = |value: Value| format!("{:?}", Some(value));
    assert_eq!(read("/n", r#"{"n": 1099.10}"#), some(Value::Number("1099.10".into())));
    assert_eq!(read("/n", r#"{"n": 1e400}"#), some(Value::Number("1e400".into())));
    assert_eq!(read("/n", r#"{"n": 9007199254740993}"#), some(Value::Number("9007199254740993".into())));
    assert_eq!(read("/a/1/b~1c", r#"{"a": [0, {"b/c": "\u00e9"}]}"#), some(Value::Text("é".into())));
    assert_eq!(read("/a", r#"{"a": [0, {}]}"#), some(Value::Items(2)));
    assert_eq!(read("", r#"{"b": 1, "a": 2}"#), some(Value::Members(vec!["a".into(), "b".into()])));
    assert_eq!(read("/a", r#"{"a": null}"#), some(Value::Null));
    for (pointer, json) in
        [("/a/01", r#"{"a": [0, 1]}"#), ("/a/2", r#"{"a": [0, 1]}"#), ("/a/b", r#"{"a": 5}"#), ("/b", "{}")]
    {
        assert_eq!(read(pointer, json), "None", "{pointer} {json}");
    }
}

#[test]
fn facts_come_from_the_case() {
    let noon = ZonedTime { month: 3, day: 1, year: 2026, weekday: 7, hour: 12, minute: 0, second: 0 };
    let case = Case::call("a__b")
        .role("x")
        .arguments(r#"{"b": [1.50, "é"], "currency": "EUR"}"#)
        .spent(Account::Agent, "EUR", "24h", "12.50")
        .calls("24h", 3)
        .local_time("Europe/Paris", noon);
    let policy: Facts = configured("{}");
    let answer = Verdict::ask(r#"1 12.5 3 12 {"b":[1.50,"é"],"currency":"EUR"}"#);
    assert_eq!(case.evaluate(&policy), answer);

    let bare = Case::call("a__b").arguments(r#"{"currency": "EUR"}"#);
    assert!(matches!(bare.evaluate(&policy), Verdict::Deny(denial) if denial.reason.contains("Europe/Paris")));
    let none = Case::call("a__b").evaluate(&policy);
    assert!(matches!(none, Verdict::Deny(denial) if denial.pointer.as_deref() == Some("/currency")));
}
