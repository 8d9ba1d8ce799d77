use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::call::{Arguments, Origin};
use crate::catalog::Tool;
use crate::identity::Principal;
use crate::ledger::ReserveError;
use crate::store::{Options, Store};

const NOW: Timestamp = Timestamp(1_772_366_400_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

struct Bench {
    layer: Idempotency,
    store: Store,
    key: Arc<StoreKey>,
    _directory: TempDir,
}

struct Of<'a> {
    agent: &'a str,
    tool: &'a str,
    key: Option<&'a str>,
    arguments: &'a str,
    at: Timestamp,
}

const PLAIN: Of<'static> = Of { agent: "ag_1", tool: "pay", key: Some("k"), arguments: r#"{"n":1.10}"#, at: NOW };

impl Of<'_> {
    fn call(&self) -> Call {
        Call {
            id: CorrelationId::random().unwrap(),
            time: self.at,
            principal: Arc::new(Principal::for_test(self.agent, &[])),
            tool: Arc::new(Tool::for_test("s", self.tool)),
            arguments: Arguments::parse(self.arguments.as_bytes()).unwrap(),
            key: self.key.map(|key| IdempotencyKey::parse(key).unwrap()),
            approval: None,
            origin: Origin::Rest,
            address: None,
            request_id: None,
        }
    }
}

impl Bench {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let store = Store::open(&directory.path().join("store"), Options::default()).unwrap();
        let key = Arc::new(StoreKey::open_or_create(directory.path()).unwrap());
        Self { layer: Idempotency::new(Arc::clone(&key)), store, key, _directory: directory }
    }

    fn look(&self, of: &Of<'_>) -> Seen {
        self.layer.look(&self.store, &of.call()).unwrap()
    }

    /// A claimed call, which runs as long as what comes back is kept.
    fn claim(&self, of: &Of<'_>) -> (Open, RunningCall) {
        let call = of.call();
        let running = self.layer.run(call.id);
        let layer = self.layer.clone();
        let claimed = self
            .store
            .commit_blocking(move |tx| layer.claim(tx, &call, None, |_| Ok::<_, ReserveError>(Reservation::default())));
        (claimed.unwrap().unwrap(), running)
    }

    fn answer(&self, open: Open, kept: &Kept, at: Timestamp) {
        let (layer, kept) = (self.layer.clone(), kept.clone());
        self.store.commit_blocking(move |tx| layer.answered(tx, &open, &kept, at)).unwrap();
    }
}

fn kept(text: &str) -> Kept {
    Kept::Result { result: text.into(), is_error: false }
}

#[test]
fn a_key_is_fresh_then_in_flight_then_answered_and_free_again_after_a_day() {
    let bench = Bench::new();
    assert!(matches!(bench.look(&PLAIN), Seen::Fresh(_)));
    let (open, running) = bench.claim(&PLAIN);
    assert!(matches!(bench.look(&PLAIN), Seen::InFlight(first) if first == open.call));
    let first = open.call.clone();
    bench.answer(open, &kept("{}"), NOW);
    drop(running);
    let a_day_on = NOW.plus(DAY);
    let just_before = Of { at: a_day_on.minus(Duration::from_millis(1)), ..PLAIN };
    let Seen::Answered(by, answer) = bench.look(&just_before) else { panic!("expected the answer") };
    assert_eq!((by, answer), (first, kept("{}")));
    assert!(matches!(bench.look(&Of { at: a_day_on, ..PLAIN }), Seen::Fresh(_)));
}

