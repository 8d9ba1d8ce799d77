//! Servers that fail to start or to do what they are asked, and what they are given. Calls whose outcome nobody knows are in
//! `failures`.

use crate::harness::{Answer, Caller, Door, Setup, odd, until};

/// A call, made again as long as the server is on its way back.
pub(crate) async fn served(caller: &Caller, tool: &str, arguments: &str) -> Answer {
    until("the server", async || {
        let answer = caller.call(tool, arguments).await;
        (answer.code() != Some("upstream_unavailable")).then_some(answer)
    })
    .await
}

fn euros(amount: &str, mark: &str) -> String {
    format!(r#"{{"amount":"{amount}","currency":"EUR","mark":"{mark}"}}"#)
}

/// The money of a call is gone where the tool ran, kept where that is not known, and free where it is known not to have run.
#[tokio::test]
async fn what_becomes_of_the_money() {
    let gate = Setup { servers: odd::server(), ..Setup::default() }.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    let not_executed = |code: &str| format!(r#"{{"amount":"500.00","currency":"EUR","code":{code}}}"#);
    for code in ["-32601"; 5] {
        buyer.call("odd__error", &not_executed(code)).await.refused("upstream_error");
    }
    let failed = buyer.call("odd__fail", &euros("500.00", "fail")).await;
    assert_eq!(failed.result()["isError"], true);
    // A server may say this of its own result, after the tool has run.
    buyer.call("odd__error", &not_executed("-32602")).await.refused("upstream_error");
    buyer.call("odd__die", &euros("500.00", "die")).await.refused("outcome_unknown");
    served(&buyer, "odd__echo", &euros("499.99", "echo")).await.executed();
    buyer.call("odd__echo", &euros("0.02", "more")).await.refused("cap_exceeded");
    buyer.call("odd__echo", &euros("0.01", "last")).await.executed();
}

#[tokio::test]
async fn a_failure_can_be_free() {
    let tool = "\n[[tool]]\nname = \"odd__fail\"\non_error = \"release\"\n";
    let gate = Setup { servers: odd::server() + tool, ..Setup::default() }.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    for number in 0..6 {
        let failed = buyer.call("odd__fail", &euros("500.00", &number.to_string())).await;
        assert_eq!(failed.result()["isError"], true, "{}", failed.text);
    }
}

#[tokio::test]
async fn one_that_does_not_start_is_told_and_takes_no_other_down() {
    let servers = Setup::default().servers + "\n[[server]]\nname = \"odd\"\ncommand = [\"./no-such-program\"]\n";
    let gate = Setup { servers, ..Setup::default() }.start().await;
    let buyer = gate.agent("bob", "buyer", Door::Rest).await;
    buyer.call("market__list_deals", "{}").await.executed();
    buyer.call("odd__echo", "{}").await.refused("unknown_tool");
    let ready = buyer.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["degraded"]), (200, &true.into()), "{}", ready.text);
    assert!(ready.body["reasons"].to_string().contains("odd"), "{}", ready.text);
}

/// The environment of the gate is not the children's.
#[tokio::test]
async fn a_server_gets_only_what_it_is_given() {
    let print = "tr '\\0' '\\n' </proc/$$/environ >env.next; mv env.next env.txt; exec cat";
    let servers = format!(
        "\n[[server]]\nname = \"env\"\nenv = [\"PORTCULLIS_TEST_GIVEN\", \"PORTCULLIS_TEST_UNSET\"]\ncommand = [\"sh\", \"-c\", {print:?}]\n"
    );
    let mut gate = Setup { servers, ..Setup::default() }.write();
    gate.set_env([("PORTCULLIS_TEST_GIVEN", "1"), ("PORTCULLIS_TEST_SECRET", "1"), ("PORTCULLIS_KEY", "pk_1")]);
    gate.start().await;
    let path = gate.folder().join("env.txt");
    let names = until("the server", async || std::fs::read_to_string(&path).ok()).await;
    for name in names.lines().map(|line| line.split('=').next().unwrap()) {
        let given = ["PATH", "HOME", "LANG", "TMPDIR", "PORTCULLIS_TEST_GIVEN"];
        assert!(given.contains(&name), "`{name}` reached the server");
    }
    assert!(names.contains("PORTCULLIS_TEST_GIVEN=1") && !names.contains("SECRET") && !names.contains("pk_1"));
    let warned =
        gate.log().lines().filter(|line| line.contains("WARN") && line.contains("PORTCULLIS_TEST_UNSET")).count();
    assert_eq!(warned, 1, "{}", gate.log());
}

/// A server that never gets ready ends with a gate that is told to end in the middle of its start.
#[tokio::test]
async fn one_that_is_only_starting_ends_with_the_gate() {
    let command = ["sh", "-c", "echo $$ > mute.pid; exec sleep 1000"];
    let servers = format!("\n[[server]]\nname = \"mute\"\ncommand = {command:?}\n");
    let mut gate = Setup { servers, ..Setup::default() }.write();
    gate.start().await;
    let file = gate.folder().join("mute.pid");
    let whole = async || std::fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n'));
    let pid = until("the server", whole).await;
    assert_eq!(gate.terminate().await, Some(0));
    let process = std::path::Path::new("/proc").join(pid.trim());
    until("the end of the server", async || (!process.exists()).then_some(())).await;
}
