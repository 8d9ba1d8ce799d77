//! Tools: which definitions are accepted, and accepting what a server changed.

use serde_json::{Value, json};

use super::{Admin, AdminError};
use crate::audit;
use crate::catalog::difference;
use crate::catalog::pin::{self, Accept, Pin};
use crate::identity::Actor;
use crate::json;
use crate::limits;

/// Tools that one command accepts, at most: all of one server.
const ACCEPTED_MAX: usize = limits::TOOLS_MAX.saturating_mul(2);

/// Tools named in the audit entry of an acceptance. How many more there are is in it, too.
const NAMED_MAX: usize = 100;

impl Admin {
    pub(super) fn tool_list(&self) -> Result<Value, AdminError> {
        Ok(pin::all(&self.store)?.iter().map(shown).collect::<Vec<_>>().into())
    }

    /// The pins of a tool, one for each server that has one under this name, with both definitions and where they differ.
    pub(super) fn tool_show(&self, name: &str) -> Result<Value, AdminError> {
        let pins = pin::all(&self.store)?.into_iter().filter(|pin| pin.name == name);
        let found: Vec<Value> = pins.map(|pin| self.shown_whole(&pin)).collect::<Result<_, _>>()?;
        if found.is_empty() {
            return Err(pin::PinError::Unknown(name.to_owned()).into());
        }
        Ok(found.into())
    }

    fn shown_whole(&self, pin: &Pin) -> Result<Value, AdminError> {
        let accepted = pin::accepted_text(&self.store, pin)?;
        let withheld = pin::withheld_text(&self.store, pin)?;
        let read =
            |text: &Option<String>| text.as_ref().and_then(|text| json::parse(text.as_bytes(), limits::ANSWER).ok());
        let differences = match (read(&accepted), read(&withheld)) {
            (Some(accepted), Some(withheld)) => Some(difference(&accepted, &withheld)),
            _ => None,
        };
        let mut whole = shown(pin);
        if let Some(members) = whole.as_object_mut() {
            members.insert("accepted_definition".into(), json!(accepted));
            members.insert("withheld_definition".into(), json!(withheld));
            members.insert("differences".into(), json!(differences));
        }
        Ok(whole)
    }

    /// Accepts what was shown, all of it or nothing.
    pub(super) async fn tool_accept(&self, actor: &Actor, tools: Vec<Accept>) -> Result<Value, AdminError> {
        if tools.is_empty() || tools.len() > ACCEPTED_MAX {
            return Err(AdminError::Usage(format!("name 1 to {ACCEPTED_MAX} tools to accept")));
        }
        let (at, entry) = (self.clock.now(), self.entry(actor, "tool.accept")?);
        let pinning = match &self.gate {
            Some(gate) => Some((gate, gate.catalog.pinning().await)),
            None => None,
        };
        let accepted = self
            .store
            .commit(move |tx| {
                let accepted: Vec<pin::Accepted> =
                    tools.iter().map(|wanted| pin::accept(tx, at, wanted)).collect::<Result<_, _>>()?;
                let named = accepted.get(..NAMED_MAX).unwrap_or(&accepted);
                let mut entry = entry.metadata("tools", json!(named));
                if accepted.len() > named.len() {
                    entry = entry.metadata("more", accepted.len() - named.len());
                }
                audit::append(tx, &entry)?;
                Ok::<_, AdminError>(accepted)
            })
            .await?;
        if let Some((gate, pinning)) = &pinning {
            gate.catalog.divide_again(pinning)?;
        }
        Ok(json!(accepted))
    }
}

fn shown(pin: &Pin) -> Value {
    json!({
        "name": pin.name,
        "server": pin.server,
        "state": pin.standing.as_str(),
        "since": pin.since.to_string(),
        "digest": pin.offered(),
        "accepted": pin.accepted.as_ref().map(|version| &version.digest),
        "accepted_at": pin.accepted.as_ref().map(|version| version.since.to_string()),
    })
}
