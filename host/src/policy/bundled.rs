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

const BUNDLED: &[Bundled] = &[
    bundled!("allowlist"),
    bundled!("approvals"),
    bundled!("quiet-hours"),
    bundled!("rbac"),
    bundled!("spending-caps"),
];
const NAMES: &[&str] = &["allowlist", "approvals", "quiet-hours", "rbac", "spending-caps"];

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

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::json::{Bounds, Value, parse};
    use crate::policy::build::{built_from, sources};

    fn policies() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies")
    }

    #[test]
    fn each_policy_of_the_repository_is_bundled_once() {
        let crates = std::fs::read_dir(policies()).unwrap().map(|entry| entry.unwrap().path());
        let mut crates: Vec<_> = crates
            .filter(|path| path.join("Cargo.toml").is_file())
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        crates.sort();
        assert_eq!(crates, names());
        assert_eq!(BUNDLED.iter().map(|bundled| bundled.name).collect::<Vec<_>>(), names());
        let kept = std::fs::read_dir(policies().join("dist")).unwrap().map(|entry| entry.unwrap().file_name());
        let mut kept: Vec<_> = kept.map(|name| name.to_string_lossy().into_owned()).collect();
        kept.sort();
        assert_eq!(kept, names().iter().map(|name| format!("{name}.wasm")).collect::<Vec<_>>());
    }

    #[test]
    fn the_kept_components_are_built_from_the_sources_that_are_here() {
        for name in names() {
            let kept = built_from(component(name).unwrap()).map(|from| from.sources);
            let here = sources(&policies().join(name)).unwrap();
            assert_eq!(
                kept.as_ref(),
                Some(&here),
                "policies/dist/{name}.wasm is stale: run scripts/build-policies.sh and commit what it writes"
            );
        }
    }

    #[test]
    fn the_components_import_nothing_but_the_contract() {
        for name in names() {
            let engine = wasmtime::Engine::default();
            let component = wasmtime::component::Component::new(&engine, component(name).unwrap()).unwrap();
            let kind = component.component_type();
            let contract =
                ["types", "json", "arguments", "facts"].map(|part| format!("portcullis:policy/{part}@0.1.0"));
            let types = ["call", "tool", "principal", "verdict", "visibility", "description", "problem"];
            for (import, _) in kind.imports(&engine) {
                let known = contract.iter().any(|part| part == import) || types.contains(&import);
                assert!(known, "`{name}` imports `{import}`");
            }
            let exports: Vec<_> = kind.exports(&engine).map(|(export, _)| export.to_owned()).collect();
            for export in ["describe", "configure", "evaluate", "visible"] {
                assert!(exports.iter().any(|found| found == export), "`{name}` does not export `{export}`");
            }
        }
    }

    #[test]
    fn schemas_are_schemas_and_accept_the_settings_that_the_policies_accept() {
        for name in names() {
            let schema: serde_json::Value = serde_json::from_str(schema(name).unwrap()).unwrap();
            jsonschema::meta::validate(&schema).unwrap();
            let schema = jsonschema::validator_for(&schema).unwrap();
            // The gate's own reader: the vectors have numbers that no double holds.
            let bounds = Bounds { bytes_max: 1 << 20, depth_max: 64, values_max: 100_000 };
            let vectors = parse(vectors(name).unwrap().as_bytes(), bounds).unwrap();
            let accepts = |settings: &Value| schema.is_valid(&settings.to_lossy());
            assert!(accepts(vectors.get("settings").unwrap()), "`{name}`");
            let Some(Value::Array(cases)) = vectors.get("cases") else { panic!("no cases") };
            let mut refused = 0;
            for case in cases {
                let Some(settings) = case.get("settings") else { continue };
                let bad = case.get("expect").unwrap().get("problems").is_some();
                assert!(bad || accepts(settings), "`{name}`, {:?}", case.get("name"));
                refused += usize::from(bad && !accepts(settings));
            }
            // Not all: that one role inherits another that is unknown is beyond a schema.
            assert!(refused > 5, "`{name}` has a schema that refuses only {refused} of the bad settings");
        }
    }

    #[test]
    fn what_is_not_bundled_is_not_there() {
        assert!(component("rbac.wasm").is_none() && vectors("").is_none() && schema("../rbac").is_none());
    }
}
