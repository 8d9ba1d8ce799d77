use std::process::{Child, Command};

use serde_json::value::RawValue;

use super::*;

fn vote(state: &mut State, deal: u32) {
    let arguments = RawValue::from_string(format!(r#"{{"deal_id":{deal}}}"#)).unwrap();
    state.call("vote_deal", &arguments).unwrap();
}

fn executed(path: &Path) -> usize {
    serde_json::from_str::<State>(&fs::read_to_string(path).unwrap()).unwrap().executed.len()
}

const WRITER: &str = "MARKETPLACE_TEST_WRITER";
const VOTES: u32 = 200;

/// Not a test of its own: what the processes below run.
#[test]
fn writer() {
    let Some(path) = std::env::var_os(WRITER) else { return };
    let file = StateFile::open(path.into()).unwrap();
    for deal in 0..VOTES {
        file.update(|state| vote(state, deal)).unwrap();
    }
}

fn start_writer(path: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "file::tests::writer", "--quiet"]).env(WRITER, path);
    command.stdout(std::process::Stdio::null()).spawn().unwrap()
}

#[test]
fn two_processes_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("market.json");
    let mut writers = [start_writer(&path), start_writer(&path)];
    for writer in &mut writers {
        assert!(writer.wait().unwrap().success());
    }
    assert_eq!(executed(&path), 2 * VOTES as usize);
}

#[test]
fn a_state_is_whole_whenever_a_writer_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("market.json");
    StateFile::open(path.clone()).unwrap();
    let mut least = 0;
    for round in 1..=5 {
        let mut writer = start_writer(&path);
        // Killed once it has written something more, wherever it is by then.
        while executed(&path) < least + 3 * round {
            assert!(writer.try_wait().unwrap().is_none(), "the writer wrote too little");
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        least = executed(&path);
    }
    StateFile::open(path.clone()).unwrap().update(|state| vote(state, 7)).unwrap();
    assert_eq!(executed(&path), least + 1);
}

#[test]
fn what_was_not_renamed_did_not_happen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("market.json");
    let file = StateFile::open(path.clone()).unwrap();
    file.update(|state| vote(state, 1)).unwrap();
    // A process that died after writing the next state, before the rename.
    let mut next = State::default();
    (0..9).for_each(|deal| vote(&mut next, deal));
    write(&file.beside("next"), &next).unwrap();
    assert_eq!(executed(&path), 1);
    file.update(|state| vote(state, 2)).unwrap();
    assert_eq!(executed(&path), 2);
}

#[test]
fn whoever_waited_goes_on_from_what_was_written_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("market.json");
    let file = StateFile::open(path.clone()).unwrap();
    let held = file.lock().unwrap();
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..4).map(|_| scope.spawn(|| file.update(|state| vote(state, 1)).unwrap())).collect();
        let mut state = State::default();
        vote(&mut state, 2);
        write(&file.beside("next"), &state).unwrap();
        fs::rename(file.beside("next"), &path).unwrap();
        drop(held);
        waiting.into_iter().for_each(|thread| thread.join().unwrap());
    });
    assert_eq!(executed(&path), 5);
}

#[test]
fn a_file_of_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("market.json");
    fs::write(&path, r#"{"shopping":["milk"]}"#).unwrap();
    assert!(matches!(StateFile::open(path.clone()), Err(StateError::Content { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), r#"{"shopping":["milk"]}"#);
    fs::write(&path, "").unwrap();
    StateFile::open(path.clone()).unwrap().update(|state| vote(state, 1)).unwrap();
    assert_eq!(executed(&path), 1);
}
