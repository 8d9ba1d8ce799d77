use tempfile::TempDir;

use super::*;
use crate::clock::Timestamp;
use crate::store::{Options, Store};

struct Register {
    store: Store,
    _directory: TempDir,
}

impl Register {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        Self { store: Store::open(directory.path(), Options::default()).unwrap(), _directory: directory }
    }

    fn add(&self, name: &str, roles: &[&str], trust: u8) -> Result<(AgentRecord, String), RegisterError> {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let new = NewAgent { name: name.into(), roles, owner: None, trust };
        self.store.commit_blocking(|tx| add_agent(tx, Timestamp(1), new)).map(|(agent, key)| (agent, key.to_string()))
    }

    fn who(&self, key: &str) -> Option<Principal> {
        authenticate(&self.store, key).unwrap()
    }

    fn set(&self, name: &str, status: Status) -> Result<AgentRecord, RegisterError> {
        let name = name.to_owned();
        self.store.commit_blocking(move |tx| set_status(tx, &name, status))
    }
}

#[test]
fn a_key_is_its_agents_and_nothing_like_it_is() {
    let register = Register::new();
    let (agent, key) = register.add("buyer", &["b", "a", "b"], 7).unwrap();
    let (_, other) = register.add("seller", &["a"], 7).unwrap();
    let principal = register.who(&key).unwrap();
    assert_eq!((principal.id.as_str(), principal.kind), (agent.id.as_str(), Kind::Agent));
    assert_eq!((principal.roles, principal.trust), (vec!["a".to_owned(), "b".to_owned()], 7));
    assert_ne!(register.who(&other).unwrap().id, agent.id);
    for wrong in
        ["", "pk_", key.strip_suffix(|_| true).unwrap(), &key.to_lowercase(), &format!("{key}x"), &format!(" {key}")]
    {
        assert_eq!(register.who(wrong), None, "{wrong}");
    }
}

#[test]
fn the_store_does_not_hold_the_key() {
    let directory = TempDir::new().unwrap();
    let store = Store::open(directory.path(), Options::default()).unwrap();
    let new = NewAgent { name: "buyer".into(), roles: vec!["a".into()], owner: None, trust: 1 };
    let (_, key) = store.commit_blocking(|tx| add_agent(tx, Timestamp(1), new)).unwrap();
    drop(store);
    let mut files = vec![directory.path().to_owned()];
    let mut bytes = Vec::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            bytes.extend(std::fs::read(&path).unwrap());
        }
    }
    let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(holds(b"buyer"), "the journal is readable here");
    assert!(!holds(key.as_bytes()));
}

#[test]
fn a_revoked_agent_is_nobody_for_ever() {
    let register = Register::new();
    let (_, key) = register.add("buyer", &["a"], 1).unwrap();
    register.set("buyer", Status::Quarantined).unwrap();
    assert!(register.who(&key).unwrap().quarantined);
    register.set("buyer", Status::Active).unwrap();
    assert!(!register.who(&key).unwrap().quarantined);
    register.set("buyer", Status::Revoked).unwrap();
    assert_eq!(register.who(&key), None);
    assert!(matches!(register.set("buyer", Status::Active), Err(RegisterError::Revoked(_))));
    assert_eq!(register.who(&key), None);
}

#[test]
fn what_makes_no_sense_is_not_registered() {
    let register = Register::new();
    register.add("buyer", &["a"], 100).unwrap();
    assert!(matches!(register.add("buyer", &["a"], 1), Err(RegisterError::Taken(..))));
    assert!(matches!(register.add("other", &[], 1), Err(RegisterError::NoRole(_))));
    assert!(matches!(register.add("other", &["a"], 101), Err(RegisterError::Trust(101))));
    for name in ["", "-a", "a b", "a/b", "é", "a\u{1b}[2J", &"a".repeat(65)] {
        assert!(matches!(register.add(name, &["a"], 1), Err(RegisterError::Name(_))), "{name}");
        assert!(matches!(register.add("other", &[name], 1), Err(RegisterError::Name(_))), "{name}");
    }
    assert!(matches!(register.set("nobody", Status::Revoked), Err(RegisterError::Unknown(_))));
    assert_eq!(agents(&register.store).unwrap().len(), 1);
}

#[test]
fn no_name_takes_the_place_of_an_id() {
    let register = Register::new();
    let (buyer, _) = register.add("buyer", &["a"], 1).unwrap();
    for like in [&buyer.id, "ag_0123456789abcdef0123", "pe_0123456789ABCDEF0123"] {
        assert!(matches!(register.add(like, &["a"], 1), Err(RegisterError::LikeId(_))), "{like}");
        assert!(matches!(PersonRecord::check_name(like), Err(RegisterError::LikeId(_))), "{like}");
    }
    for other in ["ag_0123456789abcdef012", "ag_0123456789abcdef012g", "0123456789abcdef0123"] {
        register.add(other, &["a"], 1).unwrap();
    }
    // A store may hold such a name from before it was refused: the id means its agent all the same.
    let mut thief = register.add("thief", &["a"], 1).unwrap().0;
    thief.name.clone_from(&buyer.id);
    thief.id = "ag_00000000000000000000".into();
    let key = crate::store::keys::Key::new(crate::store::keys::Prefix::Agent).text(&thief.id);
    register.store.commit_blocking(move |tx| tx.put_json(Vec::from(key), &thief)).unwrap();
    assert_eq!(register.set(&buyer.id, Status::Revoked).unwrap().name, "buyer");
}

#[test]
fn a_person_has_a_kind_and_no_roles() {
    let register = Register::new();
    let added = register.store.commit_blocking(|tx| add_person(tx, Timestamp(1), "ann", Kind::Owner));
    let principal = register.who(&added.unwrap().1).unwrap();
    assert_eq!((principal.kind, principal.roles), (Kind::Owner, Vec::new()));
}
