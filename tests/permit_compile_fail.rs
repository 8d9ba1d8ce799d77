//! A call that skips a layer cannot be written: these programs do not compile, for the right reason.
//!
//! Each case in `tests/compile-fail` says on the line of its error, after `//~`, which one it is. A case without any is
//! a program that compiles: the twin that shows that the others fail for what they try.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::here;

/// The library that this program was linked with: the newest one beside it.
fn library(folder: &Path) -> PathBuf {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let ours = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("libportcullis-") && name.ends_with(".rlib")
    };
    entries.filter(ours).max_by_key(|path| path.metadata().unwrap().modified().unwrap()).expect("the library was built")
}

/// Line and code of each error.
fn errors(case: &Path, folder: &Path, library: &Path) -> BTreeSet<(u64, String)> {
    let out = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()))
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--error-format=json", "--cap-lints=allow"])
        .arg(format!("--extern=portcullis={}", library.display()))
        .arg(format!("-Ldependency={}", folder.display()))
        .arg("--out-dir")
        .arg(out.path())
        .arg(case)
        .output()
        .unwrap();
    let messages = String::from_utf8(output.stderr).unwrap();
    let found: BTreeSet<_> = messages
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{messages}")))
        .filter(|message| {
            message["level"] == "error" && message["spans"].as_array().is_some_and(|spans| !spans.is_empty())
        })
        .map(|message| {
            let spans = message["spans"].as_array().unwrap();
            let primary = spans.iter().find(|span| span["is_primary"] == true).unwrap();
            (primary["line_start"].as_u64().unwrap(), message["code"]["code"].as_str().unwrap_or("none").to_owned())
        })
        .collect();
    assert_eq!(output.status.success(), found.is_empty(), "{messages}");
    found
}

fn expected(case: &Path) -> BTreeSet<(u64, String)> {
    let text = std::fs::read_to_string(case).unwrap();
    let marked = (1..).zip(text.lines()).filter_map(|(number, line)| Some((number, line.split_once("//~")?.1)));
    marked.map(|(number, code)| (number, code.trim().to_owned())).collect()
}

#[test]
fn cases() {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap();
    let library = library(folder);
    let mut cases: Vec<_> =
        std::fs::read_dir(here().join("compile-fail")).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 5);
    for case in &cases {
        assert_eq!(errors(case, folder, &library), expected(case), "{}", case.display());
    }
    assert!(cases.iter().any(|case| expected(case).is_empty()), "one of them compiles");
}
