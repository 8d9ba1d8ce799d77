//! The policies that come with the gate, as components.
//!
//! They are kept built, so that neither running the gate nor testing it needs a WebAssembly toolchain. Each carries the
//! digest of the sources it was built from ([`super::build::sources`]), and a test fails when they have moved on.

/// Everything of one bundled policy.
struct Bundled {
    name: &'static str,
    component: &'static [u8],
    vectors: &'static str,
    schema: &'static str,
}

macro_rules! bundled {
    ($name:literal) => {
        Bundled {
            name: $name,
            component: include_bytes!(concat!("../../../policies/dist/", $name, ".wasm")),
            vectors: include_str!(concat!("../../../policies/", $name, "/vectors.json")),
            schema: include_str!(concat!("../../../policies/", $name, "/settings.schema.json")),
        }
    };
}

const BUNDLED: &[Bundled] = &[bundled!("rbac")];
const NAMES: &[&str] = &["rbac"];

fn find(name: &str) -> Option<&'static Bundled> {
    BUNDLED.iter().find(|bundled| bundled.name == name)
}

/// The names of all bundled policies: what may follow `bundled:` in `policies.toml`.
#[must_use]
pub fn names() -> &'static [&'static str] {
    NAMES
}

/// The component of a bundled policy.
#[must_use]
pub fn component(name: &str) -> Option<&'static [u8]> {
    find(name).map(|bundled| bundled.component)
}

/// The test vectors of a bundled policy, as JSON.
#[must_use]
pub fn vectors(name: &str) -> Option<&'static str> {
    find(name).map(|bundled| bundled.vectors)
}

/// The JSON Schema of a bundled policy's settings.
#[must_use]
pub fn schema(name: &str) -> Option<&'static str> {
    find(name).map(|bundled| bundled.schema)
}
