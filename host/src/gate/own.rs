//! What the gate itself tells those who ask it about themselves: its own tools, and the routes that say the same.
//!
//! A principal sees its own entries and its own account, owners and auditors see all. A tool of the gate's own needs no
//! rule of a policy; it takes its tokens and is audited as any call is, and no server is asked.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::sync::Semaphore;

use super::trail::Trail;
use super::{Ended, Gate, Refused, refusal, refuse};
use crate::approval;
use crate::audit::{self, BadQuery, Query, Status};
use crate::call::{Origin, Request, ToolAnswer};
use crate::catalog::Tool;
use crate::config::span;
use crate::identity::{Kind, Principal};
use crate::json::{self, Value};
use crate::ledger::{self, Account, Row};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::store::StoreError;
use crate::task;

mod definitions;

/// Entries looked at for one answer, for those who see their own only.
const EXAMINED_MAX: usize = 2_000;

/// Bytes of entries in the answer of a tool, which a model reads; the entry that passes it is still in it.
const TOOL_BYTES_MAX: usize = 128 * 1024;

/// Entries in the answer of a tool when the call does not say.
const TOOL_LIMIT: &str = "20";

/// Answers that are looked for at a time: each reads much of the store, and calls come first.
static READERS: Semaphore = Semaphore::const_new(4);

/// How long a question waits for others to be answered.
const READ_WAIT: Duration = Duration::from_secs(5);

/// The gate's own tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    /// `gate__get_transaction_history`
    History,
    /// `gate__get_spend_status`
    Spending,
    /// `gate__approval_status`
    Approval,
}

static TOOLS: LazyLock<Vec<(Own, Arc<Tool>)>> = LazyLock::new(|| {
    let tool = |(own, name, definition): (Own, &str, &str)| {
        let definition = json::parse(definition.as_bytes(), limits::ARGUMENTS).ok()?;
        Some((own, Arc::new(Tool::of_gate(name, definition).ok()?)))
    };
    definitions::ALL.into_iter().filter_map(tool).collect()
});

/// The gate's own tools, for a listing.
pub(super) fn tools() -> impl Iterator<Item = Arc<Tool>> {
    TOOLS.iter().map(|(_, tool)| Arc::clone(tool))
}

/// The gate's own tool with this name.
pub(super) fn find(name: &str) -> Option<(Own, Arc<Tool>)> {
    TOOLS.iter().find(|(_, tool)| tool.name == name).cloned()
}

impl Gate {
    /// `GET /v1/audit/events`: a page of entries, newest first, as JSON text. The parameters are those of [`Query`].
    ///
    /// # Errors
    /// `rate_limited`, `no_policy`, `invalid_arguments`, `overloaded`, `store_unavailable`.
    pub async fn events(
        &self,
        principal: &Arc<Principal>,
        parameters: Vec<(String, String)>,
        origin: Origin,
    ) -> Result<String, Box<Refused>> {
        let asked = async {
            self.admit_question(principal, origin)?;
            let query = Query::from_pairs(parameters).map_err(|bad| bad_query(&bad))?;
            self.history(principal, query, None).await
        };
        match asked.await {
            Ok(page) => Ok(page),
            Err(refusal) => Err(self.refuse_question("audit/events", principal, origin, refusal).await),
        }
    }

    /// `GET /v1/spend`: what is spent and held, as JSON text. The one parameter is `window`, such as `24h`.
    ///
    /// # Errors
    /// `rate_limited`, `no_policy`, `invalid_arguments`, `overloaded`, `store_unavailable`.
    pub async fn spending(
        &self,
        principal: &Arc<Principal>,
        parameters: Vec<(String, String)>,
        origin: Origin,
    ) -> Result<String, Box<Refused>> {
        let asked = async {
            self.admit_question(principal, origin)?;
            let mut window = None;
            for (name, value) in parameters {
                if name != "window" {
                    let name: String = name.chars().take(limits::TOOL_NAME_CHARS_MAX).collect();
                    return Err(bad_parameter(&name, &format!("there is no parameter `{name}`; there is `window`")));
                }
                if window.replace(value).is_some() {
                    return Err(bad_parameter("window", "the parameter `window` stands twice; say it once"));
                }
            }
            self.spent(principal, window.as_deref()).await
        };
        match asked.await {
            Ok(rows) => Ok(rows),
            Err(refusal) => Err(self.refuse_question("spend", principal, origin, refusal).await),
        }
    }

    /// `GET /v1/approvals/{id}`: how an approval stands that the principal itself asked for; none where there is no such
    /// one.
    ///
    /// # Errors
    /// `rate_limited`, `no_policy`, `store_unavailable`.
    pub async fn approval(
        &self,
        principal: &Arc<Principal>,
        id: &str,
        origin: Origin,
    ) -> Result<Option<Json>, Box<Refused>> {
        match self.admit_question(principal, origin).and_then(|()| self.own_approval(principal, id)) {
            Ok(approval) => Ok(approval),
            Err(refusal) => Err(self.refuse_question("approvals", principal, origin, refusal).await),
        }
    }

    fn own_approval(&self, principal: &Principal, id: &str) -> Result<Option<Json>, Refusal> {
        let record = approval::find(&self.store, id).map_err(|error| refuse::store(&error))?;
        let own = record.filter(|record| record.agent_id == principal.id);
        Ok(own.map(|record| record.told(self.clock.now())))
    }

    /// A token from each of the principal's buckets; and a gate without policies answers nothing.
    fn admit_question(&self, principal: &Principal, origin: Origin) -> Result<(), Refusal> {
        let _admitted = self.admission.principal(principal, None, origin.route(), None)?;
        self.policies.set().map(drop)
    }

