//! Builds the bundled policies again, or with `--check` tells whether the kept components are what their sources give.
//! `scripts/build-policies.sh` runs it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool of the repository, read by people and CI")]

use std::path::Path;
use std::process::ExitCode;

use portcullis::policy::build::{BuildError, build, digest};
use portcullis::policy::bundled;

fn main() -> ExitCode {
    let check = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => {
            eprintln!("use: scripts/build-policies.sh [--check]");
            return ExitCode::from(2);
        }
    };
    let mut same = true;
    for name in bundled::names() {
        match one(name, check) {
            Ok(fine) => same &= fine,
            Err(error) => {
                eprintln!("{name}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    if same { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(name: &str, check: bool) -> Result<bool, BuildError> {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let kept = policies.join("dist").join(name).with_added_extension("wasm");
    let scratch = std::env::temp_dir().join(format!("portcullis-{}-{name}.wasm", std::process::id()));
    let built = build(&policies.join(name), Some(if check { &scratch } else { &kept }))?;
    println!("{name}: {} bytes, {}", built.bytes, built.digest);
    println!("{name}: from {} by {}", built.from.sources, built.from.rustc);
    if !check {
        return Ok(true);
    }
    let _ = std::fs::remove_file(&scratch);
    let found = std::fs::read(&kept).map(|bytes| digest(&bytes)).unwrap_or_default();
    if found == built.digest {
        return Ok(true);
    }
    eprintln!("{name}: policies/dist/{name}.wasm is {found}; run scripts/build-policies.sh and commit what it writes");
    Ok(false)
}
