//! What happens in the demo, in order.

use std::time::Duration;

use serde_json::Value;

use super::super::Failure;
use super::super::show::Out;
use super::agent::Agent;
use super::stage::{Stage, replace};
use super::teller::{Expected, Teller, values};

mod calls;
mod quiet;
mod record;
mod rules;
mod silence;
mod trouble;

/// Tells the story.
///
/// # Errors
/// [`Failure::No`] when something was not as it should be.
pub(super) async fn tell(out: &Out, stage: &Stage) -> Result<(), Failure> {
    let mut story = Story {
        stage,
        teller: Teller::new(out),
        policies: std::fs::read_to_string(stage.config.policies.join("policies.toml"))?,
        scout: Agent::connect(&stage.scout, &stage.url).await?,
        trader: Agent::connect(&stage.trader, &stage.url).await?,
        buyer: Agent::connect(&stage.buyer, &stage.url).await?,
        writes: 0,
    };
    story.visibility().await?;
    story.reading().await?;
    story.once().await?;
    let approved = story.approval().await?;
    story.caps().await?;
    story.quiet_hours().await?;
    story.allowlist().await?;
    story.endless_policy().await?;
    story.changed_tool().await?;
    story.unknown_outcome().await?;
    story.record(&approved).await?;
    if story.teller.end()? { Ok(()) } else { Err(Failure::No) }
}

struct Story<'a> {
    stage: &'a Stage,
    teller: Teller<'a>,
    /// What `policies.toml` holds.
    policies: String,
    scout: Agent,
    trader: Agent,
    buyer: Agent,
    /// How many writes were answered as done, or found to be.
    writes: usize,
}

/// Who calls.
#[derive(Clone, Copy)]
enum Who {
    Scout,
    Trader,
    Buyer,
}

impl Story<'_> {
    fn agent(&self, who: Who) -> &Agent {
        match who {
            Who::Scout => &self.scout,
            Who::Trader => &self.trader,
            Who::Buyer => &self.buyer,
        }
    }

    /// An agent calls a tool; its answer.
    async fn call(
        &mut self,
        who: Who,
        tool: &str,
        arguments: &Value,
        key: Option<&str>,
        expected: Expected,
    ) -> Result<Value, Failure> {
        let agent = self.agent(who);
        let answer = agent.call(tool, arguments, key).await?;
        let key = key.map(|key| format!(" [{key}]")).unwrap_or_default();
        let call = format!("{}: {tool} {}", agent.name, values(arguments));
        if matches!(expected, Expected::Done) && tool != READ {
            self.writes = self.writes.saturating_add(1);
        }
        self.teller.answered(&format!("{}{key}", call.trim_end()), &answer, expected)?;
        Ok(answer)
    }

    /// The owner puts a policy into `policies.toml`.
    async fn add_policy(&mut self, what: &str, policy: &str) -> Result<(), Failure> {
        self.policies.push_str(policy);
        self.reload(what).await
    }

    /// What the owner did to the policy directory takes force. It would by itself, a moment after it has come to rest.
    async fn reload(&mut self, what: &str) -> Result<(), Failure> {
        replace(&self.stage.config.policies.join("policies.toml"), self.policies.as_bytes())?;
        let owner = &self.stage.owner;
        let before = generation(&owner.get("/v1/policies").await?);
        let done = owner.post("/v1/policies/reload", serde_json::json!({})).await?;
        let now = generation(&done);
        let right = done.get("ok") == Some(&true.into()) && now.is_some() && now >= before;
        let outcome = match now {
            Some(now) => format!("policy generation {now}"),
            None => super::super::show::cell(done.get("problems")),
        };
        Ok(self.teller.check(right, &format!("{}, the owner: {what}", owner.name), &outcome, right)?)
    }
}

/// How long a server, or the gate looking at one, may take to do what it does within a second or two.
const PATIENCE: Duration = Duration::from_secs(60);

/// The only tool of the story that changes nothing.
const READ: &str = "market__list_deals";

fn generation(answer: &Value) -> Option<u64> {
    answer.get("generation").and_then(Value::as_u64)
}
