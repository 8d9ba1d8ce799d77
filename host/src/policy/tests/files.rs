//! `policies.toml` and what it may name.

use super::*;
use std::fs;

fn problems(policies: &str, components: &[(&str, Vec<u8>)]) -> Vec<String> {
    let dir = directory(policies, components);
    let problems = check(dir.path()).unwrap();
    problems.iter().map(Problem::to_string).collect()
}

#[track_caller]
fn complains(policies: &str, about: &[&str]) {
    let found = problems(policies, &[("good.wasm", guest("good.wat"))]);
    assert_eq!(found.len(), about.len(), "{found:#?}");
    for (found, about) in found.iter().zip(about) {
        assert!(found.contains(about), "{found} does not say {about}");
    }
}

const GOOD: &str = "[[policy]]\nname = 'a'\nmodule = 'good.wasm'\n";

#[test]
fn everything_that_is_wrong_is_said_and_where() {
    complains(GOOD, &[]);
    complains("", &["`policies.toml`: it names no policy"]);
    complains("[[policy", &["`policies.toml`: it is not TOML"]);
    complains("policies = []", &["the key `policies` is unknown: did you mean `policy`?", "it names no policy"]);
    complains("[policy]\nname = 'a'", &["write `[[policy]]`"]);
    complains("[[policy]]\nmodule = 'good.wasm'", &["policy 1 has no `name`"]);
    complains("[[policy]]\nname = 'a'", &["policy `a`: it has no `module`"]);
    complains("[[policy]]\nname = 'a b'\nmodule = 'good.wasm'", &["a name has 1 to 64"]);
    complains(&GOOD.repeat(2), &["policy `a`: another policy has the same name"]);
    complains(&format!("{GOOD}mod = 'x'\nsetings = {{}}"), &["did you mean `mode`?", "did you mean `settings`?"]);
    complains(&format!("{GOOD}mode = 'off'"), &["the mode `off` is unknown"]);
    complains(&format!("{GOOD}tools = []"), &["`tools` is a list of 1"]);
    complains(&format!("{GOOD}tools = ['a', 7]"), &["`tools` is a list of 1"]);
    complains(
        &format!("{GOOD}tools = ['a*', '{{a,b}}']"),
        &["the tool pattern `{a,b}` is none: `{` is no part of one"],
    );
    complains(&format!("{GOOD}tools = ['']"), &["the tool pattern `` is none"]);
    complains(&format!("{GOOD}digest = 'sha256:00'"), &["the digest `sha256:00` is none"]);
    complains(&format!("{GOOD}digest = 'sha256:{}'", "0".repeat(64)), &["is pinned"]);
    complains(&format!("{GOOD}settings = 7"), &["`settings` is no table"]);
    complains(&format!("{GOOD}settings = {{ a = [1979-05-27] }}"), &["the setting `/a/0` is a date"]);
    complains(&format!("{GOOD}settings = {{ 'a/b' = inf }}"), &["the setting `/a~1b` is inf"]);
    complains(&format!("{GOOD}vectors = 7"), &["`vectors` is no string"]);
    complains(&format!("{GOOD}vectors = 'v.json'"), &["the file of vectors `v.json` is missing"]);
    complains(&format!("{GOOD}vectors = '../v.json'"), &["the file of vectors `../v.json` is not allowed"]);
    complains("[[policy]]\nname = 'a'\nmodule = 'bundled:nothing'", &["there is no bundled policy `nothing`"]);
    complains("[[policy]]\nname = 'a'\nmodule = 'none.wasm'", &["the module `none.wasm` is missing"]);
    complains(
        "[[policy]]\nname = 'a'\nmodule = 'none.wasm'\nmode = 'x'\n[[policy]]\nname = 'b'\nmodule = 'other.wasm'",
        &["policy `a`: the mode", "policy `a`: the module `none.wasm`", "policy `b`: the module `other.wasm`"],
    );
}

