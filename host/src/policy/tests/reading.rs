//! What policies can read, and what they cannot.

use super::*;
use crate::policy::arguments;
use crate::policy::guest::portcullis::policy::{facts, json as contract};
use crate::verdict::Verdict;

fn whole(file: &str) -> Vec<u8> {
    assemble(&guests(file).replace("CONTRACT", &guests("contract.wat")).replace("EXPORTS", &guests("exports.wat")))
}

fn reader() -> Vec<u8> {
    whole("reader.wat")
}

const POLICIES: &str = "[[policy]]\nname = 'reader'\nmodule = 'reader.wasm'";

struct Asked {
    code: &'static str,
    private: String,
    verdict: Option<Verdict>,
    reads: Vec<(String, Option<String>)>,
}

async fn ask(policies: &Policies, arguments: &str, secrets: &[&str]) -> Asked {
    struct Counting;
    impl Facts for Counting {
        fn spent(&self, _: &Account, _: &str, _: Duration) -> Result<String, String> {
            Err("not asked for".into())
        }
        fn calls(&self, window: Duration) -> Result<u64, String> {
            assert_eq!(window, Duration::from_secs(3600));
            Ok(42)
        }
    }
    let call = call_of(tool("market__create_deal", secrets), arguments);
    let mut judged = policies.judge(&policies.set().unwrap(), &call, None, Arc::new(Counting)).await;
    let decision = judged.decisions.remove(0);
    Asked {
        code: code(&judged),
        private: judged.outcome.err().and_then(|refusal| refusal.private).unwrap_or_default(),
        verdict: decision.verdict,
        reads: decision.reads.into_iter().map(|read| (read.what, read.value)).collect(),
    }
}

fn read(what: &str, value: Option<&str>) -> (String, Option<String>) {
    (what.to_owned(), value.map(str::to_owned))
}

