//! The store's key: what is sealed at rest, and what is fingerprinted, is so with a key derived from it.
//!
//! 32 random bytes in a file that only this user can read. Every use has a label, and every label a key of its own
//! (HMAC-SHA256 of the label under the store key), so that what one layer sealed cannot be opened as another's, and no
//! fingerprint is ever an encryption key. Sealing is XChaCha20-Poly1305 with a random nonce of 24 bytes: random ones of
//! that length do not meet. Who has the key can read what was sealed; who has lost it cannot.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::store::keys::{Key, Prefix, SEALED_WITH};
use crate::store::{Read as _, Store, StoreError};

/// What the key's file is called, in the data directory.
const KEY_FILE: &str = "store.key";

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// Why something cannot be sealed, opened, or the key not be had.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key's file cannot be read or made.
    #[error("the store key `{path}` cannot be read or made: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others could have read it.
    #[error("the store key `{0}` can be read by others than its owner; run `chmod 600 {0}`")]
    Exposed(PathBuf),
    /// It is not 32 bytes in a plain file.
    #[error(
        "the store key `{0}` is not a file of 32 bytes; restore it from a backup, without it nothing that was sealed can be opened"
    )]
    NotAKey(PathBuf),
    /// The system has no random numbers.
    #[error("the system has no random numbers: {0}")]
    NoRandom(String),
    /// It was sealed with another key, for another use, or changed since.
    #[error("what was sealed cannot be opened with this store key: it was sealed for something else or changed")]
    NotOpened,
    /// The store is sealed with another key.
    #[error("the store is sealed with another store key than `{KEY_FILE}`; restore that file from a backup")]
    OtherKey,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// More than can be sealed at once.
    #[error("what is to be sealed is too large")]
    TooLarge,
}

/// The store's key. Wiped from memory when it is dropped.
pub struct StoreKey(Zeroizing<[u8; KEY_BYTES]>);

impl StoreKey {
    /// The key of a data directory; made when there is none.
    ///
    /// # Errors
    /// When the file cannot be read or made, is not a key, or others can read it.
    pub fn open_or_create(data: &Path) -> Result<Self, SealError> {
        let path = data.join(KEY_FILE);
        match File::open(&path) {
            Ok(file) => Self::read(file, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(data, &path),
            Err(source) => Err(SealError::Unreadable { path, source }),
        }
    }

    /// Checks the file that was opened, not the path: what is read is what was checked.
    fn read(mut file: File, path: &Path) -> Result<Self, SealError> {
        let unreadable = |source| SealError::Unreadable { path: path.to_owned(), source };
        let found = file.metadata().map_err(unreadable)?;
        if found.mode() & 0o077 != 0 {
            return Err(SealError::Exposed(path.to_owned()));
        }
        if !found.is_file() || usize::try_from(found.len()) != Ok(KEY_BYTES) {
            return Err(SealError::NotAKey(path.to_owned()));
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        file.read_exact(key.as_mut_slice()).map_err(unreadable)?;
        Ok(Self(key))
    }

    /// Makes a key, durable with its name before it is used: what is sealed with a key that is lost is lost.
    fn create(data: &Path, path: &Path) -> Result<Self, SealError> {
        let key = Self(random()?);
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).and_then(|mut file| {
            let written = file.write_all(key.0.as_slice()).and_then(|()| file.sync_all());
            // Half a key would be refused for ever.
            written.inspect_err(|_| drop(fs::remove_file(path)))
        });
        written
            .and_then(|()| File::open(data)?.sync_all())
            .map_err(|source| SealError::Unreadable { path: path.to_owned(), source })?;
        Ok(key)
    }

    /// Makes sure that a store is sealed with this key: a new store from now on. Blocks; for starting up. Without it, a
    /// key's file that went missing would be made anew, and what was sealed found unreadable one by one.
    ///
    /// # Errors
    /// [`SealError::OtherKey`] when the store is sealed with another; when the store cannot say.
    pub fn check_store(&self, store: &Store) -> Result<(), SealError> {
        let own = self.mac("sealed-with", &[]).to_vec();
        let key = Key::new(Prefix::Meta).text(SEALED_WITH);
        store.commit_blocking(move |tx| match tx.get(&key)? {
            None => {
                tx.put(key, own);
                Ok(())
            }
            Some(kept) if kept == own => Ok(()),
            Some(_) => Err(SealError::OtherKey),
        })
    }

    /// HMAC-SHA256 over parts, under the label's key. Each part goes in with its length (u64, big-endian) before it, so
    /// that no two lists of parts are the same bytes.
    #[must_use]
    pub fn mac(&self, label: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = hmac(self.derived("mac", label).as_slice());
        for part in parts {
            add(&mut mac, part);
        }
        mac.finalize().into_bytes().into()
    }

    /// Seals bytes: a random nonce, then what XChaCha20-Poly1305 makes of them. `aad` is bound to it and not kept in it:
    /// say where the sealed bytes belong, such as their key in the store, so that they cannot be moved.
    ///
    /// # Errors
    /// When the system has no random numbers, or for more than 256 GiB.
    pub fn seal(&self, label: &str, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        let nonce: Zeroizing<[u8; NONCE_BYTES]> = random()?;
        let payload = Payload { msg: plaintext, aad };
        let sealed = self.cipher(label).encrypt(&XNonce::from(*nonce), payload).map_err(|_| SealError::TooLarge)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`StoreKey::seal`] made, with the same label and `aad`.
    ///
    /// # Errors
    /// [`SealError::NotOpened`] when any of it is different.
    pub fn open(&self, label: &str, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (nonce, msg) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::NotOpened)?;
        let opened = self.cipher(label).decrypt(&XNonce::from(*nonce), Payload { msg, aad });
        opened.map(Zeroizing::new).map_err(|_| SealError::NotOpened)
    }

