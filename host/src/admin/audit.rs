//! The audit log: looking for entries, all that happened with one call, and proofs.

use serde_json::{Value, json};

use super::{Admin, AdminError, TAIL_MAX};
use crate::audit::{self, Entry, Query};

/// Digits of a correlation id that are enough to look for it: those that the lists show.
const DIGITS_MIN: usize = 8;

impl Admin {
    /// The newest entries, oldest first.
    pub(super) fn audit_tail(&self, count: usize) -> Result<Value, AdminError> {
        let entries = audit::tail(&self.store, count.min(TAIL_MAX))?;
        Ok(entries.iter().map(|entry| json!(entry)).collect::<Vec<_>>().into())
    }

    /// A page of entries, newest first, and where to go on.
    pub(super) fn audit_query(&self, query: &Query) -> Result<Value, AdminError> {
        let filter = query.filter(self.clock.now()).map_err(|error| AdminError::Usage(error.to_string()))?;
        let page = audit::query(&self.store, &filter)?;
        Ok(json!({ "entries": page.entries, "next_cursor": page.next.map(|next| next.to_string()) }))
    }

    /// All entries of a call or a change, oldest first.
    pub(super) fn audit_show(&self, id: &str) -> Result<Value, AdminError> {
        let entries = match self.audit_index(id)? {
            Some(index) => match audit::entries(&self.store, index, index.saturating_add(1))?.first() {
                Some(entry) => audit::by_correlation(&self.store, entry.correlation_id())?,
                None => Vec::new(),
            },
            None => self.audit_of_call(id)?,
        };
        Ok(json!(entries))
    }

    /// The proof that an entry is in the log; of a call: one for each of its entries.
    pub(super) fn audit_prove(&self, id: &str) -> Result<Value, AdminError> {
        let indexes = match self.audit_index(id)? {
            Some(index) => vec![index],
            None => self.audit_of_call(id)?.iter().map(Entry::index).collect(),
        };
        let prove = |index| audit::prove(&self.store, index).map_err(AdminError::from);
        let proofs: Vec<audit::Inclusion> = indexes.into_iter().map(prove).collect::<Result<_, _>>()?;
        Ok(json!(proofs))
    }

    /// The index that is meant, when one is: decimal digits can also be the beginning of a correlation id, which then has
    /// more of them than any index.
    fn audit_index(&self, id: &str) -> Result<Option<u64>, AdminError> {
        let size = audit::size(&self.store)?;
        match id.parse::<u64>() {
            // Zeros in front are an id's.
            Ok(index) if index < size && index.to_string() == id => Ok(Some(index)),
            Ok(index) if id.len() < DIGITS_MIN => {
                let what = format!("the audit log has no entry {index}: it has {size}, and the first is 0");
                Err(AdminError::Usage(what))
            }
            _ => Ok(None),
        }
    }

    fn audit_of_call(&self, id: &str) -> Result<Vec<Entry>, AdminError> {
        let usage = |what: String| Err(AdminError::Usage(what));
        let shown: String = id.chars().take(40).collect();
        if id.len() < DIGITS_MIN || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return usage(format!(
                "`{shown}` is neither an entry's index nor a correlation id, of which at least {DIGITS_MIN} digits are needed"
            ));
        }
        match audit::correlations(&self.store, id)?.as_slice() {
            [] => usage(format!("the audit log has no entry of a call `{shown}`")),
            [whole] => Ok(audit::by_correlation(&self.store, whole)?),
            _ => usage(format!("several calls have ids that begin with `{shown}`; give more digits")),
        }
    }
}
