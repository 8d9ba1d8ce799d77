//! What a decision costs. Run by hand:
//! `PORTCULLIS_MEASURE=policy.wasm PORTCULLIS_SETTINGS='{…}' cargo test --release --lib policy::tests::measure -- --ignored --nocapture`

use super::*;
use std::time::Instant;

const ROUNDS: usize = 20_000;

fn timed(mut decide: impl FnMut()) -> (f64, f64) {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            #[expect(clippy::disallowed_methods, reason = "a measurement")]
            let started = Instant::now();
            decide();
            started.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[ROUNDS / 2], times[ROUNDS * 99 / 100])
}

#[test]
#[ignore = "measures, and asserts nothing about time"]
fn a_decision() {
    let bytes = match std::env::var_os("PORTCULLIS_MEASURE") {
        Some(path) => std::fs::read(path).unwrap(),
        None => guest("counter.wat"),
    };
    let settings = std::env::var("PORTCULLIS_SETTINGS").unwrap_or_else(|_| "{}".into());
    println!("pagemap scan: {}, threads: {}", engine().keeps_resident(), engine().threads());
    let loaded = load(&bytes, &settings).unwrap();
    println!(
        "{} {}, not snapshotted: {:?}",
        loaded.description.name, loaded.description.version, loaded.not_snapshotted
    );
    let examined = load::run(engine(), {
        let (bytes, settings): (Arc<[u8]>, String) = (bytes.into(), settings.clone());
        move |engine| load::examined(engine, &bytes, &settings)
    });
    let each_time = examined.unwrap().fresh.sandbox.configured_each_time(settings.into());
    let call = call(r#"{"title":"a deal","price":"1099.10","currency":"EUR"}"#);
    let input = sandbox::Input {
        call: judge::said(&call),
        arguments: Arc::new(arguments::Arguments::of(&call).unwrap()),
        facts: Arc::new(NoFacts),
        zones: None,
        seed: [0; 16],
    };
    println!("verdict: {:?}", loaded.sandbox.evaluate(&input).0);
    for _ in 0..2 {
        for (name, sandbox) in [("from the snapshot", &loaded.sandbox), ("configured each time", &each_time)] {
            let (p50, p99) = timed(|| assert!(sandbox.evaluate(&input).0.is_ok()));
            println!("{name}: p50 {p50:.1} µs, p99 {p99:.1} µs");
        }
    }
}
