use std::fs;
use std::path::Path;

use super::*;

const LOCK: &str = r#"
version = 4
[[package]]
name = "short"
version = "0.1.0"
dependencies = ["serde", "helper", "only-tests"]
[[package]]
name = "helper"
version = "0.1.0"
dependencies = ["deep 2.0.0"]
[[package]]
name = "serde"
version = "1.0.0"
source = "registry"
checksum = "aa"
dependencies = ["deep 1.0.0"]
[[package]]
name = "deep"
version = "1.0.0"
source = "registry"
checksum = "bb"
[[package]]
name = "deep"
version = "2.0.0"
source = "registry"
checksum = "cc"
[[package]]
name = "only-tests"
version = "1.0.0"
source = "registry"
checksum = "dd"
"#;

/// A workspace with a policy that takes a crate by path and packages from elsewhere.
fn checkout() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "Cargo.toml",
        "[workspace]\nmembers = [\"short\"]\n[workspace.package]\nedition = \"2024\"\n[workspace.dependencies]\nhelper = { path = \"helper\" }\nother = \"1\"\n",
    );
    write("Cargo.lock", LOCK);
    write(
        "short/Cargo.toml",
        "[package]\nname = \"short\"\nedition.workspace = true\n[dependencies]\nserde = \"1\"\nhelper.workspace = true\n[dev-dependencies]\nonly-tests = \"1\"\n",
    );
    write("short/src/lib.rs", "// one");
    write("short/src/deep/er.rs", "// two");
    write("short/vectors.json", "{}");
    write("short/settings.schema.json", "{}");
    write("helper/Cargo.toml", "[package]\nname = \"helper\"\n[dependencies]\ndeep = \"2\"\n");
    write("helper/src/lib.rs", "// three");
    write("wit/policy.wit", "// four");
    std::os::unix::fs::symlink("../wit", root.path().join("helper/wit")).unwrap();
    root
}

fn edit(root: &Path, path: &str, from: &str, to: &str) {
    let path = root.join(path);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_digest_does_not_depend_on_where_the_sources_are() {
    let (here, there) = (checkout(), checkout());
    let digest = sources(&here.path().join("short")).unwrap();
    assert_eq!(digest, sources(&there.path().join("short")).unwrap());
    assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
}

#[test]
fn whatever_decides_the_component_changes_the_digest() {
    let before = sources(&checkout().path().join("short")).unwrap();
    for (path, from, to) in [
        ("short/src/lib.rs", "one", "1"),
        ("short/src/deep/er.rs", "two", "2"),
        ("short/Cargo.toml", "serde = \"1\"", "serde = \"1.0\""),
        ("short/settings.schema.json", "{}", "{ }"),
        ("helper/src/lib.rs", "three", "3"),
        ("wit/policy.wit", "four", "4"),
        ("Cargo.toml", "2024", "2021"),
        ("Cargo.toml", "{ path = \"helper\" }", "{ path = \"helper\", features = [] }"),
        ("Cargo.lock", "\"aa\"", "\"ab\""),
        ("Cargo.lock", "\"bb\"", "\"ab\""),
        ("Cargo.lock", "\"cc\"", "\"ab\""),
    ] {
        let root = checkout();
        edit(root.path(), path, from, to);
        assert_ne!(before, sources(&root.path().join("short")).unwrap(), "{path}: {from}");
    }
    let moved = checkout();
    fs::rename(moved.path().join("short/src/deep/er.rs"), moved.path().join("short/src/deep/est.rs")).unwrap();
    assert_ne!(before, sources(&moved.path().join("short")).unwrap());
}

#[test]
fn what_does_not_decide_the_component_leaves_the_digest() {
    let before = sources(&checkout().path().join("short")).unwrap();
    for (path, from, to) in [
        ("short/vectors.json", "{}", "{ }"),
        ("Cargo.toml", "other = \"1\"", "other = \"2\""),
        ("Cargo.lock", "\"dd\"", "\"ab\""),
    ] {
        let root = checkout();
        edit(root.path(), path, from, to);
        assert_eq!(before, sources(&root.path().join("short")).unwrap(), "{path}: {from}");
    }
}

#[test]
fn links_in_a_circle_end() {
    let root = checkout();
    std::os::unix::fs::symlink("..", root.path().join("short/src/up")).unwrap();
    assert!(matches!(sources(&root.path().join("short")), Err(SourcesError::TooDeep(_))));
}

#[test]
fn what_was_appended_is_read_back_and_the_rest_stays() {
    let from = BuiltFrom { sources: "sha256:00".into(), rustc: "rustc 1.95.0".into() };
    let bundled = crate::policy::bundled::component("rbac").unwrap();
    for before in [b"\0asm\x0d\0\x01\0".as_slice(), b"\0asm\x0d\0\x01\0\0\x02\x01x"] {
        let mut component = before.to_vec();
        assert_eq!(built_from(&component), None);
        section::append(&mut component, &from);
        assert!(component.starts_with(before));
        assert_eq!(built_from(&component), Some(from.clone()));
    }
    assert!(built_from(bundled).is_some());
    // Nothing that is cut off, and nothing that is no component at all, is read as one.
    let start = bundled.len() - 200;
    assert!((start..bundled.len()).all(|end| built_from(&bundled[..end]).is_none()));
    for junk in
        [b"".as_slice(), b"\0asm", b"\0asm\x0d\0\x01\0\0\xff\xff\xff\xff\xff\xff", b"\0asm\x0d\0\x01\0\0\x01\x7f"]
    {
        assert_eq!(built_from(junk), None);
    }
}

#[test]
fn the_component_goes_beside_the_others_of_a_repository_or_into_the_crate() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("short-titles");
    assert_eq!(default_out(&dir), dir.join("dist/short-titles.wasm"));
    fs::create_dir(root.path().join("dist")).unwrap();
    assert_eq!(default_out(&dir), root.path().join("dist/short-titles.wasm"));
}

#[test]
fn a_folder_that_is_no_policy_crate_says_so() {
    let root = tempfile::tempdir().unwrap();
    assert!(matches!(build(root.path(), None), Err(BuildError::NotACrate(_))));
    assert!(matches!(build(&root.path().join("none"), None), Err(BuildError::File { .. })));
}
