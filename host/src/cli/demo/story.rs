//! What happens in the demo, and what should come of it.

use std::path::Path;

use serde_json::{Value, json};

use super::super::Failure;
use super::super::show::{self, Out, Tone};
use super::agent::Agent;
use super::said;

/// What an answer should be.
enum Expected<'a> {
    /// Executed now.
    Done,
    /// The first answer again.
    Replayed,
    /// Refused with this code.
    Refused(&'a str),
}

struct Teller<'a> {
    out: &'a Out,
    wrong: u32,
}

/// Tells the story; how many answers were not as they should be.
pub(super) async fn tell(out: &Out, scout: &Agent, trader: &Agent, state: &Path) -> Result<u32, Failure> {
    let mut teller = Teller { out, wrong: 0 };
    let step = &mut teller;

    step.heading("Each role sees its own tools")?;
    for agent in [scout, trader] {
        let tools = agent.tools().await?;
        step.out.line(&format!("  {} sees {}: {}", agent.name, tools.len(), tools.join(", ")))?;
    }

    step.heading("Reading is for everybody, writing for traders")?;
    let deal = json!({ "title": "Graphics card", "price": "1099.10", "currency": "EUR" });
    step.call(scout, "market__list_deals", &json!({}), None, Expected::Done).await?;
    step.call(scout, "market__create_deal", &deal, None, Expected::Refused("unknown_tool")).await?;

    step.heading("A write is done once, however often it is sent")?;
    let other = json!({ "title": "Graphics card", "price": "899.00", "currency": "EUR" });
    step.call(trader, "market__create_deal", &deal, Some("deal-1"), Expected::Done).await?;
    step.call(trader, "market__create_deal", &deal, Some("deal-1"), Expected::Replayed).await?;
    step.call(trader, "market__create_deal", &other, Some("deal-1"), Expected::Refused("idempotency_key_conflict"))
        .await?;

    step.heading("500 EUR for one offer, 2000 EUR in 24 hours, and nothing that cannot be counted")?;
    let offer = |amount: &str, currency: &str| json!({ "listing_id": "l-1", "seller": "acme", "amount": amount, "currency": currency });
    for (key, amount, currency, expected) in [
        ("offer-1", "500.01", "EUR", Expected::Refused("cap_exceeded")),
        ("offer-2", "-5", "EUR", Expected::Refused("denied")),
        ("offer-3", "100", "USD", Expected::Refused("denied")),
        ("offer-4", "499.99", "EUR", Expected::Done),
        ("offer-5", "500", "EUR", Expected::Done),
        ("offer-6", "500.00", "EUR", Expected::Done),
        ("offer-7", "500.01", "EUR", Expected::Refused("cap_exceeded")),
        ("offer-8", "500.00", "EUR", Expected::Done),
        ("offer-9", "0.02", "EUR", Expected::Refused("cap_exceeded")),
        ("offer-10", "0.01", "EUR", Expected::Done),
    ] {
        step.call(trader, "market__make_offer", &offer(amount, currency), Some(key), expected).await?;
    }

    step.heading("What the marketplace itself says was executed")?;
    let text = std::fs::read_to_string(state).map_err(said)?;
    let kept: Value = serde_json::from_str(&text).map_err(said)?;
    let executed = kept.get("executed").and_then(Value::as_array).cloned().unwrap_or_default();
    for one in &executed {
        step.out.line(&format!("  {} {}", show::cell(one.get("tool")), show::cell(one.get("arguments"))))?;
    }
    let writes = executed.iter().filter(|one| one.get("tool") != Some(&json!("list_deals"))).count();
    step.check(writes == 6, &format!("{writes} writes, 6 expected"))?;
    Ok(teller.wrong)
}

impl Teller<'_> {
    fn heading(&self, text: &str) -> Result<(), Failure> {
        self.out.line("")?;
        Ok(self.out.line(&self.out.tone(Tone::Loud, text))?)
    }

    fn check(&mut self, right: bool, text: &str) -> Result<(), Failure> {
        let (tone, mark) = if right { (Tone::Good, "✓") } else { (Tone::Bad, "✗") };
        self.wrong += u32::from(!right);
        Ok(self.out.line(&format!("  {} {text}", self.out.tone(tone, mark)))?)
    }

    async fn call(
        &mut self,
        agent: &Agent,
        tool: &str,
        arguments: &Value,
        key: Option<&str>,
        expected: Expected<'_>,
    ) -> Result<(), Failure> {
        let answer = agent.call(tool, arguments, key).await?;
        let code = answer.pointer("/structuredContent/code").and_then(Value::as_str);
        let refused = answer.get("isError") == Some(&json!(true));
        let replayed = answer.pointer("/_meta/dev.portcullis~1decision/replayed") == Some(&json!(true));
        let right = match expected {
            Expected::Done => !refused && !replayed,
            Expected::Replayed => !refused && replayed,
            Expected::Refused(expected) => refused && code == Some(expected),
        };
        let key = key.map(|key| format!(" [{key}]")).unwrap_or_default();
        self.check(right, &format!("{} → {tool} {arguments}{key}", agent.name))?;
        let said = show::cell(answer.pointer("/content/0/text"));
        let said: String = said.chars().take(160).collect();
        let how = match (refused, replayed) {
            (true, _) => code.unwrap_or("the tool failed"),
            (false, true) => "replayed",
            (false, false) => "done",
        };
        Ok(self.out.line(&format!(
            "      {} {}",
            self.out.tone(if refused { Tone::Bad } else { Tone::Good }, how),
            self.out.tone(Tone::Quiet, &said)
        ))?)
    }
}
