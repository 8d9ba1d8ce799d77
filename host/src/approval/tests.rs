use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::call::{Arguments, CorrelationId, Origin};
use crate::catalog::Tool;
use crate::identity::Principal;
use crate::store::{Options, Store};

const NOW: Timestamp = Timestamp(1_772_366_400_000);
const HOUR: Duration = Duration::from_secs(3600);

struct Bench {
    layer: Approvals,
    store: Store,
    _directory: TempDir,
}

fn at(minutes: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(60 * minutes))
}

fn call(agent: &str, arguments: &str, time: Timestamp) -> Call {
    Call {
        id: CorrelationId::random().unwrap(),
        time,
        principal: Arc::new(Principal::for_test(agent, &[])),
        tool: Arc::new(Tool::for_test("market", "pay")),
        arguments: Arguments::parse(arguments.as_bytes()).unwrap(),
        key: None,
        approval: None,
        origin: Origin::Rest,
        address: None,
        request_id: None,
    }
}

fn tool(change: impl FnOnce(&mut Tool)) -> Arc<Tool> {
    let mut tool = Tool::for_test("market", "pay");
    change(&mut tool);
    Arc::new(tool)
}

fn author(policy: &str) -> Author {
    Author { policy: policy.into(), digest: "sha256:1".into(), settings_digest: "sha256:2".into() }
}

fn ask(policy: &str) -> Ask {
    Ask { author: author(policy), summary: format!("{policy} asks"), expires_s: None, quorum: 1, limit: None }
}

fn person(id: &str, kind: Kind) -> Actor {
    let mut principal = Principal::for_test(id, &[]);
    principal.kind = kind;
    Actor::person(&principal).unwrap()
}

impl Bench {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let store = Store::open(&directory.path().join("store"), Options::default()).unwrap();
        let key = Arc::new(StoreKey::open_or_create(directory.path()).unwrap());
        Self { layer: Approvals::new(key), store, _directory: directory }
    }

    fn open(&self, call: &Call, asks: &[Ask]) -> Opened {
        let (layer, call, asks) = (self.layer.clone(), call.clone(), asks.to_vec());
        self.store.commit_blocking(move |tx| layer.open(tx, &call, &asks)).unwrap().unwrap()
    }

    fn decide(&self, id: &str, by: &Actor, say: Say, now: Timestamp) -> Result<Record, DecideError> {
        let (layer, id, by) = (self.layer.clone(), id.to_owned(), by.clone());
        self.store.commit_blocking(move |tx| layer.decide(tx, now, &id, &by, say))
    }

    fn approved(&self, call: &Call, asks: &[Ask]) -> String {
        let id = self.open(call, asks).record.id;
        self.decide(&id, &person("pe_1", Kind::Approver), Say::Approve, call.time).unwrap();
        id
    }

    fn standing(&self, call: &Call) -> Result<Standing, Refusal> {
        self.layer.standing(&self.store, call).unwrap()
    }

    fn held(&self, call: &Call) -> Option<Held> {
        match self.standing(call).unwrap() {
            Standing::Held(held) => Some(held),
            _ => None,
        }
    }

    fn use_up(&self, held: Held, call: &Call) -> bool {
        let (layer, call) = (self.layer.clone(), call.clone());
        self.store.commit_blocking(move |tx| layer.use_up(tx, &held, &call)).unwrap()
    }

    fn expire(&self, now: Timestamp) -> Vec<Record> {
        self.store.commit_blocking(move |tx| expire(tx, now, 64)).unwrap()
    }
}

