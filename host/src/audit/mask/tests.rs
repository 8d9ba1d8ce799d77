use serde_json::json;

use super::*;
use crate::json::parse;

fn masked(arguments: &str, secret: &[&str]) -> String {
    let value = parse(arguments.as_bytes(), limits::ARGUMENTS).unwrap();
    let secret: Vec<String> = secret.iter().map(|pointer| (*pointer).to_owned()).collect();
    super::arguments(&value, &secret).0
}

fn hidden(secret: &str) {
    for around in [("", ""), ("a ", " b"), ("(", ")"), ("x:", ";"), ("é", "é"), ("\"", "\"")] {
        let whole = format!("{}{secret}{}", around.0, around.1);
        let masked = text(&whole);
        assert_eq!(masked, format!("{}{MASK}{}", around.0, around.1), "of `{whole}`");
        assert_eq!(text(&masked), masked, "twice");
    }
}

fn kept(plain: &str) {
    assert_eq!(text(plain), plain);
}

#[test]
fn card_numbers() {
    for card in [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111\u{a0}1111\u{a0}1111\u{a0}1111",
        "4111 - 1111 - 1111 - 1111",
        "41111111 11111111",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "3782 822463 10005",
        "30569309025904",
        "6011111111111117",
        "4222222222222",
        "6304000000000000000",
    ] {
        hidden(card);
    }
    assert_eq!(text("4111111111111111 4242424242424242"), "*** ***");
    assert_eq!(text("4111111111111111,4242424242424242"), "***,***");
    assert_eq!(text("order 12 4111 1111 1111 1111 exp 12 2031"), "order 12 *** exp 12 2031");
    assert_eq!(text("pan4111111111111111"), "pan***");
    assert_eq!(text("4111111111111111."), "***.");
}

#[test]
fn numbers_that_are_no_cards() {
    for plain in [
        "4111111111111112",
        "4111 1111 1111 1112",
        "411111111111",
        "00000000000000",
        "1099.10 EUR",
        "12345678901234.50",
        "100 200 300 400 500 600",
        "2026-03-01 12 00 00 000",
        "41111111111111111111111111111111",
        "+33 6 12 34 56 78 90",
        // The check digit fits, and the length does not: times in milliseconds and microseconds.
        "1767225600005",
        "1767225600000004",
        // A digest with a card number in it.
        "sha256:ab4111111111111111cdef0123456789",
    ] {
        kept(plain);
    }
    assert!(number::is_card("4111111111111111") && !number::is_card("1767225600005"));
    assert!(!number::is_card("") && !number::is_card("4.11111111111111"));
}

#[test]
fn ibans() {
    for iban in [
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "de89 3704 0044 0532 0130 00",
        "GB29-NWBK-6016-1331-9268-19",
        "FR1420041010050500013M02606",
        "BE68539007547034",
        "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S",
    ] {
        hidden(iban);
    }
    assert_eq!(text("AT12 DE89370400440532013000 paid"), "AT12 *** paid");
    kept("DE89370400440532013001");
    kept("DE8937040044053201300");
    kept("DE893704004405320130000");
    kept("ZZ89370400440532013000");
    kept("XDE89370400440532013000");
    kept("ab12cdef0123456789abcdef01234567");
}

#[test]
fn bearer_tokens_and_headers() {
    assert_eq!(text("Bearer abc123.def"), "Bearer ***");
    assert_eq!(text("sent with bearer abcdefghijklmnopqrstuvwxyz, refused"), "sent with bearer ***, refused");
    assert_eq!(text("Authorization: Basic dXNlcjpwYXNz\r\nHost: a"), "Authorization: ***\r\nHost: a");
    assert_eq!(text("proxy-authorization=Digest a b c; x"), "proxy-authorization=***; x");
    kept("the bearer of this letter");
    kept("bearer tokens are refused");
}

