//! The policies that come with the gate.

/// A bundled component.
#[must_use]
pub fn component(_name: &str) -> Option<&'static [u8]> {
    None
}

/// The names of all bundled policies.
#[must_use]
pub fn names() -> &'static [&'static str] {
    &[]
}

/// The test vectors of a bundled policy.
#[must_use]
pub fn vectors(_name: &str) -> Option<&'static str> {
    None
}