#[test]
fn one_is_open_for_the_same_call_and_the_same_policies() {
    let bench = Bench::new();
    let first = bench.open(&call("ag_1", r#"{"n":1.10,"a":1}"#, NOW), &[ask("p")]);
    assert!(first.new && first.record.status == Status::Pending);
    let again = bench.open(&call("ag_1", r#"{"a":1,"n":1.1}"#, at(1)), &[ask("p")]);
    assert!(!again.new && again.record.id == first.record.id);
    let other = |call: &Call, asks: &[Ask]| bench.open(call, asks).record.id != first.record.id;
    assert!(other(&call("ag_2", r#"{"n":1.10,"a":1}"#, NOW), &[ask("p")]), "another agent");
    assert!(other(&call("ag_1", r#"{"n":1.11,"a":1}"#, NOW), &[ask("p")]), "other arguments");
    assert!(other(&call("ag_1", r#"{"n":1.10,"a":1}"#, NOW), &[ask("p"), ask("q")]), "another policy");
    let mut settings = ask("p");
    settings.author.settings_digest = "sha256:3".into();
    assert!(other(&call("ag_1", r#"{"n":1.10,"a":1}"#, NOW), &[settings]), "other settings");
    let mut changed = call("ag_1", r#"{"n":1.10,"a":1}"#, NOW);
    changed.tool = tool(|tool| tool.digest = "sha256:other".into());
    assert!(other(&changed, &[ask("p")]), "another definition");
    assert!(other(&call("ag_1", r#"{"n":1.10,"a":1}"#, at(60)), &[ask("p")]), "after its time");
}

#[test]
fn all_asks_are_listed_with_the_earliest_expiry_and_the_largest_quorum() {
    let bench = Bench::new();
    let soon = Ask { expires_s: Some(60), quorum: 2, ..ask("p") };
    let late = Ask { expires_s: Some(90), quorum: 3, ..ask("q") };
    let record = bench.open(&call("ag_1", "{}", NOW), &[late, soon]).record;
    assert_eq!((record.expires_at, record.quorum), (at(1), 3));
    assert_eq!(record.summary(), "q asks; p asks");
    let ever = Ask { expires_s: Some(u32::MAX), ..ask("p") };
    let record = bench.open(&call("ag_2", "{}", NOW), &[ever]).record;
    assert_eq!(record.expires_at, NOW.plus(limits::APPROVAL_OPEN_MAX));
}

#[test]
fn it_is_used_once() {
    let bench = Bench::new();
    let wanted = call("ag_1", "{}", NOW);
    let id = bench.open(&wanted, &[ask("p")]).record.id;
    assert!(bench.held(&wanted).is_none(), "nobody has agreed");
    bench.decide(&id, &person("pe_1", Kind::Owner), Say::Approve, NOW).unwrap();
    assert!(bench.held(&call("ag_2", "{}", NOW)).is_none() && bench.held(&call("ag_1", r#"{"a":1}"#, NOW)).is_none());
    let (one, two) = (bench.held(&wanted).unwrap(), bench.held(&wanted).unwrap());
    assert!(one.answers(&author("p")) && !one.answers(&author("q")));
    let changed = Author { digest: "sha256:9".into(), ..author("p") };
    assert!(!one.answers(&changed), "another component");
    assert!(bench.use_up(one, &wanted));
    assert!(!bench.use_up(two, &wanted), "twice");
    let key = IdempotencyKey::of_approval(&id);
    assert!(matches!(bench.standing(&wanted), Ok(Standing::Used { key: found, .. }) if found == key));
    let keyed = Call { key: Some(IdempotencyKey::parse("k").unwrap()), ..wanted.clone() };
    assert!(matches!(bench.standing(&keyed), Ok(Standing::None)), "a key of its own is another call");
    let named = Call { approval: Some(id.clone()), ..keyed };
    assert!(matches!(bench.standing(&named), Ok(Standing::Used { .. })));

    let layer = bench.layer.clone();
    bench.store.commit_blocking(move |tx| layer.give_back(tx, &id)).unwrap();
    assert!(bench.held(&wanted).is_some(), "the call was not executed");
}

#[test]
fn a_definition_that_changed_was_not_agreed_to() {
    let bench = Bench::new();
    let wanted = call("ag_1", "{}", NOW);
    let id = bench.approved(&wanted, &[ask("p")]);
    let mut changed = Call { approval: Some(id), ..wanted };
    changed.tool = tool(|tool| tool.digest = "sha256:other".into());
    assert!(matches!(bench.standing(&changed), Ok(Standing::None)));
    changed.approval = None;
    assert!(matches!(bench.standing(&changed), Ok(Standing::None)));
}

#[test]
fn persons_decide_once_each_and_never_on_their_own() {
    let bench = Bench::new();
    let wanted = call("pe_9", "{}", NOW);
    let id = bench.open(&wanted, &[Ask { quorum: 2, ..ask("p") }]).record.id;
    let (one, two) = (person("pe_1", Kind::Approver), person("pe_2", Kind::Owner));
    let decide = |by: &Actor, say: Say| bench.decide(&id, by, say, NOW);
    assert!(matches!(decide(&person("pe_3", Kind::Auditor), Say::Approve), Err(DecideError::NotADecider(_))));
    assert!(matches!(decide(&person("pe_9", Kind::Owner), Say::Approve), Err(DecideError::Own(_))));
    assert_eq!(decide(&one, Say::Approve).unwrap().status, Status::Pending, "one of two");
    assert!(matches!(decide(&one, Say::Approve), Err(DecideError::Again(..))));
    assert!(bench.held(&wanted).is_none());
    assert_eq!(decide(&two, Say::Approve).unwrap().status, Status::Approved);
    assert!(matches!(decide(&person("pe_4", Kind::Owner), Say::Approve), Err(DecideError::Over(_, "approved"))));
    assert!(matches!(bench.decide("appr_x", &one, Say::Approve, NOW), Err(DecideError::Unknown(_))));
}

#[test]
fn a_rejection_stands_until_its_time_is_over() {
    let bench = Bench::new();
    let wanted = call("ag_1", "{}", NOW);
    let id = bench.open(&wanted, &[ask("p")]).record.id;
    let no = Say::Reject { reason: "too dear".into() };
    bench.decide(&id, &person("pe_1", Kind::Approver), no, at(1)).unwrap();
    let again = bench.open(&call("ag_1", "{}", at(2)), &[ask("p")]);
    assert!(!again.new && again.record.status == Status::Rejected);
    let refusal = rejected(&again.record);
    assert!(refusal.code == Code::ApprovalRejected && refusal.message.contains("too dear"), "{}", refusal.message);
    let named = Call { approval: Some(id.clone()), ..call("ag_1", "{}", at(2)) };
    assert_eq!(bench.standing(&named).unwrap_err().code, Code::ApprovalRejected);
    assert!(bench.open(&call("ag_1", "{}", at(60)), &[ask("p")]).new);
}

#[test]
fn what_nobody_decides_or_uses_in_time_expires() {
    let bench = Bench::new();
    let wanted = call("ag_1", r#"{"secret":"s3cr3t"}"#, NOW);
    let pending = bench.open(&wanted, &[ask("p")]).record.id;
    let unused = bench.approved(&call("ag_1", r#"{"b":1}"#, NOW), &[ask("p")]);
    let late = at(60);
    assert!(matches!(
        bench.decide(&pending, &person("pe_1", Kind::Owner), Say::Approve, late),
        Err(DecideError::Over(_, "expired"))
    ));
    assert!(bench.held(&call("ag_1", r#"{"b":1}"#, late)).is_none());
    let named = Call { approval: Some(pending.clone()), ..call("ag_1", r#"{"secret":"s3cr3t"}"#, late) };
    assert_eq!(bench.standing(&named).unwrap_err().code, Code::ApprovalExpired);
    assert!(bench.expire(at(59)).is_empty());
    let mut expired: Vec<String> = bench.expire(late).into_iter().map(|record| record.id).collect();
    expired.sort();
    let mut both = vec![pending.clone(), unused];
    both.sort();
    assert_eq!(expired, both);
    assert!(bench.expire(late).is_empty(), "once");
    let record = find(&bench.store, &pending).unwrap().unwrap();
    assert_eq!((record.status, bench.layer.exactly(&record).unwrap()), (Status::Expired, None));
    let gone = late.plus(limits::APPROVAL_KEPT);
    assert!(bench.expire(gone).is_empty());
    assert!(find(&bench.store, &pending).unwrap().is_none() && newest(&bench.store, 10, |_| true).unwrap().is_empty());
}

#[test]
fn the_exact_arguments_are_there_while_it_waits_and_sealed() {
    let bench = Bench::new();
    let text = r#"{"card":"4111111111111111","pin":"1234","n":9007199254740993}"#;
    let mut wanted = call("ag_1", text, NOW);
    wanted.tool = tool(|tool| tool.secret_arguments = vec!["/pin".to_owned()]);
    let asks = [Ask { summary: "pay with 4111 1111 1111 1111".into(), ..ask("p") }];
    let record = bench.open(&wanted, &asks).record;
    let exact = bench.layer.exactly(&record).unwrap().unwrap();
    assert_eq!(exact.arguments, r#"{"card":"4111111111111111","pin":"***","n":9007199254740993}"#);
    assert_eq!(exact.summaries, ["pay with 4111 1111 1111 1111"]);
    let kept = serde_json::to_string(&record).unwrap();
    assert!(!kept.contains("4111") && !kept.contains("1234"), "{kept}");
    let decided = bench.decide(&record.id, &person("pe_1", Kind::Owner), Say::Approve, NOW).unwrap();
    assert_eq!(bench.layer.exactly(&decided).unwrap(), None);
}

#[test]
fn an_agent_has_a_bounded_number_of_them_waiting() {
    let bench = Bench::new();
    for number in 0..limits::APPROVALS_PENDING_MAX {
        bench.open(&call("ag_1", &format!("{{\"n\":{number}}}"), NOW), &[ask("p")]);
    }
    let open = |agent: &str| {
        let (layer, call) = (bench.layer.clone(), call(agent, r#"{"one":"more"}"#, NOW));
        bench.store.commit_blocking(move |tx| layer.open(tx, &call, &[ask("p")])).unwrap()
    };
    assert!(open("ag_1").is_err());
    assert!(open("ag_2").is_ok());
    assert_eq!(bench.expire(NOW.plus(HOUR)).len(), 64);
    assert!(open("ag_1").is_ok());
}

#[test]
fn a_call_refers_only_to_an_approval_of_its_own() {
    let bench = Bench::new();
    let id = bench.approved(&call("ag_1", "{}", NOW), &[ask("p")]);
    for (agent, arguments, id) in [("ag_2", "{}", id.as_str()), ("ag_1", r#"{"a":1}"#, &id), ("ag_1", "{}", "appr_0")] {
        let named = Call { approval: Some(id.to_owned()), ..call(agent, arguments, NOW) };
        let refusal = bench.standing(&named).unwrap_err();
        assert_eq!(refusal.code, Code::InvalidArguments);
        assert!(agent == "ag_1" || !refusal.message.contains("pay"), "nothing is told of another's");
    }
    let named = Call { approval: Some("x".repeat(5000)), ..call("ag_1", "{}", NOW) };
    assert_eq!(bench.standing(&named).unwrap_err().code, Code::InvalidArguments);
}

#[test]
fn only_the_limit_that_was_shown_is_lifted_and_only_so_far() {
    let bench = Bench::new();
    let wanted = call("ag_1", "{}", NOW);
    let limit = |max: i64, total: i64| LimitPassed {
        account: "agent:ag_1".into(),
        currency: "EUR".into(),
        counts: false,
        window: Some(HOUR),
        max: max.into(),
        total: total.into(),
    };
    let about = |limit: LimitPassed| Ask { limit: Some(limit), ..ask("p") };
    let id = bench.approved(&wanted, &[about(limit(500, 600))]);
    let held = bench.held(&wanted).unwrap();
    assert_eq!(held.agreed(&author("p"), &limit(500, 0)), Some(600.into()));
    assert!(held.names(&author("p")) && !held.answers(&author("p")), "nobody was asked what the policy itself asks");
    assert_eq!(held.agreed(&author("p"), &limit(800, 0)), None, "another limit");
    assert_eq!(held.agreed(&author("q"), &limit(500, 0)), None, "another policy");
    let again = |asks: &[Ask]| bench.open(&wanted, asks).record.id == id;
    assert!(again(&[about(limit(500, 600))]) && again(&[about(limit(500, 550))]));
    assert!(!again(&[about(limit(500, 601))]), "further than a person was shown");
    assert!(!again(&[Ask { quorum: 2, ..ask("p") }]));
}

#[test]
fn nobody_is_asked_to_read_more_than_anybody_does() {
    let bench = Bench::new();
    let long = call("ag_1", &format!("{{\"a\":\"{}\"}}", "x".repeat(limits::APPROVAL_ARGUMENTS_BYTES_MAX)), NOW);
    let layer = bench.layer.clone();
    let opened = bench.store.commit_blocking(move |tx| layer.open(tx, &long, &[ask("p")])).unwrap();
    assert!(matches!(opened, Err(TooMuch::Arguments(_))));
}