#[tokio::test]
async fn what_is_read_is_recorded() {
    let policies = open(POLICIES, &[("reader.wasm", reader())]);
    assert_eq!(policies.set().unwrap().list()[0].not_snapshotted, None);

    let asked = ask(&policies, "{}", &[]).await;
    assert_eq!((asked.code, asked.reads), ("allowed", vec![read("argument /do", None)]));

    let asked = ask(&policies, r#"{"do":"/amount","amount":1099.10}"#, &[]).await;
    assert_eq!(asked.code, "denied");
    let expected = [read("argument /do", Some("\"/amount\"")), read("argument /amount", Some("1099.10"))];
    assert_eq!(asked.reads, expected, "with a number's exact text");

    let asked = ask(&policies, r#"{"do":"calls"}"#, &[]).await;
    assert_eq!(asked.reads.last(), Some(&read("calls 3600000ms", Some("42"))));

    let asked = ask(&policies, r#"{"do":"all","b":1.50,"a":[]}"#, &[]).await;
    let Some(Verdict::Deny(denial)) = asked.verdict else { panic!("{:?}", asked.verdict) };
    assert_eq!(denial.reason, r#"{"a":[],"b":1.5,"do":"all"}"#);
    assert_eq!(asked.reads.last().unwrap().1.as_deref(), Some(arguments::sha256(denial.reason.as_bytes()).as_str()));
}

#[tokio::test]
async fn a_secret_does_not_reach_a_guest() {
    let policies = open(POLICIES, &[("reader.wasm", reader())]);
    let secrets = ["/card/number", "/pins/1"];
    let document = |what: &str| format!(r#"{{"do":"{what}","card":{{"number":"4111","owner":"o"}},"pins":["a","b"]}}"#);
    for (what, secret, open) in [
        ("/card/number", None, Some("\"4111\"")),
        ("/pins/1", None, Some("\"b\"")),
        ("/card", Some(r#"{"owner"}"#), Some(r#"{"number","owner"}"#)),
        ("/card/owner", Some("\"o\""), Some("\"o\"")),
    ] {
        let asked = ask(&policies, &document(what), &secrets).await;
        assert_eq!(asked.reads.last(), Some(&read(&format!("argument {what}"), secret)));
        let asked = ask(&policies, &document(what), &[]).await;
        assert_eq!(asked.reads.last(), Some(&read(&format!("argument {what}"), open)));
    }
    let asked = ask(&policies, &document("all"), &secrets).await;
    let Some(Verdict::Deny(denial)) = asked.verdict else { panic!("{:?}", asked.verdict) };
    assert_eq!(denial.reason, r#"{"card":{"owner":"o"},"do":"all","pins":["a",null]}"#);

    let asked = policies
        .judge(&policies.set().unwrap(), &call_of(tool("market__pay", &["no-pointer"]), "{}"), None, Arc::new(NoFacts))
        .await;
    assert_eq!(
        (code(&asked), asked.decisions.len()),
        ("policy_fault", 0),
        "nobody is asked with a secret that is not known"
    );
}

#[tokio::test]
async fn imports_are_bounded_and_checked() {
    let policies = open(POLICIES, &[("reader.wasm", reader())]);
    let asked = ask(&policies, r#"{"do":"bad"}"#, &[]).await;
    assert_eq!(asked.code, "policy_fault");
    assert!(asked.private.contains("`no` is not a JSON pointer"), "{}", asked.private);

    let asked = ask(&policies, r#"{"do":"facts"}"#, &[]).await;
    assert_eq!(asked.code, "policy_limit");
    assert!(asked.private.contains("more than 64 facts"), "{}", asked.private);

    let long = "x".repeat(10_000);
    let asked = ask(&policies, &format!(r#"{{"do":"storm","long":"{long}"}}"#), &[]).await;
    assert_eq!(asked.code, "policy_limit");
    assert!(asked.private.contains("bytes and members"), "{}", asked.private);

    let call = call(r#"{"do":"calls"}"#);
    let judged = judged(&policies, &call).await;
    assert_eq!(code(&judged), "policy_fault", "a fact that cannot be told");
    assert!(judged.outcome.unwrap_err().private.unwrap().contains("the store is closed"));
}

#[test]
fn nothing_can_be_read_while_it_is_configured() {
    let error = super::load(&reader(), r#"{"read":true}"#).err().unwrap().to_string();
    assert!(error.contains("its `configure` fails") && error.contains("only `evaluate` may read"), "{error}");
}

fn state() -> sandbox::State {
    let call = call(r#"{"list":[1,{"z":null,"a":true}],"":0,"a/b":"slash","é":1,"😀":2,"\ufb33":3}"#);
    let input = sandbox::Input {
        call: judge::said(&call),
        arguments: Arc::new(arguments::Arguments::of(&call).unwrap()),
        facts: Arc::new(NoFacts),
        zones: None,
        seed: [0; 16],
    };
    sandbox::State::for_test(&input)
}

#[test]
fn values_are_the_contracts() {
    use contract::Value as V;
    let mut state = state();
    let mut get = |pointer: &str| guest::portcullis::policy::arguments::Host::get(&mut state, pointer.into()).unwrap();
    assert!(matches!(get("/list"), Some(V::Items(2))));
    assert!(matches!(get("/list/0"), Some(V::Number(n)) if n == "1"));
    assert!(matches!(get("/list/1/z"), Some(V::Null)));
    assert!(matches!(get("/list/1/a"), Some(V::Boolean(true))));
    assert!(matches!(get("/"), Some(V::Number(n)) if n == "0"));
    assert!(matches!(get("/a~1b"), Some(V::Text(t)) if t == "slash"));
    for absent in ["/list/2", "/list/01", "/list/-", "/nothing", "/list/0/x"] {
        assert!(get(absent).is_none(), "{absent}");
    }
    // RFC 8785 sorts by UTF-16 code units: the surrogates of an emoji come before U+FB33.
    assert!(matches!(get(""), Some(V::Members(keys)) if keys == ["", "a/b", "list", "é", "😀", "\u{fb33}"]));
}

#[test]
fn local_time_knows_zones_and_offsets() {
    let mut state = state();
    let mut at = |zone: &str| facts::Host::local_time(&mut state, zone.into()).unwrap();
    // 2026-03-01T12:00:00Z, a Sunday.
    let hour = |local: Result<facts::ZonedTime, String>| local.map(|at| (at.day, at.weekday, at.hour, at.minute));
    assert_eq!(hour(at("UTC")), Ok((1, 7, 12, 0)));
    assert_eq!(hour(at("Europe/Paris")), Ok((1, 7, 13, 0)));
    assert_eq!(hour(at("Asia/Kolkata")), Ok((1, 7, 17, 30)));
    assert_eq!(hour(at("+13:30")), Ok((2, 1, 1, 30)));
    assert_eq!(hour(at("-12:01")), Ok((28, 6, 23, 59)));
    for bad in ["Europe/Atlantis", "", "+1:00", "+24:00", "+01:60", "+0a:00", "01:00", "../etc"] {
        assert!(at(bad).unwrap_err().contains(&format!("`{bad}`")));
    }
    assert!(facts::Host::local_time(&mut state, "x".repeat(300)).is_err());
}

#[test]
fn facts_are_asked_with_checked_words() {
    use crate::policy::guest::portcullis::policy::types::Account as A;
    let mut state = state();
    assert_eq!(facts::Host::spent(&mut state, A::Agent, "EUR".into(), 1).unwrap(), "12.50");
    assert!(facts::Host::spent(&mut state, A::Agent, "EUR".into(), 0).is_err());
    assert!(facts::Host::spent(&mut state, A::Agent, "EUR".into(), u64::MAX).is_err());
    assert!(facts::Host::spent(&mut state, A::Payee("x".repeat(300)), "EUR".into(), 1).is_err());
    assert!(facts::Host::spent(&mut state, A::Agent, "x".repeat(300), 1).is_err());
}

#[tokio::test]
async fn wasi_is_an_empty_world_that_can_be_repeated() {
    let policies = open("[[policy]]\nname = 'wasi'\nmodule = 'wasi.wasm'", &[("wasi.wasm", whole("wasi.wat"))]);
    assert_eq!(policies.why(), None);
    assert!(policies.set().unwrap().list()[0].not_snapshotted.as_ref().unwrap().contains("WASI"));
    let reason = async |call: &Arc<Call>| judged(&policies, call).await.outcome.unwrap_err().message;
    let (one, other) = (call("{}"), call("{}"));
    let said = reason(&one).await;
    assert_eq!(said, reason(&one).await, "the same call, the same randomness");
    assert_ne!(said, reason(&other).await, "another call, other randomness");
    // The call's time, 1772366400 s, in letters from the lowest four bits.
    let time: String =
        (0..16).map(|nibble| char::from(b'a' + (1_772_366_400_u64 >> (4 * nibble) & 15) as u8)).collect();
    assert_eq!(said.split_at(16).1, time);
}

#[tokio::test]
async fn waiting_traps() {
    let policies = "[[policy]]\nname = 'wasi'\nmodule = 'wasi.wasm'\nsettings = { wait = true }";
    let policies = open(policies, &[("wasi.wasm", whole("wasi.wat"))]);
    let refusal = judged(&policies, &call("{}")).await.outcome.unwrap_err();
    assert_eq!(refusal.code, Code::PolicyFault);
    assert!(refusal.private.unwrap().contains("a policy has nothing to wait for"));
}

#[tokio::test]
async fn facts_that_panic_are_a_fault() {
    struct Broken;
    impl Facts for Broken {
        fn spent(&self, _: &Account, _: &str, _: Duration) -> Result<String, String> {
            panic!("as the test wants")
        }
        fn calls(&self, _: Duration) -> Result<u64, String> {
            panic!("as the test wants")
        }
    }
    let policies = open(POLICIES, &[("reader.wasm", reader())]);
    let set = policies.set().unwrap();
    for _ in 0..2 * engine().threads() {
        let judged = policies.judge(&set, &call(r#"{"do":"calls"}"#), None, Arc::new(Broken)).await;
        assert_eq!((code(&judged), judged.decisions.len()), ("policy_fault", 1));
    }
    assert_eq!(code(&judged(&policies, &call("{}")).await), "allowed");
}