    fn cipher(&self, label: &str) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&(*self.derived("seal", label)).into())
    }

    /// The key of a label, for a purpose.
    fn derived(&self, purpose: &str, label: &str) -> Zeroizing<[u8; KEY_BYTES]> {
        let mut mac = hmac(self.0.as_slice());
        add(&mut mac, purpose.as_bytes());
        add(&mut mac, label.as_bytes());
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

impl std::fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreKey(…)")
    }
}

/// The SHA-256 of bytes, in lower-case hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104): there is no error to return")]
fn hmac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("a key of any length")
}

fn add(mac: &mut Hmac<Sha256>, part: &[u8]) {
    mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
    mac.update(part);
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, SealError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|error| SealError::NoRandom(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn key() -> (tempfile::TempDir, StoreKey) {
        let dir = tempfile::tempdir().unwrap();
        let key = StoreKey::open_or_create(dir.path()).unwrap();
        (dir, key)
    }

    #[test]
    fn what_is_sealed_opens_again_and_only_as_it_was() {
        let (dir, key) = key();
        let sealed = key.seal("answer", b"where", b"hello").unwrap();
        assert!(!sealed.windows(5).any(|window| window == b"hello"));
        assert_eq!(key.open("answer", b"where", &sealed).unwrap().as_slice(), b"hello");
        let again = StoreKey::open_or_create(dir.path()).unwrap();
        assert_eq!(again.open("answer", b"where", &sealed).unwrap().as_slice(), b"hello");

        assert!(matches!(key.open("arguments", b"where", &sealed), Err(SealError::NotOpened)));
        assert!(matches!(key.open("answer", b"elsewhere", &sealed), Err(SealError::NotOpened)));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(matches!(key.open("answer", b"where", &changed), Err(SealError::NotOpened)), "byte {at}");
            assert!(matches!(key.open("answer", b"where", &sealed[..at]), Err(SealError::NotOpened)), "{at} bytes");
        }
        let other = tempfile::tempdir().unwrap();
        let other = StoreKey::open_or_create(other.path()).unwrap();
        assert!(matches!(other.open("answer", b"where", &sealed), Err(SealError::NotOpened)));
    }

    #[test]
    fn the_same_is_never_sealed_the_same() {
        let (_dir, key) = key();
        assert_ne!(key.seal("a", b"", b"x").unwrap(), key.seal("a", b"", b"x").unwrap());
        assert_eq!(key.open("a", b"", &key.seal("a", b"", b"").unwrap()).unwrap().as_slice(), b"");
    }

    #[test]
    fn a_mac_depends_on_the_key_the_label_and_where_parts_end() {
        let (_dir, key) = key();
        let mac = key.mac("fingerprint", &[b"ab", b"c"]);
        assert_eq!(mac, key.mac("fingerprint", &[b"ab", b"c"]));
        assert_ne!(mac, key.mac("fingerprint", &[b"a", b"bc"]));
        assert_ne!(mac, key.mac("fingerprint", &[b"abc"]));
        assert_ne!(mac, key.mac("fingerprint", &[b"ab", b"c", b""]));
        assert_ne!(mac, key.mac("other", &[b"ab", b"c"]));
        let (_other_dir, other) = self::key();
        assert_ne!(mac, other.mac("fingerprint", &[b"ab", b"c"]));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let (dir, _key) = key();
        let path = dir.path().join(KEY_FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o660, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = StoreKey::open_or_create(dir.path()).unwrap_err();
            assert!(error.to_string().contains(&format!("`chmod 600 {}`", path.display())), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        StoreKey::open_or_create(dir.path()).unwrap();
    }

    #[test]
    fn a_file_that_is_no_key_is_refused() {
        let (dir, _key) = key();
        let path = dir.path().join(KEY_FILE);
        for length in [0, 31, 33] {
            fs::write(&path, vec![0; length]).unwrap();
            assert!(matches!(StoreKey::open_or_create(dir.path()), Err(SealError::NotAKey(_))), "{length}");
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(matches!(StoreKey::open_or_create(dir.path()), Err(SealError::NotAKey(_))));
    }

    #[test]
    fn a_store_knows_its_key() {
        let (dir, key) = key();
        let store = Store::open(dir.path(), crate::store::Options::default()).unwrap();
        key.check_store(&store).unwrap();
        key.check_store(&store).unwrap();
        fs::remove_file(dir.path().join(KEY_FILE)).unwrap();
        let made_anew = StoreKey::open_or_create(dir.path()).unwrap();
        assert!(matches!(made_anew.check_store(&store), Err(SealError::OtherKey)));
    }

    #[test]
    fn nothing_is_told_of_the_key() {
        let (_dir, key) = key();
        assert_eq!(format!("{key:?}"), "StoreKey(…)");
    }

    #[test]
    fn a_known_digest() {
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
