//! How the verdicts of many become one outcome.

use super::*;

/// A component with one verdict, as it lies in memory at 1300; texts are at 1400.
fn says(verdict: &str, text: &str, visible: i32) -> Vec<u8> {
    let fields = format!(
        r#"(data (i32.const 1300) "{verdict}") (data (i32.const 1400) "{text}")
           (func (export "evaluate") (param i32) (result i32) (i32.const 1300))
           (func (export "visible") (param i32) (result i32) (i32.const {visible}))"#
    );
    assemble(&component_text(&fields))
}

fn deny() -> Vec<u8> {
    // The reason and the pointer: 4 and 2 bytes of the text.
    says(r"\00\00\00\00\78\05\00\00\04\00\00\00\01\00\00\00\7c\05\00\00\02\00\00\00", "nope/a", 0)
}

fn ask() -> Vec<u8> {
    says(r"\01\00\00\00\78\05\00\00\05\00\00\00", "pay 5", 1)
}

fn allow() -> Vec<u8> {
    // No charges, one tag.
    says(r"\02\00\00\00\00\00\00\00\00\00\00\00\80\05\00\00\01\00\00\00", r"tagsxxxx\78\05\00\00\04\00\00\00", 1)
}

fn pass() -> Vec<u8> {
    says(r"\03", "", 1)
}

fn chain(entries: &[(&str, &str)]) -> Policies {
    let policies: String = entries
        .iter()
        .enumerate()
        .map(|(index, (module, rest))| {
            format!("[[policy]]\nname = '{module}{index}'\nmodule = '{module}.wasm'\n{rest}\n")
        })
        .collect();
    let policies = open(
        &policies,
        &[
            ("deny.wasm", deny()),
            ("ask.wasm", ask()),
            ("allow.wasm", allow()),
            ("pass.wasm", pass()),
            ("trap.wasm", guest("hostile/trap.wat")),
        ],
    );
    assert_eq!(policies.why(), None);
    policies
}

async fn asked(entries: &[(&str, &str)]) -> (&'static str, Vec<String>, Judged) {
    let judged = judged(&chain(entries), &call("{}")).await;
    (code(&judged), judged.decisions.iter().map(|decision| decision.policy.clone()).collect(), judged)
}

const MONITOR: &str = "mode = 'monitor'";

#[tokio::test]
async fn verdicts_combine() {
    let (code, names, judged) = asked(&[("pass", ""), ("allow", "")]).await;
    assert_eq!((code, names.len()), ("allowed", 2));
    let Answer::Allowed(allowed) = judged.outcome.unwrap() else { panic!("nobody is asked") };
    assert!(allowed.approval().is_none());
    assert_eq!((allowed.generation(), allowed.obligations().tags.as_slice()), (1, ["tags".to_owned()].as_slice()));

    let (code, names, judged) = asked(&[("allow", ""), ("deny", ""), ("trap", "")]).await;
    assert_eq!((code, names.join(" ").as_str()), ("denied", "allow0 deny1"), "nobody is asked after a deny");
    let refusal = judged.outcome.unwrap_err();
    assert_eq!((refusal.message.as_str(), refusal.policy.as_deref()), ("nope", Some("deny1")));
    assert_eq!(refusal.details, Some(serde_json::json!({ "pointer": "/a" })));

    let (code, _, judged) = asked(&[("pass", "")]).await;
    let message = judged.outcome.unwrap_err().message;
    assert!(code == "denied" && message.starts_with("no policy allows `market__create_deal`"), "{message}");

    let (code, _, judged) = asked(&[("allow", ""), ("ask", "")]).await;
    assert_eq!(code, "asked");
    let Answer::Asked(asked_for) = judged.outcome.unwrap() else { panic!("a person is asked") };
    let asks = asked_for.questions.asks();
    assert_eq!((asks.len(), asks[0].summary.as_str(), asks[0].author.policy.as_str()), (1, "pay 5", "ask1"));

    let (code, ..) = asked(&[("ask", ""), ("trap", "")]).await;
    assert_eq!(code, "policy_fault");
}

#[tokio::test]
async fn a_monitored_policy_is_recorded_and_never_counts() {
    let (code, names, judged) = asked(&[("deny", MONITOR), ("trap", MONITOR), ("ask", MONITOR), ("allow", "")]).await;
    assert_eq!((code, names.len()), ("allowed", 4));
    assert_eq!(judged.decisions[1].failure.as_ref().unwrap().code, "policy_fault");
    let json = serde_json::to_value(&judged.decisions[0]).unwrap();
    assert_eq!(json["mode"], "monitor");
    assert_eq!(json["verdict"], serde_json::json!({ "deny": { "reason": "nope", "pointer": "/a", "tags": [] } }));

    let (code, ..) = asked(&[("allow", MONITOR)]).await;
    assert_eq!(code, "denied", "it does not count as a yes either");
}