    /// A call of one of the gate's own tools. No audit, no answer.
    pub(super) async fn call_own(
        &self,
        trail: &mut Trail,
        (own, tool): (Own, Arc<Tool>),
        principal: Arc<Principal>,
        request: Request,
    ) -> Result<Ended, Refusal> {
        let call = Arc::new(tool.call(trail.id, trail.time, principal, request)?);
        trail.know(&call);
        let argument = |name: &str| call.arguments.value().get(name).map(text);
        let said = match own {
            Own::History => {
                let query = Query {
                    tool: argument("tool"),
                    code: argument("code"),
                    status: argument("status"),
                    since: argument("since"),
                    until: argument("until"),
                    cursor: argument("cursor"),
                    limit: argument("limit").or_else(|| Some(TOOL_LIMIT.to_owned())),
                    agent: None,
                };
                self.history(&call.principal, query, Some(TOOL_BYTES_MAX)).await?
            }
            Own::Spending => self.spent(&call.principal, argument("window").as_deref()).await?,
            Own::Approval => {
                let id = argument("approval").unwrap_or_default();
                let shown: String = id.chars().take(limits::TOOL_NAME_CHARS_MAX).collect();
                let none = || bad_parameter("approval", &format!("there is no approval `{shown}` of yours"));
                self.own_approval(&call.principal, &id)?.ok_or_else(none)?.to_string()
            }
        };
        // The same for a model and for a program, as the protocol wants it; numbers as they were written.
        let result = format!(
            r#"{{"content":[{{"type":"text","text":{}}}],"structuredContent":{said},"isError":false}}"#,
            Json::from(said.as_str())
        );
        let ended = Ended::Answered(ToolAnswer { result, is_error: false });
        let entry = trail.ended(self.clock.now(), Status::Completed, &ended);
        let written: Result<u64, StoreError> = self.store.commit(move |tx| audit::append(tx, &entry)).await;
        written.map(|_| ended).map_err(|error| refuse::store(&error))
    }

    /// A page of entries: `{"events": […], "next_cursor": …}`.
    async fn history(
        &self,
        principal: &Arc<Principal>,
        query: Query,
        bytes_max: Option<usize>,
    ) -> Result<String, Refusal> {
        let mut filter = query.filter(self.clock.now()).map_err(|bad| bad_query(&bad))?;
        filter.bytes_max = bytes_max;
        let all = sees_all(principal);
        if !all {
            filter.own = Some(principal.id.clone());
            filter.examined_max = Some(EXAMINED_MAX);
        }
        let store = self.store.clone();
        reading(move || {
            let page = audit::query(&store, &filter)?;
            let written: Result<Vec<String>, _> = page
                .entries
                .iter()
                .map(|entry| if all { serde_json::to_string(entry) } else { serde_json::to_string(&entry.seen()) })
                .collect();
            let written = written.map_err(|error| StoreError::Damaged(format!("an audit entry: {error}")))?;
            let next = json!(page.next.map(|next| next.to_string()));
            Ok(format!(r#"{{"events":[{}],"next_cursor":{next}}}"#, written.join(",")))
        })
        .await
    }

    /// What is spent and held: `{"spend": […]}`.
    async fn spent(&self, principal: &Arc<Principal>, window: Option<&str>) -> Result<String, Refusal> {
        let span = window.map(span::parse).transpose().map_err(|bad| bad_parameter("window", &bad.to_string()))?;
        if span.is_some_and(|span| span.is_zero() || span > limits::WINDOW_MAX) {
            let max = span::show(limits::WINDOW_MAX);
            return Err(bad_parameter("window", &format!("`window` can be `1ms` to `{max}`")));
        }
        let own = match sees_all(principal) {
            true => None,
            false => Some(ledger::account_name(&Account::Agent, principal).map_err(|error| refuse::due(&error))?),
        };
        let (store, now) = (self.store.clone(), self.clock.now());
        reading(move || {
            let rows = ledger::statement(&store, now, own.as_deref(), span)?;
            Ok(json!({ "spend": rows.iter().map(Row::told).collect::<Vec<_>>() }).to_string())
        })
        .await
    }
}

/// Whether a principal sees what others did.
fn sees_all(principal: &Principal) -> bool {
    match principal.kind {
        Kind::Owner | Kind::Auditor => true,
        Kind::Agent | Kind::Approver => false,
    }
}

/// Reads where no call waits for it, and only so many at a time.
async fn reading<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Refusal> {
    let Ok(Ok(_place)) = tokio::time::timeout(READ_WAIT, READERS.acquire()).await else {
        let message = "too many others ask the gate about its log now, so nothing was looked up; ask again in a moment";
        return Err(refusal(Code::Overloaded, message).retry_after(limits::RETRY_CROWDED));
    };
    task::blocking(read).await.map_err(|error| {
        let message =
            "the gate cannot read its store now; try again later, and tell the gate's owner if that does not help";
        refusal(Code::StoreUnavailable, message).private(error)
    })
}

/// An argument as the text that a query string would have.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_text(), str::to_owned)
}

fn bad_query(bad: &BadQuery) -> Refusal {
    bad_parameter(bad.parameter(), &bad.to_string())
}

fn bad_parameter(name: &str, why: &str) -> Refusal {
    refusal(Code::InvalidArguments, format!("nothing was looked up: {why}")).details(json!({ "parameter": name }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_is_a_tool() {
        assert_eq!(TOOLS.len(), definitions::ALL.len());
        for (own, name, _) in definitions::ALL {
            let (found, tool) = find(name).unwrap();
            assert_eq!((found, tool.name.as_str()), (own, name));
            assert_eq!(tool.definition.get("name").and_then(Value::as_str), Some(name));
        }
        assert!(find("market__pay").is_none() && find("gate__").is_none());
    }
}
