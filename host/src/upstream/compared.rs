//! Which session's list of tools was compared with what the owner accepted.
//!
//! A server that is started again may offer other tools under the same names. So a session that a call has started takes
//! no call before its list was compared; and then only of the definitions that were accepted.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use tokio::sync::Notify;

use super::session::Session;
use crate::catalog::Tool;
use crate::limits;

#[derive(Default)]
pub(super) struct Compared {
    known: RwLock<Known>,
    accepted: Notify,
}

#[derive(Default)]
struct Known {
    /// The session that was listed last.
    listed: Weak<Session>,
    /// The session that was compared, and the digests of its definitions by the server's names. None as long as nobody
    /// compares: a server that is not in a catalog.
    accepted: Option<(Weak<Session>, HashMap<String, String>)>,
}

impl Compared {
    /// This session is listed now.
    pub(super) fn listing(&self, session: &Arc<Session>) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).listed = Arc::downgrade(session);
    }

    /// What the session that was listed last offers is accepted.
    pub(super) fn accept(&self, definitions: HashMap<String, String>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.accepted = Some((Weak::clone(&known.listed), definitions));
        drop(known);
        self.accepted.notify_waiters();
    }

    /// Whether a tool may be called in a session; waits until that session was compared.
    pub(super) async fn allows(&self, session: &Arc<Session>, tool: &Tool) -> Result<(), &'static str> {
        let compared = async {
            loop {
                let again = self.accepted.notified();
                tokio::pin!(again);
                // From here on no comparison is missed.
                again.as_mut().enable();
                if let Some(known) = self.knows(session, tool) {
                    return known;
                }
                again.await;
            }
        };
        let known = tokio::time::timeout(limits::UPSTREAM_START, compared).await;
        match known {
            Ok(true) => Ok(()),
            Ok(false) => {
                Err("it was started again and offers another definition of this tool, which is compared first")
            }
            Err(_) => Err("it was started again, and its tools could not be compared with the accepted ones in time"),
        }
    }

    /// Whether the tool is as it was accepted; none while this session was not compared.
    fn knows(&self, session: &Arc<Session>, tool: &Tool) -> Option<bool> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match &known.accepted {
            None => Some(true),
            Some((compared, definitions)) if compared.ptr_eq(&Arc::downgrade(session)) => {
                Some(definitions.get(&tool.upstream_name) == Some(&tool.digest))
            }
            Some(_) => None,
        }
    }
}
