//! The demo: it tells the whole story, and what it leaves running can be used.
use crate::harness::{guest, here};

#[test]
fn the_endless_policy_is_what_its_source_says() {
    let path = here().join("../host/src/cli/demo/loop-evaluate.wasm");
    let built = guest::component("hostile/loop-evaluate.wat");
    if std::env::var_os("PORTCULLIS_BUILD_DEMO").is_some() { std::fs::write(&path, &built).unwrap(); }
    assert!(std::fs::read(path).unwrap() == built);
}
