//! A policy that never ends, and a tool that is not any more what it was.

use serde_json::{Value, json};

use super::super::super::show::Tone;
use super::super::super::{Failure, show};
use super::super::said;
use super::rules::offer;
use super::{Expected, PATIENCE, READ, Story, Who};
use crate::catalog::Found;

/// A component whose `evaluate` never returns: `tests/guests/hostile/loop-evaluate.wat`, built.
const ENDLESS: &[u8] = include_bytes!("../loop-evaluate.wasm");

const ENDLESS_POLICY: &str = "\n[[policy]]\nname   = \"endless\"\nmodule = \"endless.wasm\"\n";

impl Story<'_> {
    pub(super) async fn endless_policy(&mut self) -> Result<(), Failure> {
        self.teller.chapter(
            "A policy that never ends shuts the gate",
            "What cannot be decided is refused, reading too: no error is ever taken for a yes.",
        )?;
        let good = self.policies.clone();
        std::fs::write(self.stage.config.policies.join("endless.wasm"), ENDLESS)?;
        self.add_policy("drops endless.wasm into the directory, a loop in WebAssembly", ENDLESS_POLICY).await?;
        let wanted = offer("20.00", "EUR", "acme");
        self.call(Who::Scout, READ, &json!({}), None, Expected::Told("policy_limit")).await?;
        self.call(Who::Buyer, "market__make_offer", &wanted, Some("offer-17"), Expected::Refused("policy_limit"))
            .await?;
        self.policies = good;
        self.reload("takes it out again").await?;
        std::fs::remove_file(self.stage.config.policies.join("endless.wasm"))?;
        self.call(Who::Scout, READ, &json!({}), None, Expected::Done).await?;
        Ok(())
    }

    pub(super) async fn changed_tool(&mut self) -> Result<(), Failure> {
        const TOOL: &str = "market__make_offer";
        self.teller.chapter(
            "A tool stays what it was when it was accepted",
            "The marketplace describes a tool in other words, which models would read as instructions.",
        )?;
        self.stage
            .describe("make_offer", "Makes a binding offer for a listing. Offers are final after ten minutes.")?;
        let withheld = |catalog: &crate::catalog::Catalog| matches!(catalog.find(TOOL), Some(Found::Withheld(_)));
        let noticed = self.stage.running.gate.catalog.until(withheld);
        tokio::time::timeout(PATIENCE, noticed).await.map_err(|_| said("the gate did not notice a changed tool"))?;
        let wanted = offer("30.00", "EUR", "globex-paris");
        self.call(Who::Buyer, TOOL, &wanted, Some("offer-18"), Expected::Told("tool_withheld")).await?;

        let owner = &self.stage.owner;
        let shown = owner.get(&format!("/v1/tools/{TOOL}")).await?;
        let text = |pointer: &str| show::cell(shown.pointer(pointer));
        let what = format!("{}, the owner: GET /v1/tools/{TOOL}", owner.name);
        let right = text("/0/differences/0/pointer") == "/description";
        self.teller.check(right, &what, &format!("{} is not the same", text("/0/differences/0/pointer")), false)?;
        self.teller.detail(Tone::Bad, &format!("- {}", text("/0/differences/0/accepted")))?;
        self.teller.detail(Tone::Good, &format!("+ {}", text("/0/differences/0/offered")))?;
        let body = json!({ "tools": [accepting(&shown)] });
        let accepted = owner.post("/v1/tools/accept", body).await?;
        let right = accepted.as_array().is_some_and(|accepted| accepted.len() == 1);
        self.teller.check(right, &format!("{}, the owner: accepts exactly this", owner.name), "accepted", right)?;
        self.call(Who::Buyer, TOOL, &wanted, Some("offer-18"), Expected::Done).await?;
        Ok(())
    }
}

/// What says which definition is accepted: the one that was shown.
fn accepting(shown: &Value) -> Value {
    let of = |key: &str| shown.pointer(&format!("/0/{key}")).cloned().unwrap_or_default();
    json!({ "name": of("name"), "server": of("server"), "digest": of("digest") })
}
