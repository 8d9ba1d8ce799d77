//! Who owns which keys: one prefix for each kind of thing, and keys whose byte order is the order of their parts.

/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;

/// The key under [`Prefix::Meta`] of the last group that is in the state.
pub(super) const APPLIED: &str = "applied";

/// The key under [`Prefix::Meta`] that counts openings.
pub(super) const BOOT: &str = "boot";

/// The key under [`Prefix::Meta`] that says which store key the store is sealed with.
pub(crate) const SEALED_WITH: &str = "sealed-with";

/// The first bytes of every key, one for each kind of thing that is kept. None is the beginning of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// The store's own counters, and those that belong to no layer. `applied`, `boot` and `sealed-with` are taken.
    Meta,
    /// Agents, by id.
    Agent,
    /// Persons (owners, approvers, auditors), by id.
    Person,
    /// Which principal a credential belongs to, by the credential's digest.
    Credential,
    /// Idempotency keys: what was answered, by agent and key.
    IdempotencyKey,
    /// Calls that have a permit and no outcome, by id.
    OpenCall,
    /// When answered idempotency keys expire, by time, agent and key.
    Expiry,
    /// Fingerprints of calls that are in flight or unknown, by agent and fingerprint.
    Twin,
    /// What is kept of each call, by id.
    Call,
    /// Entries of accounts: reservations and settlements.
    Ledger,
    /// Audit entries, by index.
    AuditEntry,
    /// Nodes of the audit tree, by level and index.
    AuditNode,
    /// Policy sets, by generation.
    Policy,
    /// The components of policy sets, by digest.
    Component,
    /// Approvals, by id.
    Approval,
    /// Which approvals there are of a call, by agent, fingerprint and id.
    ApprovalOf,
    /// When approvals end and leave, by time and id.
    ApprovalExpiry,
    /// The limits that the last charge came with, by account and currency.
    Limit,
    /// Accepted definitions of tools, by server and tool.
    Pin,
}

impl Prefix {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Meta,
        Self::Agent,
        Self::Person,
        Self::Credential,
        Self::IdempotencyKey,
        Self::OpenCall,
        Self::Expiry,
        Self::Twin,
        Self::Call,
        Self::Ledger,
        Self::AuditEntry,
        Self::AuditNode,
        Self::Policy,
        Self::Component,
        Self::Approval,
        Self::ApprovalOf,
        Self::ApprovalExpiry,
        Self::Limit,
        Self::Pin,
    ];

    /// The bytes that every key of this kind begins with.
    #[must_use]
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Meta => b"meta/",
            Self::Agent => b"agent/",
            Self::Person => b"person/",
            Self::Credential => b"credential/",
            Self::IdempotencyKey => b"key/",
            Self::OpenCall => b"open/",
            Self::Expiry => b"expiry/",
            Self::Twin => b"twin/",
            Self::Call => b"call/",
            Self::Ledger => b"ledger/",
            Self::AuditEntry => b"audit/e/",
            Self::AuditNode => b"audit/n/",
            Self::Policy => b"policy/",
            Self::Component => b"component/",
            Self::Approval => b"approval/r/",
            Self::ApprovalOf => b"approval/o/",
            Self::ApprovalExpiry => b"approval/e/",
            Self::Limit => b"limit/",
            Self::Pin => b"pin/",
        }
    }
}

/// A key, built part by part so that keys sort as their parts do.
///
/// A text ends with a NUL; inside it, NUL is written `01 01` and the character 1 `01 02`. A number is eight bytes, the
/// most significant first. So no text runs into what follows it, and "everything beneath" is a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl Key {
    /// The beginning of a key.
    #[must_use]
    pub fn new(prefix: Prefix) -> Self {
        Self(prefix.as_bytes().to_vec())
    }

    /// Adds a text.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        for byte in text.bytes() {
            match byte {
                0 | 1 => self.0.extend([1, byte.saturating_add(1)]),
                byte => self.0.push(byte),
            }
        }
        self.0.push(0);
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// Adds bytes as they are: of a fixed length, or as the last part.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// From here up to, not including, the first key that does not begin with this one: what to hand to `scan`.
    #[must_use]
    pub fn range(&self) -> (Vec<u8>, Vec<u8>) {
        (self.0.clone(), prefix_end(&self.0))
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl std::ops::Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Key> for Vec<u8> {
    fn from(key: Key) -> Self {
        key.0
    }
}

/// The first key after all that begin with a prefix. For the empty prefix, and one of bytes 255 alone, a key after all
/// keys that the store takes.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end;
        }
    }
    vec![u8::MAX; KEY_BYTES_MAX.saturating_add(1)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_prefix_is_the_beginning_of_another() {
        for (i, a) in Prefix::ALL.iter().enumerate() {
            for b in &Prefix::ALL[i + 1..] {
                assert!(!a.as_bytes().starts_with(b.as_bytes()), "{a:?} {b:?}");
                assert!(!b.as_bytes().starts_with(a.as_bytes()), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn prefix_end_is_right_after() {
        assert_eq!(prefix_end(b"a/"), b"a0");
        assert_eq!(prefix_end(&[1, 255, 255]), [2]);
        assert_eq!(prefix_end(&[]).len(), KEY_BYTES_MAX + 1);
        assert!(prefix_end(&[255]) > vec![255; KEY_BYTES_MAX]);
    }

    fn text() -> impl Strategy<Value = String> {
        proptest::collection::vec(prop_oneof![Just('\0'), Just('\u{1}'), Just('\u{2}'), Just('a'), Just('é')], 0..5)
            .prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn keys_sort_as_their_parts(a in text(), b in text(), m: u64, n: u64, c in text(), d in text()) {
            let left = Key::new(Prefix::Ledger).text(&a).number(m).text(&c);
            let right = Key::new(Prefix::Ledger).text(&b).number(n).text(&d);
            prop_assert_eq!(left.as_ref().cmp(right.as_ref()), (&a, m, &c).cmp(&(&b, n, &d)));

            let (from, to) = Key::new(Prefix::Ledger).text(&a).range();
            let inside = from.as_slice() <= right.as_ref() && right.as_ref() < to.as_slice();
            prop_assert_eq!(inside, a == b);
        }
    }
}
