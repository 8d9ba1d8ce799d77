use super::definition;
use super::schema::{BadSchema, Schema};
use crate::catalog::Annotations;
use crate::config::{IdempotencyRule, Program, Reach, ServerConfig, Share, ToolConfig, Variables};
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

#[test]
fn references_that_fan_out_are_not_compiled() {
    let mut defs = String::new();
    for at in 0..29 {
        let next = at + 1;
        defs += &format!(r##""d{at}":{{"anyOf":[{{"$ref":"#/$defs/d{next}"}},{{"$ref":"#/%24defs/d{next}"}}]}},"##);
    }
    let text = format!(r##"{{"$defs":{{{defs}"d29":{{"type":"string"}}}},"$ref":"#/$defs/d0"}}"##);
    let Err(BadSchema::Unusable(why)) = Schema::compile(&value(&text)) else { panic!("compiled") };
    assert!(why.contains("fan out"), "{why}");

    let round =
        r##"{"$defs":{"a":{"allOf":[{"$ref":"#/$defs/b"}]},"b":{"anyOf":[{"$ref":"#/$defs/a"}]}},"$ref":"#/$defs/a"}"##;
    assert!(matches!(Schema::compile(&value(round)), Err(BadSchema::Unusable(why)) if why.contains("itself")));

    let chain: String =
        (0..2_000).map(|at| format!(r##""d{at}":{{"items":{{"$ref":"#/$defs/d{}"}}}},"##, at + 1)).collect();
    let chain = format!(r##"{{"$defs":{{{chain}"d2000":{{}}}},"$ref":"#/$defs/d0"}}"##);
    assert!(matches!(Schema::compile(&value(&chain)), Err(BadSchema::Unusable(why)) if why.contains("steps")));
}

/// `inner`, within `levels` objects.
fn nested(open: &str, inner: &str, levels: usize) -> Value {
    value(&format!("{}{inner}{}", open.repeat(levels), "}".repeat(levels)))
}

#[test]
fn a_schema_that_recurs_more_than_once_is_checked_for_shallow_arguments_only() {
    let recursive = schema(
        r##"{"$defs":{"f":{"oneOf":[{"properties":{"op":{"const":"not"},"arg":{"$ref":"#/$defs/f"}},"type":"object"},
            {"properties":{"op":{"const":"is"},"arg":{"$ref":"#/$defs/f"}},"type":"object"},{"type":"string"}]}},
            "$ref":"#/$defs/f"}"##,
    );
    assert_eq!(recursive.check(&nested(r#"{"op":"not","arg":"#, r#""x""#, 6)), Ok(()));
    assert!(recursive.check(&nested(r#"{"op":"not","arg":"#, "1", 6)).is_err());
    let deep = recursive.check(&nested(r#"{"op":"not","arg":"#, r#""x""#, 60)).unwrap_err();
    assert!(deep.message.contains("levels only"), "{}", deep.message);
}

#[test]
fn ordinary_recursion_and_ordinary_references_are_not_limited() {
    let tree = schema(
        r##"{"type":"object","properties":{"left":{"$ref":"#"},"right":{"$ref":"#"},"leaf":{"type":"string"}},
            "additionalProperties":false}"##,
    );
    assert_eq!(tree.check(&nested(r#"{"left":"#, r#"{"leaf":"x"}"#, 40)), Ok(()));
    assert!(tree.check(&nested(r#"{"right":"#, r#"{"leaf":1}"#, 40)).unwrap_err().message.contains("/right/"));

    let uses: Vec<String> = (0..50).map(|at| format!(r##""p{at}":{{"$ref":"#/$defs/money"}}"##)).collect();
    let flat = schema(&format!(
        r##"{{"$defs":{{"money":{{"$ref":"#/$defs/a~1b%20"}},"a/b ":{{"type":"string"}}}},"properties":{{{}}}}}"##,
        uses.join(",")
    ));
    assert_eq!(flat.check(&value(r#"{"p0":"1","p49":"2"}"#)), Ok(()));
    assert_eq!(flat.check(&value(r#"{"p0":"1","p49":2}"#)).unwrap_err().pointer, "/p49");
}

#[test]
fn many_values_under_many_alternatives_are_not_checked_and_large_ones_not_placed() {
    let alternatives: Vec<String> = (0..60).map(|at| format!(r#"{{"const":{at}}}"#)).collect();
    let schema = schema(&format!(r#"{{"properties":{{"l":{{"items":{{"anyOf":[{}]}}}}}}}}"#, alternatives.join(",")));
    let list = |count: usize| value(&format!(r#"{{"l":[{}"x"]}}"#, "1,".repeat(count)));
    assert_eq!(schema.check(&list(10)).unwrap_err().pointer, "/l/10");
    let unplaced = schema.check(&list(5_000)).unwrap_err();
    assert!(unplaced.pointer.is_empty() && unplaced.message.contains("where"), "{}", unplaced.message);
    assert!(schema.check(&list(90_000)).unwrap_err().message.contains("more values"));
}

#[test]
fn a_long_pointer_is_cut() {
    let schema = schema(r#"{"additionalProperties":{"type":"string"}}"#);
    let misfit = schema.check(&value(&format!(r#"{{"{}":1}}"#, "é".repeat(5_000)))).unwrap_err();
    assert_eq!(misfit.pointer.chars().count(), 201);
    assert!(misfit.message.chars().count() < 500 && misfit.message.contains("string"), "{}", misfit.message);
}

fn server(prefix: bool) -> ServerConfig {
    ServerConfig {
        name: "market".into(),
        reach: Reach::Child(Program {
            command: vec!["market".into()],
            directory: "/".into(),
            env: Vec::new(),
            variables: Variables::default(),
        }),
        share: Share::All,
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
    let tool = definition::tool(&server(true), offered("pay", written), std::slice::from_ref(&rule)).unwrap().tool;
    assert_eq!((tool.name.as_str(), tool.upstream_name.as_str()), ("market__pay", "pay"));
    assert_eq!(tool.definition.to_text(), r#"{"name":"market__pay","x":1.10}"#);
    assert!(tool.release_on_error && tool.idempotency == IdempotencyRule::Required);
    assert_eq!(tool.secret_arguments, ["/card"]);

    let bare = definition::tool(&server(false), offered("pay", r#"{"x":1.1,"name":"pay"}"#), &[rule]).unwrap().tool;
    assert_eq!(bare.name, "pay");
    assert_eq!(bare.digest, tool.digest, "the order of members and zeros at the end say nothing");
    assert!(!bare.release_on_error, "the rule is about another name");
    let other = definition::tool(&server(true), offered("pay", r#"{"name":"pay","x":1.2}"#), &[]).unwrap().tool;
    assert_ne!(other.digest, tool.digest);
}

#[test]
fn a_name_that_could_be_mistaken_is_left_out() {
    for name in ["", "a b", "a\u{1b}[2J", "pаy", "a\n", &"a".repeat(200)] {
        assert!(definition::tool(&server(true), offered(name, "{}"), &[]).is_err(), "{name}");
    }
}

#[test]
fn a_definition_that_is_too_large_is_left_out() {
    let of = |bytes: usize| {
        let frame = r#"{"description":""}"#.len();
        let written = format!(r#"{{"description":"{}"}}"#, "x".repeat(bytes - frame));
        definition::tool(&server(true), offered("pay", &written), &[]).map(|noted| noted.text.len())
    };
    assert_eq!(of(limits::DEFINITION_BYTES_MAX).unwrap(), limits::DEFINITION_BYTES_MAX);
    let error = of(limits::DEFINITION_BYTES_MAX + 1).unwrap_err();
    assert_eq!(error.to_string(), "its definition has 262145 bytes, more than the 262144 allowed");
}
