//! What decides while the directory changes: a real store, a clock that stands still, and no thread.

use std::fs;
use std::ops::ControlFlow;

use super::*;
use crate::audit::{self, Entry, Status};
use crate::identity::Actor;
use crate::policy::reload::standing;
use crate::store::keys::{Key, Prefix};
use crate::store::{Options, Read as _};

struct Scene {
    store: Store,
    clock: Clock,
    policies: tempfile::TempDir,
    _data: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(&data.path().join("store"), Options::default()).unwrap();
        let clock = Clock::manual(Timestamp(1_772_366_400_000));
        let scene = Self { store, clock, policies: tempfile::tempdir().unwrap(), _data: data };
        scene.put("good.wasm", guest("good.wat"));
        scene
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.policies.path().join(name), content).unwrap();
    }

    /// A good `policies.toml`; each number is another set.
    fn write(&self, number: usize) {
        self.put(FILE, numbered(number));
    }

    /// The gate starts.
    fn start(&self) -> Reloader {
        let mut reloader = self.new_reloader();
        let _ = reloader.reload(None);
        reloader
    }

    fn new_reloader(&self) -> Reloader {
        Reloader::new(engine().clone(), self.policies.path(), self.store.clone(), self.clock.clone())
    }

    /// What the log has about policies: the action, the status and the generation.
    fn audit(&self) -> Vec<(String, Status, u64)> {
        let about = |entry: &Entry| {
            let generation = entry.fact("generation").unwrap().as_u64().unwrap();
            (entry.action().to_owned(), entry.status(), generation)
        };
        audit::tail(&self.store, 100).unwrap().iter().map(about).collect()
    }

    fn count(&self, key: &Key) -> usize {
        let (from, to) = key.range();
        let mut count = 0;
        let mut each = |_: &[u8], _: &[u8]| {
            count += 1;
            ControlFlow::Continue(())
        };
        self.store.scan(&from, &to, false, &mut each).unwrap();
        count
    }
}

fn numbered(number: usize) -> String {
    format!("[[policy]]\nname = 'a'\nmodule = 'good.wasm'\nsettings = {{ number = {number} }}\n")
}

fn owner() -> Actor {
    Actor::local(7)
}

/// The generation in force, and whether the directory holds another.
fn stands(reloader: &Reloader) -> (Option<u64>, bool) {
    let standing = standing(&reloader.shared());
    (standing.set.ok().map(|set| set.generation()), standing.differs.is_some())
}

fn reload(reloader: &mut Reloader) -> (u64, bool) {
    let done = reloader.reload(Some(&owner())).unwrap();
    (done.generation, done.changed)
}

/// What the gate makes of the directory by itself.
fn noticed(reloader: &mut Reloader) -> (u64, bool) {
    let done = reloader.reload(None).unwrap();
    (done.generation, done.changed)
}

#[test]
fn each_other_set_has_the_next_generation_and_keeps_it() {
    let scene = Scene::new();
    scene.write(1);
    let mut reloader = scene.start();
    assert_eq!(stands(&reloader), (Some(1), false));
    let first = standing(&reloader.shared()).set.unwrap();
    scene.put(FILE, format!("# the same\n{}", numbered(1)));
    assert_eq!(reload(&mut reloader), (1, false));
    assert!(Arc::ptr_eq(&first, &standing(&reloader.shared()).set.unwrap()), "nothing is swapped");
    scene.write(2);
    assert_eq!(reload(&mut reloader), (2, true));
    assert_eq!(first.generation(), 1, "a call that has begun ends with its set");
    assert_eq!(stands(&scene.start()), (Some(2), false));
    scene.write(3);
    assert_eq!(stands(&scene.start()), (Some(3), false));
    let done = |generation| ("policy.reload".to_owned(), Status::Completed, generation);
    assert_eq!(scene.audit(), [done(1), done(2), done(3)]);
    let entries = audit::tail(&scene.store, 100).unwrap();
    assert_eq!(entries[0].fact("kind").unwrap(), "gate");
    assert_eq!((entries[1].principal_name(), entries[1].fact("kind").unwrap()), (Some("uid:7"), &"owner".into()));
    assert_eq!(entries[1].fact("policies").unwrap()[0]["name"], "a");
}

#[test]
fn only_what_has_changed_is_compiled() {
    let scene = Scene::new();
    let mut reloader = scene.new_reloader();
    let mut sandboxes = |policies: [(&str, usize); 2]| {
        let text = policies.map(|(name, number)| numbered(number).replace("'a'", name));
        scene.put(FILE, text.concat());
        reload(&mut reloader);
        let set = standing(&reloader.shared()).set.unwrap();
        [0, 1].map(|index| set.policies[index].sandbox.clone())
    };
    let first = sandboxes([("'a'", 1), ("'b'", 2)]);
    assert!(!first[0].shares(&first[1]), "other settings");
    let next = sandboxes([("'a'", 3), ("'b'", 2)]);
    assert!(next[1].shares(&first[1]) && !next[0].shares(&first[0]));
    let turned = sandboxes([("'c'", 2), ("'a'", 3)]);
    assert!(turned[0].shares(&next[1]) && turned[1].shares(&next[0]), "whatever they are called");
}

