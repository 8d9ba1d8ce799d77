//! Configured once, fresh every time.

use super::*;
use crate::verdict::Verdict;

const POLICIES: &str = r#"
    [[policy]]
    name = "one"
    module = "one.wasm"
    settings = { length = "this is how long the reason is" }
"#;

/// The reason of the denial that each of three calls gets.
async fn reasons(policies: &Policies) -> Vec<String> {
    let mut reasons = Vec::new();
    for _ in 0..3 {
        match judged(policies, &call("{}")).await.decisions.remove(0).verdict {
            Some(Verdict::Deny(denial)) => reasons.push(denial.reason),
            other => panic!("{other:?}: it remembers a call"),
        }
    }
    reasons
}

#[tokio::test]
async fn what_was_configured_stays_and_what_a_call_left_does_not() {
    let with = open(POLICIES, &[("one.wasm", guest("counter.wat"))]);
    let without = open(POLICIES, &[("one.wasm", guest("unsnapshottable.wat"))]);
    assert_eq!(with.set().unwrap().list()[0].not_snapshotted, None);
    let why = without.set().unwrap().list()[0].not_snapshotted.clone().unwrap();
    assert!(why.contains("table.set"), "{why}");

    let reasons = (reasons(&with).await, reasons(&without).await);
    let settings = r#"{"length":"this is how long the reason is"}"#;
    assert_eq!(reasons.0[0].len(), settings.len());
    assert_eq!(reasons.0, [reasons.0[0].as_str(); 3]);
    assert_eq!(reasons.0, reasons.1, "the same verdicts with and without a snapshot");
}