#[test]
fn keys() {
    for key in [
        "pk_9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d",
        "pt_AbCdEfGhIjKlMnOpQrStUv-_",
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "sk-proj-abcdefghijklmnopqrstuvwx",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "github_pat_11ABCDEFG0abcdefghij_klmno",
        "glpat-abcdefghijklmnopqrst",
        "xoxb-123456789012-abcdefghij",
        "AKIAIOSFODNN7EXAMPLE",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    ] {
        hidden(key);
    }
    assert_eq!(text("pk_9b1deb4d3b7d4bad9bdd pt_9b1deb4d3b7d4bad9bdd"), "*** ***");
    assert_eq!(text("a -----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY----- b"), "a *** b");
    assert_eq!(text("a -----BEGIN PRIVATE KEY-----\nMHcCAQEE"), "a ***");
    kept("pk_short");
    kept("risk-assessment-for-quarter-four");
    kept("AKIAIOSFODNN7");
    kept("-----BEGIN CERTIFICATE-----");
    kept("ag_9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d");
}

#[test]
fn values_behind_a_secret_name() {
    assert_eq!(text("msg: password=hunter2&user=joe"), "msg: password=***&user=joe");
    assert_eq!(text("API-Key: abc, path: /a"), "API-Key: ***, path: /a");
    assert_eq!(text(r#"says "clientSecret" : "a \" b" here"#), r#"says "clientSecret" : *** here"#);
    assert_eq!(text("pin:1234"), "pin:***");
    assert_eq!(text("postgres://joe:hunter2@db/orders"), "postgres://joe:***@db/orders");
    kept("amount=12 currency=EUR");
    kept("max_tokens=4096");
    kept("https://example.com:8080/a?b=c");
    kept("the password is wrong");
}

#[test]
fn fields_by_name_at_any_depth() {
    assert_eq!(
        masked(r#"{"user":"joe","Password":"a","deep":[{"api-key":{"x":1}},{"cardCVV2":123,"userPIN":"0000"}]}"#, &[]),
        r#"{"user":"joe","Password":"***","deep":[{"api-key":"***"},{"cardCVV2":"***","userPIN":"***"}]}"#
    );
    for name in [
        "password",
        "PASSWD",
        "pass_phrase_password",
        "secret",
        "client.secret",
        "token",
        "accesstoken",
        "access_tokens",
        "apikey",
        "API_KEY",
        "X-Api-Key",
        "APIKey",
        "authorization",
        "Authorization-Header",
        "credentials",
        "aws_credential",
        "private key",
        "privateKeyPem",
        "cvv",
        "cvc",
        "pin",
        "pin_code",
        "OTP",
        "set-cookie",
    ] {
        assert_eq!(masked(&format!(r#"{{"{name}":"v"}}"#), &[]), format!(r#"{{"{name}":"***"}}"#));
    }
    for name in
        ["shipping", "pinned", "spin", "secretary", "tokenizer", "monkey", "key", "opinion", "keyword", "author"]
    {
        assert_eq!(masked(&format!(r#"{{"{name}":"v"}}"#), &[]), format!(r#"{{"{name}":"v"}}"#));
    }
    assert_eq!(
        masked(r#"{"max_tokens":4096,"tokens":["a"],"password":null}"#, &[]),
        r#"{"max_tokens":4096,"tokens":"***","password":null}"#
    );
}

#[test]
fn numbers_stay_exact_and_members_in_order() {
    let plain = r#"{"z":1099.10,"a":9007199254740993,"m":1e400,"b":[true,null,"x"],"t":1767225600005}"#;
    assert_eq!(masked(plain, &[]), plain);
    assert_eq!(masked(r#"{"n":4111111111111111}"#, &[]), r#"{"n":"***"}"#);
}

#[test]
fn pointers_that_are_marked_secret() {
    let plain = r#"{"value":{"a":1},"list":[{"k":1},{"k":2}],"a/b":3}"#;
    assert_eq!(masked(plain, &["/value"]), r#"{"value":"***","list":[{"k":1},{"k":2}],"a/b":3}"#);
    assert_eq!(masked(plain, &["/list/1/k", "/a~1b"]), r#"{"value":{"a":1},"list":[{"k":1},{"k":"***"}],"a/b":"***"}"#);
    assert_eq!(masked(plain, &["/nowhere", "/list/7", "/value/a/b"]), plain);
    assert_eq!(masked(plain, &[""]), r#""***""#);
    assert_eq!(masked(plain, &["value"]), r#""***""#, "a pointer that is none hides everything");
}

#[test]
fn names_of_fields_that_are_secrets_themselves() {
    assert_eq!(
        masked(r#"{"4111111111111111":1,"a":2,"4242 4242 4242 4242":3}"#, &[]),
        r#"{"*** 0":1,"a":2,"*** 2":3}"#
    );
}

#[test]
fn json_inside_of_strings() {
    assert_eq!(
        masked(r#"{"body":"{\"password\":\"a\",\"n\":1.10}"}"#, &[]),
        r#"{"body":"{\"password\":\"***\",\"n\":1.10}"}"#
    );
    let mut deep = "4111111111111111".to_owned();
    for _ in 0..6 {
        deep = json!([deep]).to_string();
    }
    let masked = text(&deep);
    assert!(masked.contains(MASK) && !masked.contains("4111"), "{masked}");
    assert_eq!(text("{not json password=x}"), "{not json password=***}");
}

#[test]
fn what_policies_read_and_said() {
    let mut value = json!({
        "policy": "caps", "verdict": {"deny": {"reason": "card 4111111111111111", "pointer": "/amount", "tags": ["a"]}},
        "reads": [
            {"pointer": "/amount", "value": "1099.10"},
            {"pointer": "/card/pin", "value": "0000"},
            {"pointer": "", "value": "{\"token\":\"abc\"}"},
        ],
        "by_pointer": {"/user/password": "x", "/user/name": "joe"},
        "at": 1767225600005_u64, "number": 4111111111111111_u64,
    });
    super::json(&mut value);
    assert_eq!(
        value,
        json!({
            "policy": "caps", "verdict": {"deny": {"reason": "card ***", "pointer": "/amount", "tags": ["a"]}},
            "reads": [
                {"pointer": "/amount", "value": "1099.10"},
                {"pointer": "/card/pin", "value": "***"},
                {"pointer": "", "value": "{\"token\":\"***\"}"},
            ],
            "by_pointer": {"/user/password": "***", "/user/name": "joe"},
            "at": 1767225600005_u64, "number": "***",
        })
    );
    let once = value.clone();
    super::json(&mut value);
    assert_eq!(value, once);
}

#[test]
fn long_texts_are_cut_and_say_how_long_they_were() {
    let long = "é".repeat(5000);
    let masked = text(&long);
    assert!(masked.len() < 2200 && masked.ends_with("… (10000 bytes)"), "{masked}");
    assert_eq!(text(&masked), masked);
    kept(&"a".repeat(2048));
    // A card number on the edge is not cut in two.
    for before in 2020..2048 {
        let masked = text(&format!("{} 4111111111111111 {}", "a".repeat(before), "b".repeat(9000)));
        assert!(!masked.contains("4111"), "{before}");
    }
}

#[test]
fn no_text_around_it_uncovers_a_card() {
    let pieces = ["4111", " ", "é", "DE89", "Bearer ", "pk_", "=", "\"", "{", "password", "\\", "-", "1", "\u{2013}"];
    let card = "4242424242424242";
    let mut seed = 7_usize;
    for _ in 0..3000 {
        let mut whole = String::new();
        for _ in 0..12 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            whole.push_str(pieces[(seed >> 33) % pieces.len()]);
        }
        let whole = format!("{whole} {card}, {whole}");
        assert!(!text(&whole).contains(card), "of `{whole}`");
    }
}

#[test]
fn a_long_name_is_no_name() {
    for long in ["n".repeat(2049), format!("{}4111111111111111", "n".repeat(3000)), "password".repeat(300)] {
        let length = long.len();
        let value = if names::is_secret(&long, true) { "\"***\"" } else { "1" };
        assert_eq!(
            masked(&format!(r#"{{"a":1,"{long}":1}}"#), &[]),
            format!(r#"{{"a":1,"*** 1 ({length} bytes)":{value}}}"#)
        );
        let mut value = json!({ long: true });
        super::json(&mut value);
        assert!(value.get(format!("*** 0 ({length} bytes)")).is_some(), "{value}");
    }
    let just = "n".repeat(2048);
    assert_eq!(masked(&format!(r#"{{"{just}":1}}"#), &[]), format!(r#"{{"{just}":1}}"#));
}

#[test]
fn a_token_longer_than_any_digest_hides_no_card() {
    let card = "4111111111111111";
    let (side, more) = ("a".repeat(128), "a".repeat(129));
    for digest in [format!("{side}{card}"), format!("{card}{side}"), format!("{side}{card}{side}")] {
        kept(&digest);
    }
    assert_eq!(text(&format!("{more}{card}")), format!("{more}***"));
    assert_eq!(text(&format!("{card}{more}")), format!("***{more}"));
    // Digits in groups are no part of a token.
    assert_eq!(text("ab4111 1111 1111 1111cd"), "ab***cd");
}

#[test]
fn a_name_inside_of_a_hidden_value_hides_nothing_more() {
    assert_eq!(text("token=a=token=b;c=d"), "token=***;c=d");
    assert_eq!(text(r#"password=token="x" y"#), "password=****** y");
    assert_eq!(text("max_tokens=4096 tokens=abc"), "max_tokens=4096 tokens=***");
}

#[test]
fn a_long_number_is_cut_like_a_text() {
    let digits = "1".repeat(5000);
    assert_eq!(masked(&digits, &[]), format!("\"{}… (5000 bytes)\"", "1".repeat(2048)));
}

#[test]
fn of_large_arguments_the_start_is_kept() {
    let members: Vec<String> = (0..20_000).map(|n| format!(r#""m{n}":[{n},"x"]"#)).collect();
    // A member that is called like the note.
    let plain = format!(r#"{{"…":0,{}}}"#, members.join(","));
    let kept = masked(&plain, &[]);
    assert!(kept.starts_with(r#"{"…":0,"m0":[0,"x"],"m1":[1,"x"],"#), "{kept}");
    assert!(kept.ends_with(&format!(r#"],"……":"… ({} bytes in all)"}}"#, plain.len())));
    assert!((60 * 1024..=66 * 1024).contains(&kept.len()), "{}", kept.len());
    let back = parse(kept.as_bytes(), limits::ARGUMENTS).unwrap();
    assert_eq!(back.to_text(), kept);

    for plain in [format!("[{}[]]", "[],".repeat(50_000)), format!("[{}1]", "1,".repeat(90_000))] {
        let kept = masked(&plain, &[]);
        assert!(kept.ends_with(&format!(r#","… ({} bytes in all)"]"#, plain.len())));
        assert!((32 * 1024..=66 * 1024).contains(&kept.len()), "{}", kept.len());
        assert_eq!(parse(kept.as_bytes(), limits::ARGUMENTS).unwrap().to_text(), kept);
        let mut value: Json = serde_json::from_str(&plain).unwrap();
        super::json(&mut value);
        assert_eq!(value.to_string(), kept);
    }
    // What fits is kept whole.
    let small = format!("[{}]", vec!["1"; 10_000].join(","));
    assert_eq!(masked(&small, &[]), small);
}

/// Each takes minutes when the work grows with the square of the length.
#[test]
fn a_mebibyte_that_was_made_to_be_slow() {
    const MIB: usize = 1 << 20;
    let fill = |piece: &str| piece.repeat(MIB / 2 / piece.len());
    let pieces = [
        "a4111111111111111",
        "://a:",
        "token=",
        "a=",
        "pin: 1 ",
        "-eyJaaaaaaaa-AKIA0123456789ABCDEF",
        "4111 ",
        "DE89 ",
    ];
    for piece in pieces {
        let long = fill(piece);
        let short = vec![piece.repeat(2100 / piece.len()); MIB / 2200];
        let names: serde_json::Map<String, Json> = short
            .iter()
            .take(200)
            .enumerate()
            .map(|(n, name)| (format!("{n} {}", name.get(..name.len() - 64).unwrap()), n.into()))
            .collect();
        for mut value in
            [json!({ &long: 1 }), json!([long]), json!(short), json!(names), json!({"a": json!([long]).to_string()})]
        {
            let plain = value.to_string();
            assert!(masked(&plain, &[]).len() < 80 * 1024, "{piece}");
            super::json(&mut value);
            assert!(value.to_string().len() < 80 * 1024, "{piece}");
        }
        // Nothing cuts it first. A search for keys by their form can take the square, and relies on the cut.
        if !piece.contains("eyJ") {
            assert!(!pattern::mask(&long).is_empty(), "{piece}");
        }
    }
}