#[cfg(unix)]
#[test]
fn nothing_outside_of_the_directory_is_read() {
    let outside = tempfile::tempdir().unwrap();
    let module = outside.path().join("good.wasm");
    fs::write(&module, guest("good.wat")).unwrap();
    for path in [module.to_str().unwrap(), "../good.wasm", "sub/../good.wasm", "good.txt"] {
        complains(&format!("[[policy]]\nname = 'a'\nmodule = '{path}'"), &["is not allowed"]);
    }
    let dir = directory("[[policy]]\nname = 'a'\nmodule = 'link.wasm'", &[("good.wasm", guest("good.wat"))]);
    std::os::unix::fs::symlink(&module, dir.path().join("link.wasm")).unwrap();
    let found = check(dir.path()).unwrap();
    assert!(found[0].message.contains("the module `link.wasm` cannot be read"), "{found:?}");
    // A link that stays inside is a file of the directory.
    fs::remove_file(dir.path().join("link.wasm")).unwrap();
    std::os::unix::fs::symlink("good.wasm", dir.path().join("link.wasm")).unwrap();
    assert_eq!(check(dir.path()).unwrap(), []);

    // Nor is a `policies.toml` that is a link out of it.
    fs::write(outside.path().join(FILE), GOOD).unwrap();
    fs::remove_file(dir.path().join(FILE)).unwrap();
    std::os::unix::fs::symlink(outside.path().join(FILE), dir.path().join(FILE)).unwrap();
    assert_eq!(check(dir.path()).unwrap().len(), 1);
}

#[tokio::test]
async fn a_broken_directory_is_no_policy_and_says_why() {
    let missing = tempfile::tempdir().unwrap().path().join("policies");
    let policies = Policies::open(&missing, Clock::system()).unwrap();
    assert!(policies.why().unwrap().contains("is missing; create it"));
    let refusal = policies.set().err().unwrap();
    assert_eq!(refusal.code, Code::NoPolicy);
    assert_eq!(refusal.private, policies.why());
    assert!(!refusal.message.contains("is missing"), "the agent is not told of files");

    let empty = tempfile::tempdir().unwrap();
    let policies = Policies::open(empty.path(), Clock::system()).unwrap();
    let why = policies.why().unwrap();
    assert!(why.contains("`policies.toml`: it is missing; create it"), "{why}");

    let policies = open(
        &format!("{GOOD}[[policy]]\nname = 'b'\nmodule = 'bad.wasm'"),
        &[("good.wasm", guest("good.wat")), ("bad.wasm", b"junk".to_vec())],
    );
    assert!(policies.set().is_err(), "a set is whole, or it is not");
    let why = policies.why().unwrap();
    assert!(why.contains("policy `b`: the module `bad.wasm` does not load: it is not WebAssembly"), "{why}");
}

#[test]
fn the_digest_of_a_set_covers_what_decides() {
    let digest = |policies: &str| {
        let dir = directory(policies, &[("good.wasm", guest("good.wat")), ("counter.wasm", guest("counter.wat"))]);
        inspect::open(engine(), dir.path()).map(|set| set.digest().to_owned()).unwrap()
    };
    let base = digest(GOOD);
    assert_eq!(base, digest(GOOD));
    let two = format!("{GOOD}[[policy]]\nname = 'b'\nmodule = 'counter.wasm'\n");
    let turned = format!("[[policy]]\nname = 'b'\nmodule = 'counter.wasm'\n{GOOD}");
    let mut all = vec![
        base,
        digest(&format!("{GOOD}mode = 'monitor'")),
        digest(&format!("{GOOD}tools = ['x']")),
        digest(&format!("{GOOD}settings = {{ a = 1 }}")),
        digest(&GOOD.replace("good.wasm", "counter.wasm")),
        digest(&two),
        digest(&turned),
    ];
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 7);
}

#[test]
fn a_component_can_be_looked_at() {
    let bytes = guest("unsnapshottable.wat");
    let seen = inspect(&bytes).unwrap();
    assert_eq!((seen.description.name.as_str(), seen.description.version.as_str()), ("wat", "1.0.0"));
    assert_eq!(seen.imports, ["portcullis:policy/types@0.1.0"]);
    assert!(seen.not_snapshotted.unwrap().contains("table.set"));
    assert_eq!(seen.size, bytes.len());
    assert!(seen.sections.iter().any(|section| section.kind == "core module"), "{:?}", seen.sections);
    assert_eq!(inspect(&guest("good.wat")).unwrap().not_snapshotted, None);
}
