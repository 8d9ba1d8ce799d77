//! Pins: the definition under which each tool was first seen, or was accepted by the gate's owner since.
//!
//! A tool is usable while its server lists it with the pinned definition, and withheld otherwise. A tool that is new while
//! a pinned one is missing is withheld, too: it may be the old one under another name. Pins are kept by server and the
//! server's own name of the tool; a server under another name is another server.
//!
//! What is promised: no definition reaches an agent, and no tool is called, before its digest is in the store as accepted.
//! What is not: that a server does what its definitions say.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::Tool;
use crate::clock::Timestamp;
use crate::seal::sha256_hex;
use crate::store::keys::{Key, Prefix};
use crate::store::{Read, StoreError, Tx, parse_json};

mod accept;
mod note;
#[cfg(test)]
mod tests;

pub use accept::{Accept, Accepted, PinError, accept};
pub(super) use note::{Noted, is_news, note};

/// The text of a definition that is kept, in bytes. Of a longer one there is the digest only.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Texts that one listing adds, in bytes: half of what one change of the store may weigh.
const TEXTS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Records, under [`Prefix::Pin`].
const RECORD: &[u8] = b"r/";
/// The texts of definitions.
const TEXT: &[u8] = b"t/";

/// A definition that the owner stands by: the first that was seen, or one that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// `sha256:` and the hexadecimal digest of the canonical definition.
    pub digest: String,
    /// Since when.
    pub since: Timestamp,
}

/// How a tool stands by its server's latest listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Standing {
    /// It has the accepted definition.
    Accepted,
    /// It has another one, or is new in a suspicious place.
    Withheld {
        /// The digest of what the server lists.
        digest: String,
    },
    /// It is not listed.
    Missing,
    /// It is not listed, and the owner knows.
    Gone,
}

impl Standing {
    /// The word for it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Withheld { .. } => "withheld",
            Self::Missing => "missing",
            Self::Gone => "gone",
        }
    }
}

/// What is kept of one tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The server's name.
    pub server: String,
    /// The server's name for the tool.
    pub tool: String,
    /// The name agents use.
    pub name: String,
    /// What its owner stands by; none for a new tool that was withheld at once.
    pub accepted: Option<Version>,
    /// How it stands.
    pub standing: Standing,
    /// Since when it stands so.
    pub since: Timestamp,
}

impl Pin {
    /// The digest that a command which accepts this tool is about: what the server lists; none where it lists nothing.
    #[must_use]
    pub fn offered(&self) -> Option<&str> {
        match &self.standing {
            Standing::Withheld { digest } => Some(digest),
            Standing::Accepted => self.accepted.as_ref().map(|version| version.digest.as_str()),
            Standing::Missing | Standing::Gone => None,
        }
    }

    /// Whether a tool with this digest may be used.
    pub(super) fn admits(&self, digest: &str) -> bool {
        self.accepted.as_ref().is_some_and(|version| version.digest == digest)
    }

    fn key(&self) -> Vec<u8> {
        record_key(&self.server, &self.tool)
    }
}

/// The two definitions of a tool whose texts are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Accepted,
    Offered,
}

fn record_key(server: &str, tool: &str) -> Vec<u8> {
    Key::new(Prefix::Pin).bytes(RECORD).text(server).text(tool).into()
}

fn text_key(pin: &Pin, which: Which) -> Vec<u8> {
    let which = match which {
        Which::Accepted => "accepted",
        Which::Offered => "offered",
    };
    Key::new(Prefix::Pin).bytes(TEXT).text(&pin.server).text(&pin.tool).text(which).into()
}

/// All pins, by server and tool.
///
/// # Errors
/// When the state or a pin cannot be read.
pub fn all(read: &dyn Read) -> Result<Vec<Pin>, StoreError> {
    scan(read, &Key::new(Prefix::Pin).bytes(RECORD))
}

/// The pins of one server, by tool.
pub(super) fn of_server(read: &dyn Read, server: &str) -> Result<BTreeMap<String, Pin>, StoreError> {
    let pins = scan(read, &Key::new(Prefix::Pin).bytes(RECORD).text(server))?;
    Ok(pins.into_iter().map(|pin| (pin.tool.clone(), pin)).collect())
}

fn scan(read: &dyn Read, beneath: &Key) -> Result<Vec<Pin>, StoreError> {
    let (from, to) = beneath.range();
    let mut found = Vec::new();
    read.scan(&from, &to, false, &mut |key, value| {
        found.push(parse_json(key, value));
        ControlFlow::Continue(())
    })?;
    found.into_iter().collect()
}

/// The canonical text of the accepted definition, where it was short enough to be kept.
///
/// # Errors
/// When the state cannot be read.
pub fn accepted_text(read: &dyn Read, pin: &Pin) -> Result<Option<String>, StoreError> {
    match &pin.accepted {
        Some(version) => text(read, pin, Which::Accepted, &version.digest),
        None => Ok(None),
    }
}

/// The canonical text of the definition that is withheld, where there is one and it was short enough to be kept.
///
/// # Errors
/// When the state cannot be read.
pub fn withheld_text(read: &dyn Read, pin: &Pin) -> Result<Option<String>, StoreError> {
    match &pin.standing {
        Standing::Withheld { digest } => text(read, pin, Which::Offered, digest),
        _ => Ok(None),
    }
}

/// A kept text, if it is the one with this digest: a person must not be shown another.
fn text(read: &dyn Read, pin: &Pin, which: Which, digest: &str) -> Result<Option<String>, StoreError> {
    let kept = read.get(&text_key(pin, which))?;
    Ok(kept.filter(|text| self::digest(text) == digest).and_then(|text| String::from_utf8(text).ok()))
}

/// The digest of a definition's canonical text.
pub(super) fn digest(canonical: &[u8]) -> String {
    format!("sha256:{}", sha256_hex(canonical))
}
