//! `kill -9` at any moment: what was acknowledged is there.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::*;

/// Set in the process that is killed: where its store is.
const CHILD: &str = "PORTCULLIS_TEST_STORE";

#[test]
fn a_killed_process_loses_nothing_that_it_said() {
    if let Some(dir) = std::env::var_os(CHILD) {
        commit_until_killed(Path::new(&dir));
    }
    let dir = folder();
    let mut said = 0;
    for round in 0..5_u64 {
        said = run_and_kill(dir.path(), 20 + round * 37).max(said);
        let store = open(dir.path());
        for n in 1..=said {
            assert_eq!(store.get_json::<u64>(&Key::new(Prefix::Ledger).number(n)).unwrap(), Some(n), "round {round}");
        }
    }
    assert!(said > 100);
}

/// Starts this test in another process, kills it after so many lines; the last number it said.
fn run_and_kill(dir: &Path, lines: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::kill::a_killed_process_loses_nothing_that_it_said", "--nocapture"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut seen = 0;
    let mut last = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).split(b'\n') {
        let line = String::from_utf8(line.unwrap()).unwrap();
        if let Some(number) = line.strip_prefix("acknowledged ").and_then(|rest| rest.strip_suffix('.')) {
            last = number.parse().unwrap();
            seen += 1;
            if seen == lines {
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    assert!(seen >= lines, "the process ended by itself");
    last
}

fn commit_until_killed(dir: &Path) -> ! {
    // Small segments and quick flushes, so that the kill hits them too.
    let options = Options { segment_bytes_max: 2000, flush_interval: Duration::from_millis(3), ..Options::default() };
    let store = Store::open(dir, options).unwrap();
    let mut out = std::io::stdout();
    loop {
        let done: Result<u64, StoreError> = store.commit_blocking(|tx| {
            let counter = Key::new(Prefix::Meta).text("test");
            let n = tx.get_json::<u64>(&counter)?.unwrap_or(0) + 1;
            tx.put_json(counter, &n)?;
            tx.put_json(Key::new(Prefix::Ledger).number(n), &n)?;
            Ok(n)
        });
        writeln!(out, "\nacknowledged {}.", done.unwrap()).unwrap();
        out.flush().unwrap();
    }
}
