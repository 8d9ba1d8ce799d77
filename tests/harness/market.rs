//! The marketplace behind a gate, and what it says was executed.

use std::path::Path;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::program;

/// A tool that ran, with its arguments as they arrived.
pub(crate) struct Executed {
    pub(crate) tool: String,
    pub(crate) arguments: String,
}

/// The program under test is a marketplace, too.
pub(crate) fn command() -> Vec<String> {
    [program().to_str().unwrap(), "example-marketplace", "--state", "market.json"].map(str::to_owned).to_vec()
}

/// It under the name `market`.
pub(crate) fn server() -> String {
    format!("\n[[server]]\nname = \"market\"\ncommand = {:?}\n", command())
}

/// In the order in which it happened; nothing where there is no state yet.
pub(crate) fn executed(folder: &Path) -> Vec<Executed> {
    #[derive(Deserialize)]
    struct State {
        executed: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        tool: String,
        arguments: Box<RawValue>,
    }
    let Ok(text) = std::fs::read_to_string(folder.join("market.json")) else { return Vec::new() };
    let state: State = serde_json::from_str(&text).unwrap();
    let entries = state.executed.into_iter();
    entries.map(|entry| Executed { tool: entry.tool, arguments: entry.arguments.get().to_owned() }).collect()
}

/// The sum of the amounts that were executed, by their exact text.
pub(crate) fn spent(executed: &[Executed]) -> Decimal {
    #[derive(Deserialize)]
    struct Amount<'a> {
        #[serde(borrow)]
        amount: &'a RawValue,
    }
    let amount = |entry: &Executed| {
        let amount: Amount<'_> = serde_json::from_str(&entry.arguments).unwrap();
        let text = amount.amount.get().trim_matches('"');
        Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)).unwrap()
    };
    executed.iter().map(amount).sum()
}

/// An amount that programs are told, whatever its trailing zeros.
pub(crate) fn decimal(text: &Value) -> Decimal {
    Decimal::from_str_exact(text.as_str().unwrap_or_else(|| panic!("{text} is no text"))).unwrap()
}

/// The arguments of an offer.
pub(crate) fn offer(amount: &str, currency: &str) -> String {
    numbered_offer(0, &format!("{amount:?}"), &format!("{currency:?}"))
}

/// The arguments of one of many offers; amount and currency as JSON.
pub(crate) fn numbered_offer(number: usize, amount: &str, currency: &str) -> String {
    format!(r#"{{"listing_id":"listing-{number}","seller":"acme","amount":{amount},"currency":{currency}}}"#)
}

/// The arguments of a deal.
pub(crate) fn deal(title: &str) -> String {
    format!(r#"{{"title":{title:?},"price":"1.00","currency":"EUR"}}"#)
}
