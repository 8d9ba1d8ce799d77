//! What persons have to agree to, what may be spent, and to whom.

use serde_json::{Value, json};

use super::super::super::{Failure, show};
use super::{Expected, Story, Who};

const APPROVALS: &str = r#"
[[policy]]
name   = "approvals"
module = "bundled:approvals"

[[policy.settings.rules]]
tools   = ["market__make_offer"]
summary = "offer {/amount} {/currency} to {/seller}"
when    = { pointer = "/amount", greater_than = "400.00" }
expires = "1h"
"#;

const ALLOWLIST: &str = r#"
[[policy]]
name   = "allowlist"
module = "bundled:allowlist"

[[policy.settings.rules]]
tools   = ["market__make_offer"]
pointer = "/seller"
allow   = ["acme", "globex-*"]
"#;

const OFFER: &str = "market__make_offer";

impl Story<'_> {
    /// The correlation id of the call that was approved.
    pub(super) async fn approval(&mut self) -> Result<String, Failure> {
        self.teller.chapter(
            "Above 400 EUR a person has to agree",
            "The agreement is for this very call, once; whoever gives it has a credential and a door of their own.",
        )?;
        self.add_policy("adds `approvals` to policies.toml", APPROVALS).await?;
        let wanted = offer("450.00", "EUR", "acme");
        let asked =
            self.call(Who::Trader, OFFER, &wanted, Some("offer-1"), Expected::Told("approval_required")).await?;
        self.decide(&asked, "approve", json!({}), "approved").await?;
        let done = self.call(Who::Trader, OFFER, &wanted, Some("offer-1"), Expected::Done).await?;
        self.call(Who::Trader, OFFER, &wanted, Some("offer-1"), Expected::Replayed).await?;

        let wanted = offer("480.00", "EUR", "acme");
        let asked =
            self.call(Who::Trader, OFFER, &wanted, Some("offer-2"), Expected::Refused("approval_required")).await?;
        self.decide(&asked, "reject", json!({ "reason": "too much for a used card" }), "rejected").await?;
        self.call(Who::Trader, OFFER, &wanted, Some("offer-2"), Expected::Told("approval_rejected")).await?;
        Ok(show::cell(done.pointer("/_meta/dev.portcullis~1decision/correlation_id")))
    }

    /// The approver decides on what was asked.
    async fn decide(&mut self, asked: &Value, word: &str, body: Value, status: &str) -> Result<(), Failure> {
        let id = show::cell(asked.pointer("/structuredContent/approval"));
        let approver = &self.stage.approver;
        let done = approver.post(&format!("/v1/approvals/{id}/{word}"), body).await?;
        let found = show::cell(done.get("status"));
        let what = format!("{}, an approver: POST /v1/approvals/{id}/{word}", approver.name);
        Ok(self.teller.check(found == status, &what, &found, status == "approved")?)
    }

    pub(super) async fn caps(&mut self) -> Result<(), Failure> {
        self.teller.chapter(
            "500 EUR for one call, 2000 EUR in 24 hours",
            "Amounts are exact decimals, what was approved counts too, and what cannot be counted is refused.",
        )?;
        for (key, amount, currency, expected) in [
            ("offer-3", "500.01", "EUR", Expected::Refused("cap_exceeded")),
            ("offer-4", "-5", "EUR", Expected::Told("denied")),
            ("offer-5", "1,000.00", "EUR", Expected::Refused("denied")),
            ("offer-6", "100", "USD", Expected::Refused("denied")),
            ("offer-7", "400.00", "EUR", Expected::Done),
            ("offer-8", "399.99", "EUR", Expected::Done),
            ("offer-9", "400", "EUR", Expected::Done),
            ("offer-10", "350.02", "EUR", Expected::Told("cap_exceeded")),
            ("offer-11", "350.01", "EUR", Expected::Done),
            ("offer-12", "0.01", "EUR", Expected::Refused("cap_exceeded")),
        ] {
            self.call(Who::Trader, OFFER, &offer(amount, currency, "acme"), Some(key), expected).await?;
        }
        let owner = &self.stage.owner;
        let accounts = owner.get("/v1/spend?window=24h").await?;
        let spent = show::cell(accounts.pointer("/0/spent"));
        let what = format!("{}, the owner: GET /v1/spend?window=24h", owner.name);
        Ok(self.teller.check(spent == "2000.00", &what, &format!("{spent} EUR spent"), true)?)
    }

    pub(super) async fn allowlist(&mut self) -> Result<(), Failure> {
        self.teller.chapter(
            "Money goes to names that are known",
            "A name that only looks the same is another name; what cannot be seen is shown.",
        )?;
        self.add_policy("adds `allowlist` to policies.toml", ALLOWLIST).await?;
        for (key, seller, expected) in [
            ("offer-13", "acme", Expected::Done),
            ("offer-14", "initech", Expected::Refused("denied")),
            ("offer-15", "Acme", Expected::Refused("denied")),
            ("offer-16", "ac\u{200b}me", Expected::Told("denied")),
        ] {
            self.call(Who::Buyer, OFFER, &offer("20.00", "EUR", seller), Some(key), expected).await?;
        }
        Ok(())
    }
}

pub(super) fn offer(amount: &str, currency: &str, seller: &str) -> Value {
    json!({ "listing_id": "l-1", "seller": seller, "amount": amount, "currency": currency })
}