#[test]
fn a_broken_directory_leaves_the_last_good_set_in_force() {
    let scene = Scene::new();
    scene.put(FILE, "[[policy");
    assert_eq!(stands(&scene.start()), (None, true), "there never was a good one");
    scene.write(1);
    let mut reloader = scene.start();
    assert_eq!(stands(&reloader), (Some(1), false));
    for broken in ["[[policy", "[[polic]]", "[[policy]]\nname = 'a'\nmodule = 'none.wasm'"] {
        scene.put(FILE, broken);
        for _ in 0..2 {
            assert!(matches!(reloader.reload(None), Err(ReloadError::Problems(_))));
            assert_eq!(stands(&reloader), (Some(1), true), "{broken}");
        }
    }
    let mut reloader = scene.start();
    assert_eq!(stands(&reloader), (Some(1), true), "out of the store");
    // No file of the directory is needed.
    fs::remove_file(scene.policies.path().join("good.wasm")).unwrap();
    assert_eq!(stands(&scene.start()), (Some(1), true));
    scene.put("good.wasm", guest("good.wat"));
    scene.write(1);
    assert_eq!(reload(&mut reloader), (1, false));
    assert_eq!(stands(&reloader), (Some(1), false));
    let failed: Vec<Status> = scene.audit().into_iter().map(|(_, status, _)| status).collect();
    use Status::{Completed, Failed};
    assert_eq!(failed, [Failed, Completed, Failed, Failed, Failed, Completed], "once for each content");
}

#[test]
fn without_a_file_or_a_policy_in_it_nothing_decides() {
    let scene = Scene::new();
    assert_eq!(stands(&scene.start()), (None, true));
    scene.write(1);
    let mut reloader = scene.start();
    let gone = |reloader: &mut Reloader| {
        assert!(matches!(reloader.reload(None), Err(ReloadError::Problems(_))));
        assert_eq!(stands(reloader), (None, true));
        assert_eq!(stands(&scene.start()), (None, true), "at a start, too");
        assert!(matches!(reloader.rollback(&owner()), Err(ReloadError::Problems(_))));
        scene.write(1);
        assert_eq!(reload(reloader), (1, false));
        assert_eq!(stands(reloader), (Some(1), false));
    };
    fs::remove_file(scene.policies.path().join(FILE)).unwrap();
    gone(&mut reloader);
    for empty in ["", "\n# nothing\n", "policy = []"] {
        scene.put(FILE, empty);
        gone(&mut reloader);
    }
    fs::rename(scene.policies.path(), scene.policies.path().with_extension("old")).unwrap();
    assert!(reloader.reload(None).is_err());
    assert_eq!(stands(&reloader), (None, true));
    fs::rename(scene.policies.path().with_extension("old"), scene.policies.path()).unwrap();
}

#[test]
fn a_rollback_stays_until_the_directory_changes() {
    let scene = Scene::new();
    let mut reloader = scene.new_reloader();
    for number in 1..=3 {
        scene.write(number);
        reload(&mut reloader);
    }
    let done = reloader.rollback(&owner()).unwrap();
    assert_eq!((done.generation, done.changed, done.differs.is_some()), (2, true, true));
    assert_eq!(stands(&reloader), (Some(2), true));
    assert_eq!(noticed(&mut reloader), (2, false), "the directory holds what was left");
    let mut reloader = scene.start();
    assert_eq!(stands(&reloader), (Some(2), true), "over a restart");
    // Something broken comes and goes: what was left stays left.
    scene.put(FILE, "[[policy");
    assert!(reloader.reload(None).is_err());
    scene.write(3);
    assert_eq!(noticed(&mut reloader), (2, false));
    assert_eq!(stands(&reloader), (Some(2), true));
    assert_eq!(reloader.rollback(&owner()).unwrap().generation, 1);
    assert!(matches!(reloader.rollback(&owner()), Err(ReloadError::NothingBefore)));
    assert_eq!(stands(&reloader), (Some(1), true));
    // The directory agrees with what is in force: nothing to swap, and nothing left.
    scene.write(1);
    assert_eq!(reload(&mut reloader), (1, false));
    assert_eq!(stands(&reloader), (Some(1), false));
    scene.write(3);
    assert_eq!(reload(&mut reloader), (4, true), "no generation is given twice");
    assert_eq!(reloader.rollback(&owner()).unwrap().generation, 1, "what was in force before it");
    let entries = audit::tail(&scene.store, 100).unwrap();
    let last = entries.last().unwrap();
    assert_eq!((last.action(), last.principal_name()), ("policy.rollback", Some("uid:7")));
    assert_eq!(last.fact("before").unwrap(), 4);
}

