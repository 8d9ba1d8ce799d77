use super::definition;
use super::schema::{BadSchema, Schema};
use crate::catalog::Annotations;
use crate::config::{IdempotencyRule, ServerConfig, ToolConfig};
use crate::json::{self, Value};
use crate::limits;
use crate::upstream::Offered;

fn value(text: &str) -> Value {
    json::parse(text.as_bytes(), limits::ARGUMENTS).unwrap()
}

fn schema(text: &str) -> Schema {
    Schema::compile(&value(text)).unwrap()
}

#[test]
fn a_misfit_has_its_place_and_not_the_value() {
    let schema = schema(r#"{"type":"object","properties":{"pin":{"type":"integer"}},"required":["pin"]}"#);
    assert_eq!(schema.check(&value(r#"{"pin":1234}"#)), Ok(()));
    let misfit = schema.check(&value(r#"{"pin":"canary-4711"}"#)).unwrap_err();
    assert_eq!(misfit.pointer, "/pin");
    assert!(!misfit.message.contains("4711") && misfit.message.contains("/pin"), "{}", misfit.message);
    assert!(schema.check(&value("{}")).unwrap_err().message.contains("pin"));
}

#[test]
fn numbers_beyond_a_double_are_compared_by_the_nearest() {
    let schema = schema(r#"{"properties":{"n":{"type":"number","maximum":100}}}"#);
    assert!(schema.check(&value(r#"{"n":1e400}"#)).is_err());
    assert!(schema.check(&value(r#"{"n":-1e400}"#)).is_ok());
    assert!(schema.check(&value(r#"{"n":99.999999999999999999999}"#)).is_ok());
}

#[test]
fn no_reference_leaves_a_schema() {
    for text in [
        r#"{"$ref":"http://127.0.0.1:1/schema.json"}"#,
        r#"{"$ref":"https://json.example/schema.json#/a"}"#,
        r#"{"$ref":"file:///etc/passwd"}"#,
        r#"{"properties":{"a":{"$ref":"other.json"}}}"#,
    ] {
        assert!(matches!(Schema::compile(&value(text)), Err(BadSchema::Unusable(_))), "{text}");
    }
    let inner = schema(r##"{"$defs":{"a":{"type":"string"}},"properties":{"x":{"$ref":"#/$defs/a"}}}"##);
    assert!(inner.check(&value(r#"{"x":1}"#)).is_err());
}

#[test]
fn a_pattern_that_would_take_for_ever_is_matched_or_refused() {
    let schema = schema(r#"{"properties":{"a":{"type":"string","pattern":"^(a+)+$"}}}"#);
    let long = format!(r#"{{"a":"{}b"}}"#, "a".repeat(50_000));
    assert!(schema.check(&value(&long)).is_err());
    let backreference = value(r#"{"properties":{"a":{"pattern":"(a)\\1"}}}"#);
    assert!(Schema::compile(&backreference).is_err());
}

#[test]
fn a_schema_that_is_too_large_is_not_compiled() {
    let long = format!(r#"{{"description":"{}"}}"#, "a".repeat(256 * 1024));
    assert!(matches!(Schema::compile(&value(&long)), Err(BadSchema::TooLarge)));
}

fn server(prefix: bool) -> ServerConfig {
    ServerConfig {
        name: "market".into(),
        command: vec!["market".into()],
        directory: "/".into(),
        env: Vec::new(),
        prefix,
        timeout: limits::UPSTREAM_CALL,
    }
}

fn offered(name: &str, definition: &str) -> Offered {
    Offered {
        name: name.into(),
        definition: value(definition),
        annotations: Annotations::default(),
        input_schema: value("{}"),
        output_schema: None,
    }
}

#[test]
fn a_tool_appears_under_its_servers_name_and_its_digest_is_of_what_the_server_said() {
    let rule = ToolConfig {
        name: "market__pay".into(),
        idempotency: IdempotencyRule::Required,
        idempotent: false,
        release_on_error: true,
        secret_arguments: vec!["/card".into()],
    };
    let written = r#"{"name":"pay","x":1.10}"#;
    let tool = definition::tool(&server(true), offered("pay", written), std::slice::from_ref(&rule)).unwrap();
    assert_eq!((tool.name.as_str(), tool.upstream_name.as_str()), ("market__pay", "pay"));
    assert_eq!(tool.definition.to_text(), r#"{"name":"market__pay","x":1.10}"#);
    assert!(tool.release_on_error && tool.idempotency == IdempotencyRule::Required);
    assert_eq!(tool.secret_arguments, ["/card"]);

    let bare = definition::tool(&server(false), offered("pay", r#"{"x":1.1,"name":"pay"}"#), &[rule]).unwrap();
    assert_eq!(bare.name, "pay");
    assert_eq!(bare.digest, tool.digest, "the order of members and zeros at the end say nothing");
    assert!(!bare.release_on_error, "the rule is about another name");
    let other = definition::tool(&server(true), offered("pay", r#"{"name":"pay","x":1.2}"#), &[]).unwrap();
    assert_ne!(other.digest, tool.digest);
}

#[test]
fn a_name_that_could_be_mistaken_is_left_out() {
    for name in ["", "a b", "a\u{1b}[2J", "pаy", "a\n", &"a".repeat(200)] {
        assert!(definition::tool(&server(true), offered(name, "{}"), &[]).is_err(), "{name}");
    }
}
