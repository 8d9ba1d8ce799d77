use std::time::Duration;

use serde_json::{Value as Json, json};

use super::*;
use crate::audit::entry::Status;
use crate::audit::memory::Memory;
use crate::call::{Arguments, CorrelationId, IdempotencyKey, Origin};
use crate::clock::Timestamp;
use crate::identity::Principal;
use crate::refusal::Code;

const START: Timestamp = Timestamp(1_772_366_400_000);

fn at(second: u64) -> Timestamp {
    START.plus(Duration::from_secs(second))
}

fn entry(second: u64, agent: &str, action: &str, status: Status) -> Entry {
    let id = CorrelationId::random().unwrap();
    Entry::new(at(second), id, action, status).principal(&Principal::for_test(agent, &["support"]))
}

fn some(count: u64) -> Memory {
    let mut memory = Memory::default();
    for n in 0..count {
        let agent = if n % 3 == 0 { "ag_1" } else { "ag_2" };
        let status = if n % 2 == 0 { Status::Completed } else { Status::AccessDenied };
        let mut new = entry(n, agent, &format!("market__tool_{}", n % 5), status);
        if status == Status::AccessDenied {
            new = new.code(Code::Denied);
        }
        memory.commit(|tx| append(tx, &new)).unwrap();
    }
    memory
}

fn indexes(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(Entry::index).collect()
}

