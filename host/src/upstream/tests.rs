//! Against a real process: a server written by hand (`tests/server.py`) that does what no well-behaved one does.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::{Outcome, Upstream, UpstreamError};
use crate::call::{Arguments, Call, CorrelationId, Origin};
use crate::catalog::Tool;
use crate::clock::{Clock, Timestamp};
use crate::config::{Program, Reach, ServerConfig, Share, Variables};
use crate::identity::Principal;
use crate::limits;
use crate::permit::Permit;

const SERVER: &str = include_str!("tests/server.py");
const EXACT: &str = r#"{"n":1099.10,"big":9007199254740993,"e":1e400,"text":"é\u0001\"\\"}"#;

struct Bench {
    directory: TempDir,
    clock: Clock,
    upstream: Upstream,
}

fn config(directory: &Path, modern: bool) -> ServerConfig {
    std::fs::write(directory.join("server.py"), SERVER).unwrap();
    let mut command: Vec<String> = ["python3", "server.py", "calls.log"].map(String::from).into();
    if modern {
        command.push("--modern".into());
    }
    ServerConfig {
        name: "s".into(),
        reach: Reach::Child(Program {
            command,
            directory: directory.to_owned(),
            env: vec![],
            variables: Variables::default(),
        }),
        share: Share::All,
        prefix: true,
        timeout: Duration::from_secs(20),
    }
}

fn child(config: &mut ServerConfig) -> &mut Program {
    let Reach::Child(program) = &mut config.reach else { panic!("no child") };
    program
}

/// A server that runs, or why not.
async fn started(config: ServerConfig, clock: Clock) -> Result<Upstream, UpstreamError> {
    let upstream = Upstream::new(config, clock);
    upstream.start().await.map(|()| upstream)
}

async fn bench(change: impl FnOnce(&mut ServerConfig), modern: bool) -> Bench {
    let directory = TempDir::new().unwrap();
    let mut config = config(directory.path(), modern);
    change(&mut config);
    let clock = Clock::manual(Timestamp(0));
    let upstream = started(config, clock.clone()).await.unwrap();
    Bench { directory, clock, upstream }
}

fn permit(tool: &str, arguments: &str) -> Permit {
    permit_of("ag_1", tool, arguments)
}

fn permit_of(principal: &str, tool: &str, arguments: &str) -> Permit {
    Permit::for_test(std::sync::Arc::new(Call {
        id: CorrelationId::random().unwrap(),
        time: Timestamp(0),
        principal: Principal::for_test(principal, &[]).into(),
        tool: std::sync::Arc::new(Tool::for_test("s", tool)),
        arguments: Arguments::parse(arguments.as_bytes()).unwrap(),
        key: None,
        approval: None,
        origin: Origin::Rest,
        address: None,
        request_id: None,
    }))
}

impl Bench {
    async fn call(&self, tool: &str) -> Outcome {
        self.upstream.call(permit(tool, EXACT)).await
    }

