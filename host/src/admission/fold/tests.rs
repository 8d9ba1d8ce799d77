use super::*;

fn who(n: usize) -> FoldKey {
    FoldKey::Principal(format!("ag_{n}"))
}

#[test]
fn the_first_is_written_and_the_rest_of_the_minute_counted() {
    let folder = Folder::default();
    let at = Duration::from_secs;
    assert_eq!(folder.fold(who(1), Code::Denied, at(10)), Fold::Write { repeats: 0 });
    assert_eq!(folder.fold(who(1), Code::RateLimited, at(10)), Fold::Write { repeats: 0 }, "another code");
    assert_eq!(folder.fold(who(2), Code::Denied, at(10)), Fold::Write { repeats: 0 }, "somebody else");
    for second in 11..70 {
        assert_eq!(folder.fold(who(1), Code::Denied, at(second)), Fold::Count);
        assert!(folder.drain_due(at(second)).is_empty());
    }
    assert_eq!(folder.fold(who(1), Code::Denied, at(70)), Fold::Write { repeats: 59 }, "with the next one");
    assert_eq!(folder.fold(who(1), Code::Denied, at(71)), Fold::Count);
    assert_eq!(folder.drain_due(at(130)), [(who(1), Code::Denied, 1)], "or when the minute is over");
    assert!(folder.drain_due(at(131)).is_empty());
    assert_eq!(folder.fold(who(1), Code::Denied, at(131)), Fold::Write { repeats: 0 });
}

#[test]
fn everything_is_counted_also_when_there_is_no_room() {
    let folder = Folder::default();
    let (mut written, mut counted) = (0, 0);
    for n in 0..10_000 {
        for _ in 0..2 {
            match folder.fold(who(n), Code::Unauthenticated, Duration::from_millis(n as u64)) {
                Fold::Write { repeats } => written += 1 + repeats,
                Fold::Count => counted += 1,
            }
        }
        assert!(folder.counts.lock().unwrap().len() <= 4096 + 1);
    }
    assert_eq!(written, 4096 + 1);
    let drained = folder.drain_due(Duration::MAX);
    assert_eq!(drained.iter().map(|(_, _, repeats)| repeats).sum::<u64>(), counted);
    assert!(drained.contains(&(FoldKey::Others, Code::Unauthenticated, 2 * (10_000 - 4096) - 1)));
    assert!(folder.counts.lock().unwrap().is_empty());
}

#[test]
fn room_is_made_by_those_that_have_nothing_to_tell() {
    let folder = Folder::default();
    for n in 0..4096 {
        assert_eq!(folder.fold(who(n), Code::Denied, Duration::ZERO), Fold::Write { repeats: 0 });
    }
    assert_eq!(folder.fold(who(7), Code::Denied, Duration::ZERO), Fold::Count);
    let later = Duration::from_secs(60);
    assert_eq!(folder.fold(who(5000), Code::Denied, later), Fold::Write { repeats: 0 });
    assert_eq!(folder.fold(who(5000), Code::Denied, later), Fold::Count);
    assert_eq!(folder.drain_due(Duration::MAX), [(who(5000), Code::Denied, 1), (who(7), Code::Denied, 1)]);
}
