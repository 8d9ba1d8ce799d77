use super::{Bounds, JsonError, Value, parse};

const BOUNDS: Bounds = Bounds { bytes_max: 4096, depth_max: 8, values_max: 64 };

fn read(text: &str) -> Result<Value, JsonError> {
    parse(text.as_bytes(), BOUNDS)
}

fn canonical(text: &str) -> String {
    read(text).map(|value| value.canonical()).unwrap_or_else(|error| format!("error: {error}"))
}

#[test]
fn canonical_numbers_are_exact_decimals() {
    for (written, expected) in [
        ("0", "0"),
        ("-0", "0"),
        ("0.0e7", "0"),
        ("1099.10", "1099.1"),
        ("1099.1", "1099.1"),
        ("1.0991e3", "1099.1"),
        ("10991E-1", "1099.1"),
        ("9007199254740993", "9007199254740993"),
        ("9007199254740992", "9007199254740992"),
        ("100", "100"),
        ("1e2", "100"),
        ("-12.50", "-12.5"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("100000000000000000000", "100000000000000000000"),
        ("1000000000000000000000", "1e+21"),
        ("123e400", "1.23e+402"),
        ("1e99999999999999999999", "1e99999999999999999999"),
    ] {
        assert_eq!(canonical(written), expected, "{written}");
    }
}

#[test]
fn canonical_order_is_by_utf16_units() {
    // U+1F600 is D83D DE00 in UTF-16, which sorts before U+FB33, though not in UTF-8.
    assert_eq!(canonical("{\"\u{fb33}\":1,\"\u{1f600}\":2,\"a\":3}"), "{\"a\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}");
    assert_eq!(
        canonical(r#"{"b": [2, {"d":1,"c":2}], "a" : "\u0041\u000f\n"}"#),
        r#"{"a":"A\u000f\n","b":[2,{"c":2,"d":1}]}"#
    );
}

#[test]
fn what_is_forwarded_is_what_was_written() {
    let written = r#"{ "b" : 1099.10, "a" : [9007199254740993, 1e400, -0.0] }"#;
    assert_eq!(
        read(written).map(|value| value.to_text()),
        Ok(r#"{"b":1099.10,"a":[9007199254740993,1e400,-0.0]}"#.to_owned())
    );
}

#[test]
fn a_key_twice_is_refused_at_any_depth_and_however_it_is_written() {
    for text in [r#"{"a":1,"a":2}"#, r#"[{"x":{"a":1,"\u0061":2}}]"#] {
        assert_eq!(read(text), Err(JsonError::DuplicateKey { key: "a".into() }), "{text}");
    }
}

#[test]
fn an_error_shows_only_the_start_of_a_long_key() {
    let key = "é".repeat(1000);
    assert_eq!(read(&format!(r#"{{"{key}":1,"{key}":2}}"#)), Err(JsonError::DuplicateKey { key: "é".repeat(80) }));
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":}",
        "{a:1}",
        "01",
        "+1",
        ".5",
        "1.",
        "1e",
        "NaN",
        "Infinity",
        "tru",
        "\"a",
        "\"\\ud800\"",
        "\"\\x\"",
        "\"\u{1}\"",
        "1 2",
        "[1 2]",
        "{\"a\" 1}",
        "\"\\",
        "'a'",
    ] {
        assert!(matches!(read(text), Err(JsonError::Syntax { .. })), "{text}: {:?}", read(text));
    }
    assert!(parse(b"\"\xff\"", BOUNDS).is_err());
}

#[test]
fn bounds_hold_exactly() {
    assert!(read(&("[".repeat(8) + &"]".repeat(8))).is_ok());
    assert_eq!(read(&("[".repeat(9) + &"]".repeat(9))), Err(JsonError::TooDeep { max: 8 }));
    assert_eq!(read(&"[".repeat(4000)), Err(JsonError::TooDeep { max: 8 }));
    assert!(read(&format!("[{}]", vec!["1"; 63].join(","))).is_ok());
    assert_eq!(read(&format!("[{}]", vec!["1"; 64].join(","))), Err(JsonError::TooMany { max: 64 }));
    assert_eq!(read(&" ".repeat(4097)), Err(JsonError::TooLarge { found: 4097, max: 4096 }));
}

#[test]
fn pointers_follow_rfc_6901() {
    let Ok(document) = read(r#"{"foo":["bar","baz"],"":0,"a/b":1,"m~n":8,"x":{"01":5}}"#) else { panic!() };
    let at = |pointer: &str| document.pointer(pointer).map(|found| found.map(Value::to_text));
    assert_eq!(at("/foo/0"), Ok(Some("\"bar\"".into())));
    assert_eq!(at("/foo/01"), Ok(None));
    assert_eq!(at("/foo/-"), Ok(None));
    assert_eq!(at("/foo/+1"), Ok(None));
    assert_eq!(at("/"), Ok(Some("0".into())));
    assert_eq!(at("/a~1b"), Ok(Some("1".into())));
    assert_eq!(at("/m~0n"), Ok(Some("8".into())));
    assert_eq!(at("/x/01"), Ok(Some("5".into())));
    assert!(at("foo").is_err());
    assert!(at("/m~n").is_err());
    assert!(at("/m~").is_err());
}

#[test]
fn a_removed_value_is_gone() {
    let Ok(mut document) = read(r#"{"a":{"secret":1,"b":2},"c":[1,2]}"#) else { panic!() };
    for pointer in ["/a/secret", "/c/0", "/none/there"] {
        assert_eq!(document.remove(pointer), Ok(()));
    }
    assert_eq!(document.to_text(), r#"{"a":{"b":2},"c":[null,2]}"#);
}