    /// What the server noted: the lines of calls, as they arrived.
    fn noted(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.directory.path().join("calls.log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn answered(outcome: Outcome) -> String {
    match outcome {
        Outcome::Answered(answer) => answer.result,
        other => panic!("not answered: {other:?}"),
    }
}

#[tokio::test]
async fn numbers_pass_unchanged_in_both_directions_and_in_both_eras() {
    for modern in [false, true] {
        let bench = bench(|_| {}, modern).await;
        let result = answered(bench.call("echo").await);
        assert_eq!(result, format!(r#"{{"content":[],"structuredContent":{EXACT}}}"#));
        let noted = bench.noted();
        assert!(noted[0].contains(&format!(r#""arguments":{EXACT}"#)), "{noted:?}");
        assert!(noted[0].contains(r#""traceparent":"00-"#), "{noted:?}");
        assert_eq!(noted[0].contains(r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#), modern);
        // A result that no model of the protocol knows is passed on as it is.
        assert_eq!(answered(bench.call("odd").await), r#"{"own":[1.10],"content":"not a list"}"#);
    }
}

#[tokio::test]
async fn definitions_of_all_pages_keep_what_the_server_wrote() {
    let bench = bench(|_| {}, true).await;
    let tools = bench.upstream.tools().await.unwrap();
    assert_eq!(tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["first", "second"]);
    assert_eq!(
        tools[0].definition.to_text(),
        r#"{"name":"first","inputSchema":{"type":"object","maximum":1e400},"x-own":1.50,"annotations":{"readOnlyHint":true}}"#
    );
    assert!(tools[0].annotations.read_only);
}

#[tokio::test]
async fn a_call_that_kills_its_server_is_unknown_and_not_repeated() {
    let bench = bench(|_| {}, false).await;
    assert!(matches!(bench.call("die").await, Outcome::Unknown(_)));
    assert!(!bench.upstream.alive());
    // Too soon to start it again: nothing is sent.
    assert!(matches!(bench.call("echo").await, Outcome::NotSent(_)));
    bench.clock.advance(limits::UPSTREAM_RESTART_FIRST);
    answered(bench.call("echo").await);
    let noted = bench.noted();
    assert_eq!(noted.len(), 2, "{noted:?}");
    assert!(noted[0].contains(r#""name":"die""#) && noted[1].contains(r#""name":"echo""#), "{noted:?}");
}

#[tokio::test]
async fn calls_in_flight_are_unknown_when_the_server_dies() {
    let bench = bench(|_| {}, false).await;
    let (silent, died) = tokio::join!(bench.call("silent"), bench.call("die"));
    assert!(matches!(silent, Outcome::Unknown(_)), "{silent:?}");
    assert!(matches!(died, Outcome::Unknown(_)), "{died:?}");
}

#[tokio::test]
async fn errors_say_whether_anything_was_executed() {
    let bench = bench(|_| {}, false).await;
    assert!(matches!(bench.call("refuse").await, Outcome::NotExecuted { code: -32601, .. }));
    let Outcome::Failed { code, message } = bench.call("fail").await else { panic!() };
    assert_eq!((code, message.as_str()), (-32603, "broken inside"));
    assert!(matches!(bench.call("input").await, Outcome::Unknown(_)));
}

#[tokio::test]
async fn a_silent_server_is_unknown_and_told_that_nobody_waits() {
    let bench = bench(|config| config.timeout = Duration::from_millis(50), false).await;
    assert!(matches!(bench.call("silent").await, Outcome::Unknown(_)));
    // It reads in order: once it has listed its tools it has read the cancellation.
    bench.upstream.tools().await.unwrap();
    assert_eq!(bench.noted()[1..], ["cancelled"]);
    assert!(bench.upstream.alive());
}

#[tokio::test]
async fn a_server_gets_nothing_of_the_environment_but_what_it_may() {
    let always = ["PATH", "HOME", "LANG", "TMPDIR", "PWD"];
    let plain = std::env::vars().filter(|(_, value)| !value.contains('\n'));
    let mut others = plain.map(|(name, _)| name).filter(|name| !always.contains(&name.as_str()));
    let (named, hidden) = (others.next().unwrap(), others.next().expect("there is something to hide"));
    let directory = TempDir::new().unwrap();
    let mut config = config(directory.path(), false);
    child(&mut config).env = vec![named.clone(), "NOT_SET_ANYWHERE".into()];
    // A shell notes what it was given and becomes the server; it adds its own `PWD`.
    child(&mut config).command =
        ["/bin/sh", "-c", "env > given; exec python3 server.py calls.log"].map(String::from).into();
    started(config, Clock::system()).await.unwrap();
    let given = std::fs::read_to_string(directory.path().join("given")).unwrap();
    let names: Vec<_> = given.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    assert!(names.iter().all(|name| *name == named || always.contains(name)), "{names:?}");
    assert!(names.contains(&named.as_str()) && names.contains(&"PATH"), "{names:?} {hidden}");
}

#[tokio::test]
async fn noise_and_long_lines_kill_nobody() {
    let bench = bench(|config| config.timeout = Duration::from_secs(60), false).await;
    answered(bench.call("noise").await);
    tokio::time::timeout(Duration::from_secs(60), bench.upstream.changed()).await.unwrap();
    answered(bench.call("echo").await);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_unknown() {
    let bench = bench(|_| {}, false).await;
    let Outcome::Unknown(why) = bench.call("huge").await else { panic!() };
    assert!(why.contains(&limits::ANSWER_BYTES_MAX.to_string()), "{why}");
    answered(bench.call("echo").await);
}

#[tokio::test]
async fn what_a_server_asks_of_its_client_is_declined() {
    let bench = bench(|_| {}, false).await;
    let result: serde_json::Value = serde_json::from_str(&answered(bench.call("ask").await)).unwrap();
    assert_eq!(result["answer"]["id"], "s1");
    assert_eq!(result["answer"]["error"]["code"], -32601, "{result}");
}

#[tokio::test]
async fn many_calls_at_once_get_their_own_answers() {
    let bench = bench(|_| {}, false).await;
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..100 {
        let upstream = bench.upstream.clone();
        calls.spawn(async move {
            let arguments = format!(r#"{{"n":{n}.0}}"#);
            (answered(upstream.call(permit("echo", &arguments)).await), arguments)
        });
    }
    while let Some(done) = calls.join_next().await {
        let (result, arguments) = done.unwrap();
        assert_eq!(result, format!(r#"{{"content":[],"structuredContent":{arguments}}}"#));
    }
    assert_eq!(bench.noted().len(), 100);
}

#[tokio::test]
async fn each_principal_has_a_process_of_its_own_where_it_is_to() {
    for share in [Share::All, Share::Principal] {
        let bench = bench(|config| config.share = share, false).await;
        let pid = async |principal: &str| {
            let result = answered(bench.upstream.call(permit_of(principal, "pid", "{}")).await);
            serde_json::from_str::<serde_json::Value>(&result).unwrap()["pid"].to_string()
        };
        let (one, other, again) = (pid("ag_1").await, pid("ag_2").await, pid("ag_1").await);
        assert_eq!((one == again, one == other), (true, share == Share::All));
        if share == Share::All {
            continue;
        }
        // One agent's death is not another's, nor the gate's own.
        assert!(matches!(bench.call("die").await, Outcome::Unknown(_)));
        assert!(matches!(bench.call("pid").await, Outcome::NotSent(_)));
        assert_eq!(pid("ag_2").await, other);
        assert_eq!(bench.upstream.tools().await.unwrap().len(), 2);
        bench.clock.advance(limits::UPSTREAM_IDLE);
        bench.upstream.end_idle();
        let process = Path::new("/proc").join(&other);
        let gone = async {
            while process.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await
            }
        };
        tokio::time::timeout(Duration::from_secs(60), gone).await.unwrap();
        assert!(bench.upstream.alive(), "the gate's own does not lie idle");
        assert_ne!(pid("ag_2").await, other);
        bench.upstream.stop().await;
        assert!(matches!(bench.upstream.call(permit_of("ag_3", "pid", "{}")).await, Outcome::NotSent(_)));
    }
}

#[tokio::test]
async fn a_stopped_server_is_gone_for_good() {
    let bench = bench(|_| {}, false).await;
    bench.upstream.stop().await;
    bench.clock.advance(Duration::from_secs(60));
    assert!(matches!(bench.call("echo").await, Outcome::NotSent(_)));
    assert!(bench.noted().is_empty());
}

#[tokio::test]
async fn a_server_that_cannot_start_yet_is_tried_again() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path(), false);
    let script = directory.path().join("server.py");
    let later = std::fs::read(&script).unwrap();
    std::fs::write(&script, "raise SystemExit(1)").unwrap();
    let clock = Clock::manual(Timestamp(0));
    let upstream = Upstream::new(config, clock.clone());
    assert!(!upstream.alive());
    assert!(matches!(upstream.tools().await, Err(UpstreamError::Handshake { .. })));
    std::fs::write(&script, later).unwrap();
    assert!(matches!(upstream.tools().await, Err(UpstreamError::Pausing { .. })));
    clock.advance(limits::UPSTREAM_RESTART_FIRST);
    assert_eq!(upstream.tools().await.unwrap().len(), 2);
    upstream.changed().await;
}

#[tokio::test]
async fn one_that_keeps_failing_is_tried_after_growing_pauses_and_its_last_words_are_told() {
    let directory = TempDir::new().unwrap();
    let mut config = config(directory.path(), false);
    let last = "no \x1b[31mcard 4111 1111 1111 1111 for Bearer abcdefghijklmnopqrstuvwxyz";
    let script = format!("echo >>starts; printf 'first\\n{last}\\n\\n' >&2; exit 1");
    child(&mut config).command = ["/bin/sh", "-c", &script].map(String::from).into();
    let clock = Clock::manual(Timestamp(0));
    let upstream = Upstream::new(config, clock.clone());
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        let Err(error) = upstream.tools().await else { panic!("it lists its tools") };
        assert!(matches!(error, UpstreamError::Handshake { .. }), "{error:?}");
        let told = error.to_string();
        assert!(told.contains("`no \\u{1b}[31mcard ***") && !told.contains("abcdefghij"), "{told}");
        clock.advance(Duration::from_millis(pause * 1000 - 1));
        let Err(error) = upstream.tools().await else { panic!("it lists its tools") };
        let told = error.to_string();
        assert!(told.contains("again in 1 s") && told.contains("card"), "{told}");
        let Outcome::NotSent(told) = upstream.call(permit("echo", "{}")).await else { panic!("it was sent") };
        assert!(told.contains("again in 1 s") && !told.contains("card"), "{told}");
        clock.advance(Duration::from_millis(1));
    }
    assert_eq!(std::fs::read(directory.path().join("starts")).unwrap().len(), 7);
}

#[tokio::test]
async fn one_that_was_up_for_a_while_is_started_again_at_once() {
    let bench = bench(|_| {}, false).await;
    for _ in 0..3 {
        assert!(matches!(bench.call("die").await, Outcome::Unknown(_)));
        bench.clock.advance(Duration::from_secs(60));
        answered(bench.call("echo").await);
        assert!(matches!(bench.call("die").await, Outcome::Unknown(_)));
        let Outcome::NotSent(told) = bench.call("echo").await else { panic!("it was sent") };
        assert!(told.contains("again in 1 s"), "{told}");
        bench.clock.advance(Duration::from_secs(60));
        answered(bench.call("echo").await);
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let directory = TempDir::new().unwrap();
    for program in ["no-such-program-anywhere", "./beside/the/configuration"] {
        let mut config = config(directory.path(), false);
        child(&mut config).command = vec![program.into()];
        // The agent is told that it does not run, and not which program it is.
        let upstream = Upstream::new(config.clone(), Clock::system());
        let Outcome::NotSent(told) = upstream.call(permit("echo", "{}")).await else { panic!("it was sent") };
        assert!(told.contains("`s`") && !told.contains(program), "{told}");
        let Err(error) = started(config, Clock::system()).await else { panic!("it started") };
        assert!(matches!(error, UpstreamError::Spawn { .. }));
        let text = error.to_string();
        assert!(text.contains("`s`") && text.contains(program), "{text}");
    }
}

#[tokio::test]
async fn a_relative_program_is_looked_for_beside_the_configuration() {
    let directory = TempDir::new().unwrap();
    let mut config = config(directory.path(), false);
    let script = directory.path().join("run");
    std::fs::write(&script, "#!/bin/sh\nexec python3 server.py calls.log\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    child(&mut config).command = vec!["./run".into()];
    assert!(started(config, Clock::system()).await.unwrap().alive());
}
