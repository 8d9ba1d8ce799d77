//! All doors of one gate, for what has to be the same at each of them.

use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::task::JoinSet;

use super::{Answer, Caller, Door, Gate, Wrap, market, odd};

/// One agent at every door: over HTTP, and as a desktop client over standard input and output.
pub(crate) struct Doors {
    http: Vec<Caller>,
    stdio: Wrap,
}

/// A call that is made at one of the doors: arguments, and the idempotency key.
pub(crate) type Call = (String, Option<String>);

impl Doors {
    /// How many there are, and so how many calls are made at once.
    pub(crate) const COUNT: usize = Door::ALL.len() + 1;

    /// To the marketplace of the gate's configuration.
    pub(crate) fn to_market(gate: &Gate, agent: &Caller) -> Self {
        Self::new(gate, agent, "market", &market::command())
    }

    /// To the odd server of the gate's configuration.
    pub(crate) fn to_odd(gate: &Gate, agent: &Caller) -> Self {
        Self::new(gate, agent, "odd", &odd::command())
    }

    /// To a server of the gate's configuration, which has the same command there.
    pub(crate) fn new(gate: &Gate, agent: &Caller, server: &str, command: &[String]) -> Self {
        let stdio = Wrap::start(gate.folder(), agent.key.as_deref(), &["--name", server], command);
        Self { http: Door::ALL.map(|door| agent.at(door).moved_to(gate.url())).to_vec(), stdio }
    }

    /// At each door one call of the tool, all at the same time; the answers in the order of the calls.
    pub(crate) async fn call(&mut self, tool: &str, call: impl Fn(usize) -> Call) -> Vec<Answer> {
        self.turned(0, tool, call).await
    }

    /// The same calls, each at the door after its first one.
    pub(crate) async fn call_elsewhere(&mut self, tool: &str, call: impl Fn(usize) -> Call) -> Vec<Answer> {
        self.turned(1, tool, call).await
    }

    async fn turned(&mut self, turn: usize, tool: &str, call: impl Fn(usize) -> Call) -> Vec<Answer> {
        let mut calls = JoinSet::new();
        for (door, caller) in self.http.iter().cloned().enumerate() {
            let number = (door + turn) % Self::COUNT;
            let (tool, (arguments, key)) = (tool.to_owned(), call(number));
            calls.spawn(async move { (number, caller.call_with(&tool, &arguments, key.as_deref()).await) });
        }
        let number = (self.http.len() + turn) % Self::COUNT;
        let (arguments, key) = call(number);
        let mut answers = vec![(number, self.stdio(tool, &arguments, key.as_deref()).await)];
        answers.extend(calls.join_all().await);
        answers.sort_by_key(|(number, _)| *number);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    async fn stdio(&mut self, tool: &str, arguments: &str, key: Option<&str>) -> Answer {
        let body = self.stdio.call(tool, arguments, key).await;
        // There is no HTTP here; 200 stands for a result.
        let status = if body["result"].is_object() { 200 } else { 0 };
        Answer { door: Door::Stdio, status, headers: HeaderMap::new(), text: body.to_string(), body }
    }
}

/// What the audit log says of the call that got an answer, in order.
pub(crate) fn entries<'a>(audit: &'a [Value], answer: &Answer) -> Vec<&'a Value> {
    audit.iter().filter(|entry| entry["correlation_id"] == *answer.correlation_id()).collect()
}

/// The statuses of these entries.
pub(crate) fn statuses<'a>(entries: &[&'a Value]) -> Vec<&'a str> {
    entries.iter().map(|entry| entry["status"].as_str().unwrap()).collect()
}
