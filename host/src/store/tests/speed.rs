//! How fast it is here: `cargo test … speed -- --ignored --nocapture`.

use super::*;
use crate::clock::Clock;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a test"]
async fn acknowledged_commits_per_second() {
    let dir = folder();
    let store = open(dir.path());
    let clock = Clock::system();
    for (committers, each) in [(1_u64, 2000_u64), (64, 250), (1, 2000), (64, 250)] {
        let start = clock.monotonic();
        let tasks: Vec<_> = (0..committers)
            .map(|committer| {
                let store = store.clone();
                crate::task::spawn("commit", async move {
                    for n in 0..each {
                        let key = Key::new(Prefix::Call).number(committer).number(n);
                        store
                            .commit(move |tx| {
                                tx.put(key, vec![7; 400]);
                                Ok::<_, StoreError>(())
                            })
                            .await
                            .unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let took = clock.monotonic() - start;
        let rate = (committers * each) as f64 / took.as_secs_f64();
        println!("{committers} committers: {rate:.0} commits/s");
    }
}
