//! Money: a cap holds under any number of parallel calls, and nothing is ever spent uncounted.

use rust_decimal::Decimal;
use tokio::task::JoinSet;

use crate::harness::{Answer, Caller, Door, Setup, market, odd};

const OFFER: &str = "market__make_offer";

fn decimal(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

async fn offers_at_once(buyer: &Caller, count: usize, amount: &str) -> Vec<Answer> {
    let mut running = JoinSet::new();
    for number in 0..count {
        let (buyer, arguments) = (buyer.at(Door::ALL[number % 3]), market::numbered_offer(number, amount, "\"EUR\""));
        running.spawn(async move { buyer.call(OFFER, &arguments).await });
    }
    running.join_all().await
}

#[tokio::test]
async fn calls_that_fit_alone_but_not_together() {
    let mut gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    // 33 × 60 = 1980, and one more is more than 2000.
    let answers = offers_at_once(&buyer, 64, "\"60.00\"").await;
    let executed = gate.executed();
    assert_eq!((executed.len(), market::spent(&executed)), (33, decimal("1980.00")));
    let refused: Vec<_> = answers.iter().filter(|answer| answer.code().is_some()).collect();
    assert_eq!(refused.len(), 31);
    for answer in refused {
        answer.refused("cap_exceeded");
        let details = answer.details();
        assert!(details["account"].as_str().is_some_and(|account| account.starts_with("agent:")), "{details}");
        assert_eq!((&details["window"], &details["currency"]), (&"24h".into(), &"EUR".into()));
        assert_eq!(market::decimal(&details["limit"]), decimal("2000.00"));
        assert_eq!(market::decimal(&details["requested"]), decimal("60.00"));
        let spent = market::decimal(&details["spent"]);
        assert!(spent + decimal("60.00") > decimal("2000.00") && spent <= decimal("2000.00"), "{details}");
        let resets = details["resets_at"].as_str().unwrap();
        assert!(resets.ends_with('Z') && resets.len() == "2026-03-01T12:00:00.000Z".len(), "{resets}");
    }

    // A restart forgets nothing.
    gate.restart().await;
    let buyer = buyer.moved_to(gate.url());
    let answer = buyer.call(OFFER, &market::offer("20.01", "EUR")).await;
    answer.refused("cap_exceeded");
    assert_eq!(market::decimal(&answer.details()["spent"]), decimal("1980.00"));
    // Exactly the limit passes.
    buyer.call(OFFER, &market::offer("20.00", "EUR")).await.executed();
    buyer.call(OFFER, &market::offer("0.01", "EUR")).await.refused("cap_exceeded");
    assert_eq!(market::spent(&gate.executed()), decimal("2000.00"));

    // Another agent has an account of its own.
    let other = gate.agent("eve", "buyer", Door::Modern).await;
    other.call(OFFER, &market::offer("500.00", "EUR")).await.executed();
}

#[tokio::test]
async fn a_limit_for_one_call() {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    for door in Door::ALL {
        let answer = buyer.at(door).call(OFFER, &market::offer("500.01", "EUR")).await;
        answer.refused("cap_exceeded");
        let details = answer.details();
        assert_eq!((details["window"].as_str(), details["resets_at"].as_str()), (Some("transaction"), None));
        assert_eq!(market::decimal(&details["limit"]), decimal("500.00"));
        assert_eq!(market::decimal(&details["requested"]), decimal("500.01"));
    }
    buyer.call(OFFER, &market::offer("500.00", "EUR")).await.executed();
    buyer.call(OFFER, &market::numbered_offer(2, "500.0", "\"EUR\"")).await.executed();
    assert_eq!(gate.executed().len(), 2);
}

/// Each is refused, or counted for exactly what it says: never let through uncounted.
#[tokio::test]
async fn nothing_is_spent_uncounted() {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let amounts = [
        "\"-1.00\"",
        "-1",
        "\"1e400\"",
        "1e400",
        "\"NaN\"",
        "\"Infinity\"",
        "\"\"",
        "\" 1\"",
        "\"1,00\"",
        "\"0x10\"",
        "\"+1\"",
        "\"1_0\"",
        "\"１\"",
        "\"1\\u0000\"",
        "\"999999999999999999999999999999999\"",
    ];
    for door in Door::ALL {
        for amount in amounts {
            let answer = buyer.at(door).call(OFFER, &market::numbered_offer(0, amount, "\"EUR\"")).await;
            let refused = matches!(answer.code(), Some("denied" | "cap_exceeded" | "invalid_arguments"));
            assert!(refused, "{door:?} {amount}: {}", answer.text);
        }
        for amount in ["null", "true", "[1]", "{\"amount\":1}"] {
            let answer = buyer.at(door).call(OFFER, &market::numbered_offer(0, amount, "\"EUR\"")).await;
            answer.refused("invalid_arguments");
        }
        for currency in ["\"USD\"", "\"eur\"", "\"EUR \"", "\"\"", "\"€\"", "\"ЕUR\"", "\"count\""] {
            let answer = buyer.at(door).call(OFFER, &market::numbered_offer(0, "\"1.00\"", currency)).await;
            assert_eq!(answer.code(), Some("denied"), "{door:?} {currency}: {}", answer.text);
            assert_eq!(answer.details()["pointer"], "/currency", "{}", answer.text);
        }
    }
    assert_eq!(gate.executed().len(), 0);

    // Unusual, but numbers: refused, or counted for what they are.
    let unusual = [
        ("0.10", "0.10"),
        ("\"0.1\"", "0.1"),
        ("1", "1"),
        ("\"001.00\"", "1.00"),
        ("\"0.005\"", "0.005"),
        ("\"0\"", "0"),
        ("-0.0", "0"),
        ("1e2", "100"),
        ("1.5E+1", "15"),
    ];
    let mut spent = Decimal::ZERO;
    for (number, (amount, value)) in unusual.into_iter().enumerate() {
        let answer = buyer.call(OFFER, &market::numbered_offer(number, amount, "\"EUR\"")).await;
        match answer.code() {
            None => spent += decimal(value),
            Some(_) => {
                answer.refused("denied");
            }
        }
    }
    assert!(spent >= decimal("1.2"), "ordinary amounts pass");
    assert_eq!(market::spent(&gate.executed()), spent);
    let answer = buyer.call(OFFER, &market::offer("500.01", "EUR")).await;
    answer.refused("cap_exceeded");
    let shown = gate.cli(&["spend", "show", "--json"]).await.json();
    let row = shown.as_array().unwrap().iter().find(|row| row["currency"] == "EUR").unwrap();
    assert_eq!(market::decimal(&row["spent"]), spent, "{shown}");
}

#[tokio::test]
async fn a_replay_costs_nothing() {
    let gate = Setup::default().start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    for _ in 0..10 {
        buyer.call_with(OFFER, &market::offer("500.00", "EUR"), Some("k")).await.executed();
    }
    for number in 1..4 {
        buyer.call(OFFER, &market::numbered_offer(number, "500", "\"EUR\"")).await.executed();
    }
    buyer.call(OFFER, &market::offer("0.01", "EUR")).await.refused("cap_exceeded");
}

#[tokio::test]
async fn the_hosts_own_ceiling_is_never_passed() {
    let ceiling = "\n[[ceiling]]\naccount = \"agent\"\nmax = \"10.00\"\ncurrency = \"EUR\"\nwindow = \"24h\"\n";
    let gate = Setup::default().and(ceiling).start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let answers = offers_at_once(&buyer, 12, "1.50").await;
    assert_eq!(answers.iter().filter(|answer| answer.code() == Some("cap_exceeded")).count(), 6);
    assert_eq!(market::spent(&gate.executed()), decimal("9.00"));
}

#[tokio::test]
async fn money_of_an_unknown_outcome_stays_reserved() {
    let mut gate = Setup { servers: odd::server(), ..Setup::default() }.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    for number in 0..4 {
        let arguments = format!(r#"{{"amount":"500.00","currency":"EUR","n":{number}}}"#);
        let answer = crate::upstream::served(&buyer, "odd__die", &arguments).await;
        answer.refused("outcome_unknown");
    }
    gate.restart().await;
    let answer = buyer.moved_to(gate.url()).call("odd__echo", r#"{"amount":"0.01","currency":"EUR"}"#).await;
    answer.refused("cap_exceeded");
}
