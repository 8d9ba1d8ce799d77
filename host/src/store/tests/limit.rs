//! A disk that takes no more in the middle of sled's flush: a process that may not make large files.

use std::process::Command;

use super::*;

/// Set in the process that has the limit: where its store is.
const CHILD: &str = "PORTCULLIS_TEST_LIMITED_STORE";

#[test]
fn a_flush_that_fails_shuts_the_store_and_loses_nothing() {
    if let Some(dir) = std::env::var_os(CHILD) {
        commit_until_refused(Path::new(&dir));
    }
    let dir = folder();
    let output = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; ulimit -f 400; exec "$0" "$@""#])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::limit::a_flush_that_fails_shuts_the_store_and_loses_nothing", "--nocapture"])
        .env(CHILD, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "it ended badly: {:?}\n{said}", output.status);
    let acknowledged: u64 =
        said.lines().find_map(|line| line.strip_prefix("acknowledged ")).expect("a number").parse().unwrap();
    assert!(acknowledged > 0, "{said}");

    let store = open(dir.path());
    for n in 1..=acknowledged {
        assert_eq!(
            store.get(&Key::new(Prefix::Ledger).number(n)).unwrap().unwrap().len(),
            1000,
            "{n} of {acknowledged}"
        );
    }
    put(&store, "and on", b"").unwrap();
}

/// The journal's files are small enough for the limit; sled's are not.
fn commit_until_refused(dir: &Path) -> ! {
    let options = Options { segment_bytes_max: 50_000, flush_interval: Duration::from_millis(5), ..Options::default() };
    let store = Store::open(dir, options).unwrap();
    let mut acknowledged = 0_u64;
    let refused = loop {
        let n = acknowledged + 1;
        let mut value = vec![0; 1000];
        getrandom::fill(&mut value).unwrap();
        let done: Result<(), StoreError> = store.commit_blocking(move |tx| {
            tx.put(Key::new(Prefix::Ledger).number(n), value);
            Ok(())
        });
        match done {
            Ok(()) => acknowledged = n,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Unreadable(_)), "{refused}");
    assert!(matches!(store.health(), Err(StoreError::Unreadable(_))));
    drop(store);
    println!("\nacknowledged {acknowledged}");
    std::process::exit(0)
}