#[test]
fn an_entry_comes_back_as_it_was_with_its_index_and_nothing_secret() {
    let id = CorrelationId::random().unwrap();
    let arguments = Arguments::parse(br#"{"amount":1099.10,"password":"hunter2","value":"v"}"#).unwrap();
    let new = Entry::new(START, id, "market__pay", Status::Started)
        .principal(&Principal::for_test("ag_1", &["manager", "support"]))
        .origin(Origin::Rest)
        .request_id("r-1 4111111111111111")
        .idempotency_key(&IdempotencyKey::parse("order-4711").unwrap())
        .arguments(arguments.value(), &["/value".into()])
        .policies(vec![json!({"policy": "caps", "reads": [{"pointer": "/pin", "value": "0000"}]})])
        .metadata("generation", 7)
        .metadata("summary", "Bearer abcdefgh12345678");
    let mut memory = some(3);
    assert_eq!(memory.commit(|tx| append(tx, &new)).unwrap(), 3);

    let back = tail(&memory, 1).unwrap().remove(0);
    assert_eq!(back, new.at(3));
    assert_eq!(
        serde_json::to_string(&back).unwrap(),
        format!(
            r#"{{"index":3,"timestamp":"2026-03-01T12:00:00.000Z","correlation_id":"{id}","request_id":"r-1 ***","#
        ) + r#""principal":"ag_1","principal_id":"ag_1","role":"manager,support","origin":"rest","action":"market__pay","#
            + r#""status":"STARTED","code":null,"idempotency_key":"order-4711","#
            + r#""arguments":{"amount":1099.10,"password":"***","value":"***"},"#
            + r#""policies":[{"policy":"caps","reads":[{"pointer":"/pin","value":"***"}]}],"#
            + r#""metadata":{"generation":7,"summary":"Bearer ***"}}"#
    );
    assert_eq!(back.masked_arguments(), Some(r#"{"amount":1099.10,"password":"***","value":"***"}"#));
    assert_eq!(back.fact("generation"), Some(&json!(7)));
    let stored = memory.pairs.get(&keys::entry(3)).unwrap();
    for secret in ["hunter2", "4111111111111111", "0000\"", "abcdefgh12345678"] {
        assert!(!String::from_utf8_lossy(stored).contains(secret), "{secret}");
    }
}

#[test]
fn the_same_entry_has_another_hash_each_time() {
    let mut memory = Memory::default();
    let same = entry(0, "ag_1", "a", Status::Completed);
    memory.commit(|tx| append(tx, &same).and_then(|_| append(tx, &same))).unwrap();
    let leaf = |index| memory.pairs.get(&keys::node(0, index)).unwrap();
    assert_ne!(leaf(0), leaf(1));
    assert_ne!(memory.pairs[&keys::entry(0)][..16], memory.pairs[&keys::entry(1)][..16]);
}

#[test]
fn appends_in_one_transaction_and_in_several_give_one_log() {
    let mut memory = Memory::default();
    let mut next = 0;
    for in_one in [1_u64, 3, 2, 5, 1, 8] {
        memory
            .commit(|tx| {
                for _ in 0..in_one {
                    assert_eq!(append(tx, &entry(next, "ag_1", "a", Status::Completed))?, next);
                    next += 1;
                    assert_eq!(size(tx)?, next);
                    assert_eq!(root(tx)?, tree::root(tx, next)?);
                }
                Ok(())
            })
            .unwrap();
    }
    assert_eq!(size(&memory).unwrap(), 20);
    let report = crate::audit::verify(&memory).unwrap();
    assert!(report.ok, "{report:?}");
    assert_eq!(report.root, root(&memory).unwrap().to_string());
}

#[test]
fn a_transaction_that_fails_leaves_no_trace() {
    let mut memory = some(4);
    let before = memory.pairs.clone();
    let failed: Result<(), _> = memory.commit(|tx| {
        append(tx, &entry(4, "ag_1", "a", Status::Completed))?;
        Err(StoreError::Closed)
    });
    assert!(failed.is_err());
    assert_eq!(memory.pairs, before);
}

#[test]
fn nothing_is_written_over_an_entry_when_the_size_is_wrong() {
    let mut memory = some(4);
    for size in [None, Some(2_u64.to_be_bytes().to_vec()), Some(vec![1])] {
        match size {
            Some(size) => memory.pairs.insert(keys::SIZE.to_vec(), size),
            None => memory.pairs.remove(keys::SIZE),
        };
        let refused = memory.commit(|tx| append(tx, &entry(4, "ag_1", "a", Status::Completed)));
        assert!(matches!(refused, Err(StoreError::Damaged(_))), "{refused:?}");
    }
}

#[test]
fn tail_and_ranges() {
    let memory = some(10);
    assert_eq!(indexes(&tail(&memory, 3).unwrap()), [7, 8, 9]);
    assert_eq!(indexes(&tail(&memory, 100).unwrap()), (0..10).collect::<Vec<_>>());
    assert!(tail(&memory, 0).unwrap().is_empty());
    assert!(tail(&Memory::default(), 5).unwrap().is_empty());
    assert_eq!(indexes(&entries(&memory, 2, 5).unwrap()), [2, 3, 4]);
    assert_eq!(indexes(&entries(&memory, 8, u64::MAX).unwrap()), [8, 9]);
    assert!(entries(&memory, 5, 5).unwrap().is_empty());
}

#[test]
fn at_most_so_many_are_read_at_once() {
    let memory = some(ENTRIES_MAX as u64 + 5);
    assert_eq!(entries(&memory, 0, u64::MAX).unwrap().len(), ENTRIES_MAX);
    assert_eq!(tail(&memory, usize::MAX).unwrap().len(), ENTRIES_MAX + 5);
}

#[test]
fn a_tail_of_large_entries_has_the_newest_in_order() {
    let large: Vec<String> = (0..25).map(|n| format!("{n} {}", "a".repeat(2000))).collect();
    let mut memory = Memory::default();
    memory
        .commit(|tx| {
            (0..200).try_for_each(|n| {
                let new = entry(n, "ag_1", "a", Status::Completed).policies(vec![json!(large)]);
                append(tx, &new.metadata("n", n)).map(drop)
            })
        })
        .unwrap();
    let shown = tail(&memory, 10_000).unwrap();
    let first = shown.first().unwrap().index();
    assert!(first > 0, "the test has too little");
    assert_eq!(indexes(&shown), (first..200).collect::<Vec<_>>());
    let bytes = |entries: &[Entry]| serde_json::to_string(entries).unwrap().len();
    assert!(bytes(&shown) <= 8 << 20);
    // One more would not have fitted.
    assert!(bytes(&entries(&memory, first - 1, 200).unwrap()) > 8 << 20);
    assert_eq!(indexes(&tail(&memory, 3).unwrap()), [197, 198, 199]);
}

#[test]
fn an_entry_is_bounded_whatever_was_sent() {
    let text = "b\\\"\u{1}".repeat(400);
    let many = vec![text; 200];
    let arguments = Arguments::parse(json!({"a": many, "b": 1}).to_string().as_bytes()).unwrap();
    let new = entry(0, "ag_1", "a", Status::Completed)
        .arguments(arguments.value(), &[])
        .policies(vec![json!({"reads": many}), json!({"policy": "caps"})])
        .metadata("details", many.clone())
        .metadata("count", 7);
    let mut memory = Memory::default();
    memory.commit(|tx| append(tx, &new)).unwrap();
    let stored = memory.pairs.get(&keys::entry(0)).unwrap().len();
    assert!((3 * 64 * 1024..3 * 80 * 1024).contains(&stored), "{stored}");
    let back = tail(&memory, 1).unwrap().remove(0);
    assert_eq!(back.fact("count"), Some(&json!(7)));
    let whole = arguments.value().to_text().len();
    assert!(back.masked_arguments().unwrap().ends_with(&format!(r#""],"…":"… ({whole} bytes in all)"}}"#)));
    assert_eq!(
        serde_json::to_value(&back)
            .unwrap()
            .pointer("/policies/1")
            .unwrap()
            .as_str()
            .map(|note| note.starts_with("… (")),
        Some(true)
    );
}

#[test]
fn the_entries_of_one_call() {
    let mut memory = some(3);
    let id = CorrelationId::random().unwrap();
    for (second, status) in [(3, Status::Started), (5, Status::Completed)] {
        memory.commit(|tx| append(tx, &Entry::new(at(second), id, "a", status))).unwrap();
        memory.commit(|tx| append(tx, &entry(4, "ag_1", "b", Status::Completed))).unwrap();
    }
    assert_eq!(indexes(&by_correlation(&memory, &id.to_string()).unwrap()), [3, 5]);
    assert_eq!(indexes(&by_correlation(&memory, &id.to_string().to_uppercase()).unwrap()), [3, 5]);
    assert!(by_correlation(&memory, &CorrelationId::random().unwrap().to_string()).unwrap().is_empty());
    for bad in ["", "audit", "zz", &"g".repeat(32), &"é".repeat(16)] {
        assert!(by_correlation(&memory, bad).unwrap().is_empty());
    }
}

#[test]
fn queries_by_everything() {
    let memory = some(30);
    let found = |filter: Filter| indexes(&query(&memory, &filter).unwrap().entries);
    let all: Vec<u64> = (0..30).rev().collect();
    let only = |keep: fn(&u64) -> bool| all.iter().copied().filter(keep).collect::<Vec<_>>();
    assert_eq!(found(Filter::default()), all);
    assert_eq!(found(Filter { agent: Some("ag_1".into()), ..Filter::default() }), only(|n| n % 3 == 0));
    assert_eq!(found(Filter { tool: Some("market__tool_4".into()), ..Filter::default() }), only(|n| n % 5 == 4));
    assert_eq!(found(Filter { code: Some("denied".into()), ..Filter::default() }), only(|n| n % 2 == 1));
    assert_eq!(found(Filter { status: Some(Status::Completed), ..Filter::default() }), only(|n| n % 2 == 0));
    assert_eq!(found(Filter { since: Some(at(10)), until: Some(at(13)), ..Filter::default() }), [12, 11, 10]);
    assert_eq!(
        found(Filter { agent: Some("ag_1".into()), status: Some(Status::AccessDenied), ..Filter::default() }),
        only(|n| n % 6 == 3)
    );
    assert!(found(Filter { agent: Some("ag_3".into()), ..Filter::default() }).is_empty());
}

#[test]
fn pages_cover_everything_once_also_while_the_log_grows() {
    let mut memory = some(30);
    let mut filter = Filter { agent: Some("ag_2".into()), limit: Some(3), ..Filter::default() };
    let mut seen = Vec::new();
    loop {
        let page = query(&memory, &filter).unwrap();
        assert!(page.entries.len() <= 3);
        seen.extend(indexes(&page.entries));
        memory.commit(|tx| append(tx, &entry(99, "ag_2", "late", Status::Completed))).unwrap();
        let Some(next) = page.next else { break };
        filter.cursor = Some(next.to_string().parse().unwrap());
    }
    assert_eq!(seen, (0..30).rev().filter(|n| n % 3 != 0).collect::<Vec<_>>());
}

#[test]
fn a_rare_match_in_a_long_log_takes_several_pages() {
    let mut memory = some(1);
    memory
        .commit(|tx| {
            let filler = entry(1, "ag_2", "b", Status::Completed);
            (0..12_000).try_for_each(|_| append(tx, &filler).map(drop))
        })
        .unwrap();
    let filter = Filter { agent: Some("ag_1".into()), ..Filter::default() };
    let first = query(&memory, &filter).unwrap();
    assert!(first.entries.is_empty());
    let second = query(&memory, &Filter { cursor: first.next, ..filter }).unwrap();
    assert_eq!(indexes(&second.entries), [0]);
    assert_eq!(second.next, None);
}

#[test]
fn cursors_and_statuses_as_text() {
    for bad in ["", "e", "5", "e-1", "E5", "e05", "e+5", "e1ffffffffffffffff", "é"] {
        assert_eq!(bad.parse::<Cursor>(), Err(BadCursor(bad.into())));
    }
    assert_eq!("access_denied".parse(), Ok(Status::AccessDenied));
    assert!("DENIED".parse::<Status>().is_err());
    for status in [
        Status::Started,
        Status::Completed,
        Status::Failed,
        Status::Unknown,
        Status::Replayed,
        Status::AccessDenied,
        Status::PendingConfirmation,
        Status::Confirmed,
        Status::Rejected,
        Status::Expired,
    ] {
        assert_eq!(status.as_str().parse(), Ok(status));
        assert_eq!(serde_json::to_value(status).unwrap(), Json::from(status.as_str()));
    }
}

#[test]
fn an_entry_that_cannot_be_read_is_damage_and_not_left_out() {
    let mut memory = some(5);
    memory.pairs.insert(keys::entry(2), vec![7; 40]);
    for failed in
        [tail(&memory, 5).map(drop), entries(&memory, 0, 5).map(drop), query(&memory, &Filter::default()).map(drop)]
    {
        assert!(matches!(failed, Err(StoreError::Damaged(_))));
    }
    assert!(tail(&memory, 2).is_ok());
}

#[test]
fn a_time_that_cannot_be_written_is_not_appended() {
    let mut memory = Memory::default();
    let late = Entry::new(Timestamp(u64::MAX), CorrelationId::random().unwrap(), "a", Status::Completed);
    assert!(memory.commit(|tx| append(tx, &late)).is_err());
    assert!(memory.pairs.is_empty());
}

#[test]
fn an_append_to_a_long_log_stays_small() {
    let mut memory = some(1000);
    *memory.gets.borrow_mut() = 0;
    let pairs = memory.pairs.len();
    for n in 0..24 {
        memory.commit(|tx| append(tx, &entry(n, "ag_1", "a", Status::Completed))).unwrap();
    }
    assert!(*memory.gets.borrow() <= 24 * 3 + 10, "{} reads", memory.gets.borrow());
    // An entry, its row and its leaf, and the parents that are complete.
    let parents = |leaves: usize| leaves - leaves.count_ones() as usize;
    assert_eq!(memory.pairs.len() - pairs, 24 * 3 + parents(1024) - parents(1000));
}