#[test]
fn what_is_kept_is_bounded() {
    let scene = Scene::new();
    scene.put("other.wasm", guest("counter.wat"));
    let mut reloader = scene.new_reloader();
    scene.put(FILE, numbered(0).replace("good", "other"));
    reload(&mut reloader);
    let (sets, components) = (Key::new(Prefix::Policy).text("set"), Key::new(Prefix::Component));
    assert_eq!((scene.count(&sets), scene.count(&components)), (1, 1));
    for number in 1..=9 {
        scene.write(number);
        assert_eq!(reload(&mut reloader), (number as u64 + 1, true));
    }
    assert_eq!(scene.count(&sets), 1 + usize::try_from(limits::SETS_BEFORE_MAX).unwrap());
    assert_eq!(scene.count(&components), 1, "what no set refers to leaves");
    for generation in (6..10).rev() {
        assert_eq!(reloader.rollback(&owner()).unwrap().generation, generation);
    }
    assert!(matches!(reloader.rollback(&owner()), Err(ReloadError::NothingBefore)));
}

#[test]
fn a_large_component_is_kept_in_pieces() {
    let scene = Scene::new();
    // A custom section that nobody reads: its id, its length in LEB128, an empty name and zeros.
    let mut bytes = guest("good.wat");
    let length: usize = 1 + 2_500_000;
    let digit = |shift: usize| u8::try_from(length >> shift & 0x7f).unwrap();
    bytes.extend([0, digit(0) | 0x80, digit(7) | 0x80, digit(14) | 0x80, digit(21), 0]);
    bytes.extend(vec![0; length - 1]);
    scene.put("good.wasm", &bytes);
    scene.write(1);
    assert_eq!(stands(&scene.start()), (Some(1), false));
    assert_eq!(scene.count(&Key::new(Prefix::Component)), 3);
    scene.put(FILE, "[[policy");
    assert_eq!(stands(&scene.start()), (Some(1), true));

    // What is not what was kept decides nothing.
    let digest = arguments::sha256(&bytes);
    let key = Key::new(Prefix::Component).text(&digest).number(1);
    scene
        .store
        .commit_blocking(move |tx| {
            tx.put(key, [1]);
            Ok::<_, crate::store::StoreError>(())
        })
        .unwrap();
    let reloader = scene.start();
    assert_eq!(stands(&reloader), (None, true));
    let why = standing(&reloader.shared()).set.err().unwrap();
    assert!(why.contains("not TOML") && why.contains("is not what was kept"), "{why}");
}

#[test]
fn a_set_fails_with_its_vectors() {
    let scene = Scene::new();
    let case = |expect: &str| {
        format!(
            r#"{{"settings": {{}}, "cases": [{{"name": "the case", "call": {{"tool": "a__b"}}, "expect": {expect}}}]}}"#
        )
    };
    scene.put("v.json", case(r#"{"visible": "maybe"}"#));
    let with_vectors = |number| format!("{}vectors = 'v.json'\n", numbered(number));
    scene.put(FILE, with_vectors(1));
    let mut reloader = scene.start();
    assert_eq!(stands(&reloader), (Some(1), false));
    scene.put("v.json", case(r#"{"visible": "never"}"#));
    assert!(reloader.stirred());
    scene.put(FILE, with_vectors(2));
    let error = reloader.reload(None).unwrap_err().to_string();
    assert!(error.contains("fails the case `the case` of `v.json`"), "{error}");
    assert_eq!(stands(&reloader), (Some(1), true));
    assert_eq!(check(scene.policies.path()).unwrap().len(), 1);
    for (bad, about) in [("{", "do not read"), (r#"{"settings": {}, "cases": []}"#, "no cases")] {
        scene.put("v.json", bad);
        let error = reloader.reload(None).unwrap_err().to_string();
        assert!(error.contains("`v.json`") && error.contains(about), "{error}");
    }
    scene.put("v.json", case(r#"{"visible": "maybe"}"#));
    assert_eq!(reload(&mut reloader), (2, true));
}

#[tokio::test]
async fn a_set_that_cannot_be_kept_does_not_take_force() {
    let scene = Scene::new();
    scene.write(1);
    let mut reloader = scene.start();
    scene.write(2);
    scene.store.close().await;
    assert!(matches!(reloader.reload(None), Err(ReloadError::Store(_))));
    assert_eq!(stands(&reloader), (Some(1), true));
    assert!(!reloader.due());
    scene.clock.advance(limits::RETRY_RELOAD);
    assert!(reloader.due(), "it is tried again, though the directory is as it was");
}

#[test]
fn a_change_stirs_until_it_is_read() {
    let scene = Scene::new();
    let mut reloader = scene.new_reloader();
    assert!(reloader.stirred());
    let mut changes = |what: &str| {
        assert!(reloader.stirred(), "{what}");
        let _ = reloader.reload(None);
        assert!(!reloader.stirred(), "{what}");
    };
    changes("nothing there");
    scene.write(1);
    changes("the file");
    scene.put("good.wasm", guest("counter.wat"));
    changes("a component");
    fs::remove_file(scene.policies.path().join("good.wasm")).unwrap();
    changes("a component leaves");
    scene.put("good.wasm", guest("counter.wat"));
    changes("and comes back");
}
