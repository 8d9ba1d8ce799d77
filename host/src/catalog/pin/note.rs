//! What a server lists, against what is pinned.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::*;
use crate::audit::{self, Entry, Status};
use crate::call::CorrelationId;

/// Tools named in one audit entry. How many more there are is in it, too.
const NAMED_MAX: usize = 100;

/// A tool of a listing, with its definition's canonical text.
pub(in crate::catalog) struct Noted {
    pub(in crate::catalog) tool: Arc<Tool>,
    pub(in crate::catalog) text: String,
}

/// What changes for one tool.
struct Step {
    what: What,
    /// The pin as it is afterwards.
    pin: Pin,
    /// The definition that it is about, by its place in the listing.
    listed: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// It is seen for the first time.
    Pinned,
    /// It is withheld from now on, or with another definition than before.
    Withheld,
    /// It was withheld and has its accepted definition again.
    Restored,
    /// Something that nobody has to be told.
    Moved,
    /// It was never accepted, and is not listed any more.
    Dropped,
}

/// Writes down what a listing says: new tools are pinned, others are withheld, and the audit log has it.
///
/// # Errors
/// When the state cannot be read or written.
pub(in crate::catalog) fn note(
    tx: &mut Tx<'_>,
    at: Timestamp,
    id: CorrelationId,
    server: &str,
    listing: &[Noted],
) -> Result<(), StoreError> {
    let steps = plan(&of_server(tx, server)?, at, server, listing);
    let mut room = TEXTS_BYTES_MAX;
    for step in &steps {
        apply(tx, step, listing, &mut room)?;
    }
    for (what, action) in
        [(What::Pinned, "tool.pin"), (What::Withheld, "tool.withheld"), (What::Restored, "tool.restored")]
    {
        let told: Vec<Json> = steps.iter().filter(|step| step.what == what).map(shown).collect();
        if told.is_empty() {
            continue;
        }
        let more = told.len().saturating_sub(NAMED_MAX);
        let named: Vec<Json> = told.into_iter().take(NAMED_MAX).collect();
        let mut entry = Entry::new(at, id, action, Status::Completed).metadata("server", server);
        entry = entry.metadata("tools", named);
        if more > 0 {
            entry = entry.metadata("more", more);
        }
        audit::append(tx, &entry)?;
    }
    Ok(())
}

fn shown(step: &Step) -> Json {
    let accepted = step.pin.accepted.as_ref().map(|version| &version.digest);
    match step.what {
        What::Withheld => json!({ "name": step.pin.name, "accepted": accepted, "offered": step.pin.offered() }),
        _ => json!({ "name": step.pin.name, "digest": accepted }),
    }
}

/// Whether a listing says anything that is not written down yet.
pub(in crate::catalog) fn is_news(read: &dyn Read, server: &str, listing: &[Noted]) -> Result<bool, StoreError> {
    Ok(!plan(&of_server(read, server)?, Timestamp::default(), server, listing).is_empty())
}

fn plan(pins: &BTreeMap<String, Pin>, at: Timestamp, server: &str, listing: &[Noted]) -> Vec<Step> {
    let names: BTreeSet<&str> = listing.iter().map(|noted| noted.tool.upstream_name.as_str()).collect();
    let unlisted = || pins.values().filter(|pin| !names.contains(pin.tool.as_str()));
    let is_missing = unlisted().any(|pin| pin.accepted.is_some() && pin.standing != Standing::Gone);
    let left = unlisted().filter_map(|pin| {
        let pin = pin.clone();
        match (&pin.accepted, &pin.standing) {
            (None, _) => Some(Step { what: What::Dropped, pin, listed: None }),
            (Some(_), Standing::Missing | Standing::Gone) => None,
            (Some(_), _) => Some(Step {
                what: What::Moved,
                pin: Pin { standing: Standing::Missing, since: at, ..pin },
                listed: None,
            }),
        }
    });
    let met = listing.iter().enumerate().filter_map(|(place, noted)| {
        let old = pins.get(&noted.tool.upstream_name);
        let (what, pin) = meet(old, &noted.tool, is_missing, at, server)?;
        Some(Step { what, pin, listed: Some(place) })
    });
    left.chain(met).collect()
}

/// A listed tool meets its pin: what changes, if anything does.
fn meet(old: Option<&Pin>, tool: &Tool, is_missing: bool, at: Timestamp, server: &str) -> Option<(What, Pin)> {
    let withheld = || Standing::Withheld { digest: tool.digest.clone() };
    let Some(old) = old else {
        let first = Version { digest: tool.digest.clone(), since: at };
        let (what, accepted, standing) = if is_missing {
            (What::Withheld, None, withheld())
        } else {
            (What::Pinned, Some(first), Standing::Accepted)
        };
        let (server, upstream_name, name) = (server.to_owned(), tool.upstream_name.clone(), tool.name.clone());
        return Some((what, Pin { server, tool: upstream_name, name, accepted, standing, since: at }));
    };
    let standing = if old.admits(&tool.digest) { Standing::Accepted } else { withheld() };
    if old.standing == standing {
        // The configuration can give a tool another name.
        let renamed = || (What::Moved, Pin { name: tool.name.clone(), ..old.clone() });
        return (old.name != tool.name).then(renamed);
    }
    let what = match (&standing, &old.standing) {
        (Standing::Accepted, Standing::Withheld { .. }) => What::Restored,
        (Standing::Accepted, _) => What::Moved,
        _ => What::Withheld,
    };
    Some((what, Pin { name: tool.name.clone(), standing, since: at, ..old.clone() }))
}

fn apply(tx: &mut Tx<'_>, step: &Step, listing: &[Noted], room: &mut usize) -> Result<(), StoreError> {
    let pin = &step.pin;
    let text = step.listed.and_then(|place| listing.get(place)).map(|noted| noted.text.as_str());
    match step.what {
        What::Pinned => put_text(tx, pin, Which::Accepted, text, room),
        What::Withheld => put_text(tx, pin, Which::Offered, text, room),
        What::Restored | What::Dropped => tx.delete(text_key(pin, Which::Offered)),
        What::Moved if matches!(pin.standing, Standing::Withheld { .. }) => {}
        What::Moved => tx.delete(text_key(pin, Which::Offered)),
    }
    if step.what == What::Dropped {
        tx.delete(pin.key());
        return Ok(());
    }
    tx.put_json(pin.key(), pin)
}

fn put_text(tx: &mut Tx<'_>, pin: &Pin, which: Which, text: Option<&str>, room: &mut usize) {
    let fits = text.filter(|text| text.len() <= TEXT_BYTES_MAX && text.len() <= *room);
    match fits {
        Some(text) => {
            *room -= text.len();
            tx.put(text_key(pin, which), text);
        }
        None => tx.delete(text_key(pin, which)),
    }
}
