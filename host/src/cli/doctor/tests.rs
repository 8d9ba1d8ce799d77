use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::address::misspelt;
use super::finding::{Findings, State};
use super::{place, register, server};
use crate::clock::Timestamp;
use crate::policy::Names;

/// The worst that was found.
fn worst(look: impl FnOnce(&mut Findings)) -> (State, String) {
    let mut found = Findings::default();
    look(&mut found);
    let worst = found.all().iter().max_by_key(|finding| finding.state).expect("something is said");
    assert_eq!(worst.todo.is_some(), worst.state != State::Ok, "what is wrong has a remedy");
    (worst.state, worst.what.clone())
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_clock_is_plausible_or_not() {
    let at = |ms| worst(|found| place::clock(Timestamp(ms), found)).0;
    assert_eq!(at(1_790_000_000_000), State::Ok);
    assert_eq!(at(0), State::Problem);
    assert_eq!(at(9_999_999_999_999), State::Problem);
}

#[test]
fn a_disk_has_room_or_not() {
    let free = |mib: u64| worst(|found| place::free(mib * 1024 * 1024, found)).0;
    assert_eq!((free(0), free(63), free(64)), (State::Problem, State::Problem, State::Warning));
    assert_eq!((free(1023), free(1024)), (State::Warning, State::Ok));
}

#[test]
fn what_others_can_change_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    assert_eq!(worst(|found| place::data(&data, found)).0, State::Ok, "it is made when it is needed");
    std::fs::create_dir(&data).unwrap();
    for (bits, state) in [(0o700, State::Ok), (0o750, State::Problem), (0o701, State::Problem)] {
        mode(&data, bits);
        assert_eq!(worst(|found| place::data(&data, found)).0, state, "{bits:o}");
    }
    mode(&data, 0o700);
    std::fs::write(data.join("key"), "x").unwrap();
    mode(&data.join("key"), 0o640);
    let (state, what) = worst(|found| place::data(&data, found));
    assert!(state == State::Problem && what.contains("data/key"), "{what}");

    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    let look = |found: &mut Findings| {
        place::policies(&policies, found);
        found.else_ok("policies", "");
    };
    assert_eq!(worst(look).0, State::Ok);
    mode(&policies, 0o777);
    assert_eq!(worst(look).0, State::Problem);
    mode(&policies, 0o1777);
    assert_eq!(worst(look).0, State::Ok, "sticky: only its owner replaces a file");
    std::fs::write(policies.join("x.wasm"), "").unwrap();
    mode(&policies.join("x.wasm"), 0o666);
    assert!(worst(look).1.contains("x.wasm"));
}

#[test]
fn a_program_is_found_as_the_gate_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tool");
    std::fs::write(&file, "").unwrap();
    let path = Some(folder.path().as_os_str());
    mode(&file, 0o644);
    assert_eq!(server::find("tool", Path::new("/"), path), None, "not executable");
    mode(&file, 0o755);
    assert_eq!(server::find("tool", Path::new("/"), path), Some(file.clone()));
    assert_eq!(server::find("tool", folder.path(), None), None, "not beside the configuration");
    assert_eq!(server::find("./tool", folder.path(), None).map(|found| found.exists()), Some(true));
    assert_eq!(server::find("./none", folder.path(), path), None);
}

#[test]
fn an_account_that_is_nearly_one_of_the_known_is_said() {
    for (account, meant) in
        [("agnt", Some("agent")), ("Agent", Some("agent")), ("ower", Some("owner")), ("payees", Some("payee"))]
    {
        assert_eq!(misspelt(account), meant, "{account}");
    }
    for account in ["agent", "owner", "payee", "team", "marketing", "agent:ag_1"] {
        assert_eq!(misspelt(account), None, "{account}");
    }
}

#[test]
fn a_role_that_no_policy_knows_has_a_nearest() {
    let names =
        |roles: &[&str]| Names { roles: roles.iter().map(|role| (*role).to_owned()).collect(), ..Names::default() };
    let known = names(&["reader", "trader"]);
    assert_eq!(register::unknown_role("trader", Some(&known)), None);
    let why = register::unknown_role("tradr", Some(&known)).unwrap();
    assert!(why.contains("did you mean `trader`") && why.contains("`reader`"), "{why}");
    assert!(!register::unknown_role("zzz", Some(&known)).unwrap().contains("did you mean"));
    assert_eq!(
        register::unknown_role("trader", Some(&names(&[]))),
        None,
        "roles may mean something to a policy of one's own"
    );
    assert_eq!(register::unknown_role("trader", None), None);
}
