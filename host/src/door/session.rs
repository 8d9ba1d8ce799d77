//! Sessions of the MCP revisions before 2026-07-28.
//!
//! A session's id proves itself: a version, 16 random bytes, and a MAC of both with the principal's immutable id under the
//! store's key. So sessions need no memory, outlive a restart, and are their principal's only. A session gives no right:
//! each request is let in by its credential alone, and one that names no session is served, too. One that names a session
//! which is not its principal's is refused, whatever is wrong with it: nobody learns which sessions others have.
//!
//! Sessions do not end: `DELETE` is answered with 405, as the protocol allows, for nothing is kept that could end.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use crate::identity::Principal;
use crate::seal::StoreKey;

/// The header that names a session.
pub(in crate::door) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// The label of the key that sessions are made with.
const LABEL: &str = "session";
const VERSION: &str = "s1";
const RANDOM_BYTES: usize = 16;
/// How much of an id the audit log has: enough to tell sessions apart, too little to make one up.
const SHORT_CHARS: usize = 8;

/// Makes and knows sessions. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<StoreKey>);

/// A session that is not this principal's, or none at all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnknownSession;

impl Sessions {
    /// The sessions under a store's key.
    #[must_use]
    pub fn new(key: Arc<StoreKey>) -> Self {
        Self(key)
    }

    fn mac(&self, random: &[u8], principal: &Principal) -> [u8; 32] {
        self.0.mac(LABEL, &[VERSION.as_bytes(), random, principal.id.as_bytes()])
    }

    /// The id of a new session, in visible ASCII.
    pub(super) fn begin(&self, principal: &Principal) -> Result<String, getrandom::Error> {
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random)?;
        let mac = self.mac(&random, principal);
        Ok(format!("{VERSION}.{}.{}", URL_SAFE_NO_PAD.encode(random), URL_SAFE_NO_PAD.encode(mac)))
    }

    /// The short form of the session that a request names; none when it names none.
    pub(super) fn named(&self, headers: &HeaderMap, principal: &Principal) -> Result<Option<String>, UnknownSession> {
        let mut values = headers.get_all(SESSION_ID).iter();
        let value = match (values.next(), values.next()) {
            (None, _) => return Ok(None),
            (Some(value), None) => value,
            // Which of two is meant is not for a gate to guess.
            (Some(_), Some(_)) => return Err(UnknownSession),
        };
        let id = value.to_str().map_err(|_| UnknownSession)?;
        self.short(id, principal).map(Some).ok_or(UnknownSession)
    }

    fn short(&self, id: &str, principal: &Principal) -> Option<String> {
        let (random_text, mac) = id.strip_prefix(VERSION)?.strip_prefix('.')?.split_once('.')?;
        let random = URL_SAFE_NO_PAD.decode(random_text).ok()?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        let ours = random.len() == RANDOM_BYTES && bool::from(self.mac(&random, principal).ct_eq(&mac));
        ours.then(|| random_text.chars().take(SHORT_CHARS).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(folder: &tempfile::TempDir) -> Sessions {
        Sessions::new(Arc::new(StoreKey::open_or_create(folder.path()).unwrap()))
    }

    fn named(sessions: &Sessions, ids: &[&str], principal: &Principal) -> Result<Option<String>, UnknownSession> {
        let mut headers = HeaderMap::new();
        for id in ids {
            headers.append(SESSION_ID, id.parse().unwrap());
        }
        sessions.named(&headers, principal)
    }

    #[test]
    fn a_session_is_its_principals_and_outlives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (bob, eve) = (Principal::for_test("ag_1", &[]), Principal::for_test("ag_2", &[]));
        let id = sessions(&folder).begin(&bob).unwrap();
        assert!(id.bytes().all(|byte| byte.is_ascii_graphic()), "{id}");
        let after = sessions(&folder);
        let short = named(&after, &[&id], &bob).unwrap().unwrap();
        assert_eq!(Some(short.as_str()), id.get(3..11));
        assert_eq!(named(&after, &[&id], &eve), Err(UnknownSession));
        assert_eq!(named(&after, &[], &eve), Ok(None));
        assert_eq!(named(&after, &[&id, &id], &bob), Err(UnknownSession));
        let other_gate = tempfile::tempdir().unwrap();
        assert_eq!(named(&sessions(&other_gate), &[&id], &bob), Err(UnknownSession));
        assert_ne!(after.begin(&bob).unwrap(), id);
    }

    #[test]
    fn nothing_else_is_a_session() {
        let folder = tempfile::tempdir().unwrap();
        let (sessions, bob) = (sessions(&folder), Principal::for_test("ag_1", &[]));
        let id = sessions.begin(&bob).unwrap();
        for at in 0..id.len() {
            let mut changed = id.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(named(&sessions, &[&changed], &bob), Err(UnknownSession), "{changed}");
            assert_eq!(named(&sessions, &[id.get(..at).unwrap()], &bob), Err(UnknownSession), "{at}");
        }
        let (random, mac) = id.strip_prefix("s1.").and_then(|rest| rest.split_once('.')).unwrap();
        for other in [&format!("{id}A"), &format!("{id}."), &format!("s2.{random}.{mac}"), &format!("s1..{mac}"), "x"] {
            assert_eq!(named(&sessions, &[other], &bob), Err(UnknownSession), "{other}");
        }
    }
}
