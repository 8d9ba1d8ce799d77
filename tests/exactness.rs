//! What is written is what is evaluated is what arrives: at both doors, in both eras.

use crate::harness::{Door, Setup, market};

/// The arguments of a deal with one more member, written as it is.
fn deal_with(member: &str) -> String {
    format!(r#"{{"title":"t","currency":"EUR","price":1099.10,"x":{member}}}"#)
}

#[tokio::test]
async fn numbers_arrive_digit_for_digit() {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let numbers = [
        "1099.10",
        "9007199254740993",
        "0.1000000000000000055511151231257827",
        "1e400",
        "-0.0",
        "1E+2",
        "[1.0,{\"a\":2.50}]",
    ];
    for door in Door::ALL {
        for number in numbers {
            let before = gate.executed().len();
            let arguments = deal_with(number);
            let answer = buyer.at(door).call("market__create_deal", &arguments).await;
            answer.executed();
            assert_eq!(answer.result()["structuredContent"]["price"], "1099.10");
            let executed = gate.executed();
            assert_eq!(executed.len(), before + 1);
            let arrived = &executed[before].arguments;
            assert!(arrived.contains(&format!("\"x\":{number}")), "{door:?} {arguments} arrived as {arrived}");
            assert!(arrived.contains("\"price\":1099.10"), "{arrived}");
        }
    }
}

#[tokio::test]
async fn text_arrives_character_for_character() {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let title = "a \u{0} \u{7f} \"\\/ é e\u{301} 😀 \u{2028} \u{feff}";
    for door in Door::ALL {
        let arguments = serde_json::json!({"title": title, "price": "1", "currency": "EUR"}).to_string();
        buyer.at(door).call("market__create_deal", &arguments).await.executed();
        let executed = gate.executed();
        let arrived: serde_json::Value = serde_json::from_str(&executed.last().unwrap().arguments).unwrap();
        assert_eq!(arrived["title"], title, "{door:?}");
    }
}

#[tokio::test]
async fn what_two_readers_could_read_differently_is_refused() {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let wide = format!("[{}1]", "1,".repeat(200_000));
    let refused = [
        deal_with(r#"{"a":1,"a":2}"#),
        deal_with(r#"{"a":1,"\u0061":2}"#),
        deal_with("1,\"x\":1"),
        r#"{"title":"t","price":"1","price":"2","currency":"EUR"}"#.to_owned(),
        deal_with(&deep),
        deal_with(&wide),
        deal_with(r#""\ud800""#),
    ];
    for door in Door::ALL {
        for arguments in &refused {
            let answer = buyer.at(door).call("market__create_deal", arguments).await;
            answer.refused("invalid_arguments");
        }
    }
    // Not JSON at all: no call over REST, no message over MCP.
    for arguments in [deal_with("NaN"), deal_with("Infinity"), deal_with("01"), deal_with("1.0.0"), deal_with("+1")] {
        buyer.at(Door::Rest).call("market__create_deal", &arguments).await.refused("invalid_arguments");
        for door in Door::MCP {
            let answer = buyer.at(door).call("market__create_deal", &arguments).await;
            assert_eq!((answer.status, &answer.body["error"]["code"]), (400, &(-32700).into()), "{}", answer.text);
        }
    }
    assert_eq!(gate.executed().len(), 0);
}

#[tokio::test]
async fn what_is_too_large_is_refused_whole() {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    // The forbidden part stands far behind where a careless gate would stop reading.
    let arguments = deal_with(&format!("{:?},\"price\":\"2\"", "a".repeat(2 * 1024 * 1024)));
    for door in Door::ALL {
        let answer = buyer.at(door).call("market__create_deal", &arguments).await;
        assert!((400..500).contains(&answer.status), "{door:?} {} {}", answer.status, answer.text);
    }
    assert_eq!(gate.executed().len(), 0);
    let buyer = gate.caller(buyer.key.as_deref(), Door::Rest);
    let large = deal_with(&format!("{:?}", "a".repeat(512 * 1024)));
    for door in Door::ALL {
        buyer.at(door).call("market__create_deal", &large).await.executed();
        assert_eq!(gate.executed().last().unwrap().arguments.len(), large.len(), "{door:?}");
    }
}

#[tokio::test]
async fn answers_come_back_digit_for_digit() {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    for (number, door) in Door::ALL.into_iter().enumerate() {
        let arguments = market::numbered_offer(number, "900719925474099.31", "\"EUR\"");
        let answer = buyer.at(door).call("market__make_offer", &arguments).await;
        answer.refused("cap_exceeded");
        let requested = market::decimal(&answer.details()["requested"]);
        assert_eq!(requested, market::decimal(&"900719925474099.31".into()), "{door:?}");
    }
}
