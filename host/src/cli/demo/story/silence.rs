//! A call that was sent, and that no answer came to.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::super::{Failure, show};
use super::super::said;
use super::{Expected, PATIENCE, Story, Who};

const TOOL: &str = "bank__record_payment";

impl Story<'_> {
    pub(super) async fn unknown_outcome(&mut self) -> Result<(), Failure> {
        self.teller.chapter(
            "What may have been done is not done again",
            "The bank falls silent in the middle of a payment, and has a second to answer: nobody knows whether it paid.",
        )?;
        let payment = json!({ "order": "o-1", "merchant": "acme", "amount": "75.00", "currency": "EUR" });
        let silence = self.stage.silence_bank()?;
        let first =
            self.call(Who::Trader, TOOL, &payment, Some("payment-1"), Expected::Told("outcome_unknown")).await?;
        drop(silence);
        self.call(Who::Trader, TOOL, &payment, Some("payment-1"), Expected::Refused("outcome_unknown")).await?;

        let (owner, paid) = (&self.stage.owner, self.paid().await?);
        let what = format!("{}, the owner: reads the bank's own book, bank.json", owner.name);
        self.teller.check(paid == 1, &what, &format!("{paid} payment"), true)?;
        let id = show::cell(first.pointer("/structuredContent/correlation_id"));
        let uri = format!("/v1/outcomes/{id}/resolve");
        let resolved = owner.post(&uri, json!({ "executed": true })).await?;
        let right = resolved.get("executed") == Some(&Value::Bool(true));
        self.teller.check(right, &format!("{}, the owner: POST {uri}", owner.name), "it was executed", right)?;
        // It was done after all.
        self.writes = self.writes.saturating_add(1);
        self.call(Who::Trader, TOOL, &payment, Some("payment-1"), Expected::Told("outcome_unknown")).await?;
        Ok(())
    }

    /// How many payments the bank made, once it has come to the one that it was silent about.
    async fn paid(&self) -> Result<usize, Failure> {
        let looking = async {
            loop {
                match self.stage.writes("bank.json")? {
                    0 => tokio::time::sleep(Duration::from_millis(10)).await,
                    paid => return Ok(paid),
                }
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.map_err(|_| said("the bank never came to the payment"))?
    }
}