#[tokio::test]
async fn a_policy_is_asked_about_its_tools_only() {
    let (code, names, _) = asked(&[("deny", "tools = ['kitchen__*', 'market__cook']"), ("allow", "")]).await;
    assert_eq!((code, names.join(" ").as_str()), ("allowed", "allow1"));
    let (code, ..) = asked(&[("allow", "tools = ['kitchen__*']")]).await;
    assert_eq!(code, "denied");
}

#[tokio::test]
async fn a_tool_is_hidden_by_an_enforcing_never() {
    let principal = Arc::new(Principal::for_test("ag_1", &[]));
    let tools = [tool("market__a", &[]), tool("kitchen__a", &[])];
    for (entries, expected) in [
        (vec![("allow", "")], [true, true]),
        (vec![("allow", ""), ("deny", "tools = ['kitchen__*']")], [true, false]),
        (vec![("allow", ""), ("deny", MONITOR)], [true, true]),
    ] {
        let policies = chain(&entries);
        let set = policies.set().unwrap();
        for _ in 0..2 {
            assert_eq!(policies.visible(&set, &principal, &tools).await.unwrap(), expected, "{entries:?}");
        }
    }
}

#[tokio::test]
async fn what_is_visible_is_remembered_for_exactly_one_principal_and_definition() {
    let policies = chain(&[("allow", "")]);
    let set = policies.set().unwrap();
    let one = Principal::for_test("ag_1", &["a"]);
    let tools = [tool("market__a", &[])];
    assert_eq!(policies.visible(&set, &Arc::new(one.clone()), &tools).await.unwrap(), [true]);
    assert!(visible::known(&set, &one, &tools)[0].is_ok());
    let mut changed = Vec::new();
    for change in [
        (|p| p.id = "ag_2".into()) as fn(&mut Principal),
        |p| p.name = "x".into(),
        |p| p.kind = crate::identity::Kind::Owner,
        |p| p.owner = Some("x".into()),
        |p| p.roles = vec!["b".into()],
        |p| p.trust = 1,
        |p| p.claims = vec![("a".into(), "b".into())],
    ] {
        let mut other = one.clone();
        change(&mut other);
        changed.push(visible::known(&set, &other, &tools)[0].is_err());
    }
    assert_eq!(changed, [true; 7]);
    let mut redefined = Arc::into_inner(tool("market__a", &[])).unwrap();
    redefined.digest = format!("sha256:{}", "1".repeat(64));
    assert!(visible::known(&set, &one, &[Arc::new(redefined)])[0].is_err());
}

#[test]
fn vectors_are_run_on_the_component() {
    let vectors = r#"{
        "settings": {},
        "cases": [
            { "name": "good", "call": { "tool": "a__b" }, "expect": { "deny": { "reason": "op", "pointer": "/a" } } },
            { "name": "no pointer", "call": { "tool": "a__b" }, "expect": { "deny": { "reason": "nope" } } },
            { "name": "a verdict", "call": { "tool": "a__b", "arguments": { "n": 1.10 } }, "expect": { "pass": {} } },
            { "name": "hidden", "settings": { "a": 1 }, "call": { "tool": "a__b" }, "expect": { "visible": "never" } },
            { "name": "shown", "call": { "tool": "a__b" }, "expect": { "visible": "maybe" } },
            { "name": "no problems", "expect": { "problems": [] } },
            { "name": "problems", "expect": { "problems": [{ "pointer": "/a" }] } }
        ]
    }"#;
    let report = run_vectors(&deny(), vectors).unwrap();
    let differ: Vec<&str> = report.differ.iter().map(|case| case.name.as_str()).collect();
    assert_eq!((report.cases, report.passed, report.snapshotted), (7, 3, true), "{report:?}");
    assert_eq!(differ, ["no pointer", "a verdict", "shown", "problems"]);
    assert!(matches!(
        run_vectors(&deny(), r#"{"settings": {}, "cases": [], "cases2": []}"#),
        Err(VectorError::Format(_))
    ));
    assert!(matches!(
        run_vectors(b"junk", r#"{"settings": {}, "cases": []}"#),
        Err(VectorError::Load(LoadError::NotWasm))
    ));
}

#[test]
fn bundled_policies_pass_their_own_vectors() {
    for name in bundled::names() {
        let (component, vectors) = (bundled::component(name).unwrap(), bundled::vectors(name).unwrap());
        let report = run_vectors(component, vectors).unwrap();
        assert_eq!(report.differ, [], "{name}");
        assert!(report.cases > 0 && report.snapshotted, "{name}: {report:?}");
    }
}