#[test]
fn what_is_the_same_call() {
    let bench = Bench::new();
    let (open, _running) = bench.claim(&PLAIN);
    bench.answer(open, &kept("{}"), NOW);
    let same = Of { arguments: r#" { "n" : 1.1 } "#, ..PLAIN };
    assert!(matches!(bench.look(&same), Seen::Answered(..)));
    for other in [
        Of { arguments: r#"{"n":"1.1"}"#, ..PLAIN },
        Of { arguments: r#"{"n":1.1,"m":null}"#, ..PLAIN },
        Of { tool: "refund", ..PLAIN },
    ] {
        assert!(matches!(bench.look(&other), Seen::Conflict), "{} {}", other.tool, other.arguments);
    }
    for stranger in [Of { agent: "ag_2", ..PLAIN }, Of { key: Some("K"), ..PLAIN }, Of { key: None, ..PLAIN }] {
        assert!(matches!(bench.look(&stranger), Seen::Fresh(_)));
    }
}

#[test]
fn an_open_call_that_does_not_run_is_unknown_for_ever() {
    let bench = Bench::new();
    let (open, running) = bench.claim(&PLAIN);
    drop(running);
    let later = Of { at: NOW.plus(DAY * 400), ..PLAIN };
    for layer in [bench.layer.clone(), Idempotency::new(Arc::clone(&bench.key))] {
        let seen = layer.look(&bench.store, &later.call()).unwrap();
        assert!(matches!(seen, Seen::Unknown(first, None) if first == open.call));
    }
    let mut tool = Tool::for_test("s", "pay");
    tool.idempotent = true;
    let harmless = Call { tool: Arc::new(tool), ..later.call() };
    assert!(matches!(bench.layer.look(&bench.store, &harmless), Ok(Seen::Fresh(_))));
}

#[test]
fn a_call_without_a_key_meets_its_twin_only_while_that_is_open() {
    let bench = Bench::new();
    let bare = Of { key: None, ..PLAIN };
    let (open, running) = bench.claim(&bare);
    assert!(matches!(bench.look(&bare), Seen::InFlight(_)));
    assert!(matches!(bench.look(&PLAIN), Seen::Fresh(_)), "a key says that it is another call");
    assert!(matches!(bench.look(&Of { agent: "ag_2", ..bare }), Seen::Fresh(_)));
    bench.answer(open, &kept("{}"), NOW);
    drop(running);
    assert!(matches!(bench.look(&Of { key: None, ..PLAIN }), Seen::Fresh(_)));
}

#[test]
fn a_released_call_may_come_again() {
    let bench = Bench::new();
    let (open, running) = bench.claim(&PLAIN);
    let layer = bench.layer.clone();
    bench
        .store
        .commit_blocking(move |tx| {
            layer.released(tx, &open);
            Ok::<_, StoreError>(())
        })
        .unwrap();
    drop(running);
    assert!(matches!(bench.look(&PLAIN), Seen::Fresh(_)));
    assert_eq!(open_calls(&bench.store).unwrap(), []);
}

#[test]
fn of_two_claims_the_second_is_told_of_the_first() {
    let bench = Bench::new();
    let (first, _running) = bench.claim(&PLAIN);
    let (layer, call) = (bench.layer.clone(), PLAIN.call());
    let second = bench.store.commit_blocking(move |tx| {
        layer.claim(tx, &call, None, |_| panic!("money is reserved for a call that was not claimed"))
    });
    assert!(matches!(second, Ok(Err(Seen::InFlight(of))) if of == first.call));
}

#[test]
fn expired_claims_leave_the_store() {
    let bench = Bench::new();
    for n in 0..6 {
        let key = format!("old-{n}");
        let (open, _running) = bench.claim(&Of { key: Some(&key), ..PLAIN });
        bench.answer(open, &kept("{}"), NOW);
    }
    let count = || {
        let (from, to) = crate::store::keys::Key::new(crate::store::keys::Prefix::IdempotencyKey).range();
        let mut count = 0;
        let mut each = |_: &[u8], _: &[u8]| {
            count += 1;
            std::ops::ControlFlow::Continue(())
        };
        bench.store.scan(&from, &to, false, &mut each).unwrap();
        count
    };
    assert_eq!(count(), 6);
    let later = NOW.plus(DAY * 2);
    for (n, left) in [(0, 3), (1, 2)] {
        let key = format!("new-{n}");
        let (open, _running) = bench.claim(&Of { key: Some(&key), at: later, ..PLAIN });
        bench.answer(open, &kept("{}"), later);
        assert_eq!(count(), left);
    }
}

#[test]
fn an_answer_is_sealed_and_opens_only_for_its_agent_and_call() {
    let bench = Bench::new();
    let (open, _running) = bench.claim(&PLAIN);
    bench.answer(open, &kept("canary-4711"), NOW);
    let (from, to) = (vec![0], vec![255]);
    let mut all = Vec::new();
    bench
        .store
        .scan(&from, &to, false, &mut |_, value| {
            all.extend_from_slice(value);
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert!(!String::from_utf8_lossy(&all).contains("canary-4711"));
    let other = StoreKey::open_or_create(TempDir::new().unwrap().path()).unwrap();
    let stranger = Idempotency::new(Arc::new(other));
    assert!(matches!(stranger.look(&bench.store, &PLAIN.call()), Ok(Seen::Conflict)), "another store's key");
}
