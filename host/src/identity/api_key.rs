//! API keys: `pk_` and 256 random bits in base64url (RFC 4648, section 5). The store knows only the SHA-256.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What every API key starts with.
pub const PREFIX: &str = "pk_";
const SECRET_BYTES: usize = 32;
/// The prefix, and 32 bytes in base64url.
const KEY_CHARS: usize = 3 + 43;

/// A new key, to be shown once.
///
/// # Errors
/// When the system has no randomness to give.
pub fn generate() -> Result<Zeroizing<String>, getrandom::Error> {
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    getrandom::fill(secret.as_mut())?;
    let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(secret.as_ref()));
    Ok(Zeroizing::new([PREFIX, text.as_str()].concat()))
}

/// What the store knows of a key; none where the text cannot be a key.
#[must_use]
pub fn digest(key: &str) -> Option<[u8; 32]> {
    let well_formed = key.len() == KEY_CHARS && key.starts_with(PREFIX) && key.is_ascii();
    well_formed.then(|| Sha256::digest(key.as_bytes()).into())
}

/// Whether two digests are the same, in constant time.
#[must_use]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
