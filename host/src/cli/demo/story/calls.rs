//! Who sees what, who may do what, and that it is done once.

use serde_json::{Value, json};

use super::super::super::Failure;
use super::{Expected, READ, Story, Who};

impl Story<'_> {
    pub(super) async fn visibility(&mut self) -> Result<(), Failure> {
        self.teller.chapter("Each role sees its own tools", "What an agent may not use is not even listed for it.")?;
        for (who, sees, not) in
            [(Who::Scout, READ, "market__make_offer"), (Who::Trader, "market__make_offer", "market__cancel_order")]
        {
            let agent = self.agent(who);
            let tools = agent.tools().await?;
            let (own, tools): (Vec<_>, Vec<_>) = tools.into_iter().partition(|tool| tool.starts_with("gate__"));
            let right = tools.iter().any(|tool| tool == sees) && tools.iter().all(|tool| tool != not);
            let outcome = format!("{} tools, and {} of the gate's own", tools.len(), own.len());
            self.teller.check(right, &format!("{}: tools/list", agent.name), &outcome, true)?;
            self.teller.sentence(&tools.join(", ").replace("market__", ""))?;
        }
        Ok(())
    }

    pub(super) async fn reading(&mut self) -> Result<(), Failure> {
        self.teller.chapter(
            "Reading is for everybody, writing is not",
            "A tool that is hidden and one that is not there look the same.",
        )?;
        self.call(Who::Scout, READ, &json!({}), None, Expected::Done).await?;
        self.call(Who::Scout, "market__create_deal", &deal("1099.10"), None, Expected::Refused("unknown_tool")).await?;
        Ok(())
    }

    pub(super) async fn once(&mut self) -> Result<(), Failure> {
        self.teller.chapter(
            "A write is done once, however often it is sent",
            "The key in brackets is for one call: repeated, it gets its first answer; another call is refused.",
        )?;
        let (deal, other) = (deal("1099.10"), deal("899.00"));
        self.call(Who::Trader, "market__create_deal", &deal, Some("deal-1"), Expected::Done).await?;
        self.call(Who::Trader, "market__create_deal", &deal, Some("deal-1"), Expected::Replayed).await?;
        // Other arguments: the first answer would be a wrong one.
        self.call(
            Who::Trader,
            "market__create_deal",
            &other,
            Some("deal-1"),
            Expected::Refused("idempotency_key_conflict"),
        )
        .await?;
        Ok(())
    }
}

fn deal(price: &str) -> Value {
    json!({ "title": "Graphics card", "price": price, "currency": "EUR" })
}
