//! After the story: the gate runs on, for whoever wants to try it.

use std::path::Path;

use serde_json::Value;

use super::super::Failure;
use super::super::export::{self, Client};
use super::super::serve::Signals;
use super::super::show::{Out, Tone};
use super::{said, stage::Stage};

pub(super) async fn run(out: &Out, stage: &Stage, signals: &mut Signals) -> Result<(), Failure> {
    show(out, stage)?;
    signals.next().await;
    Ok(())
}

fn show(out: &Out, stage: &Stage) -> Result<(), Failure> {
    let loud = |word: &str| out.tone(Tone::Loud, word);
    let quiet = |text: &str| out.line(&out.tone(Tone::Quiet, text));
    let door = stage.owner.door;
    out.line("")?;
    out.line(&loud("The gate runs on, until you stop it: Ctrl-C. Then all of it is gone."))?;
    out.line(&format!("agents    {}", stage.url))?;
    out.line(&format!("owners    http://{door}"))?;
    for agent in [&stage.scout, &stage.trader, &stage.buyer] {
        out.line(&format!("{:9} {}", agent.name, agent.key))?;
    }
    for (person, kind) in [(&stage.owner, "owner"), (&stage.approver, "approver")] {
        out.line(&format!("{:9} {}  ({kind})", person.name, person.key))?;
    }
    quiet("The keys are of use here only. A client over HTTP, as the buyer:")?;
    let key = &stage.buyer.key;
    out.line(&pretty(&export::over_http(Client::Generic, export::ENTRY, &stage.url, key))?)?;
    quiet("A client that starts a program:")?;
    let program = std::env::current_exe().map_err(said)?;
    let stdio = export::over_stdio(
        Client::Generic,
        &program,
        &stage.file,
        stage.config.servers.get(..1).unwrap_or_default(),
        key,
    );
    out.line(&pretty(&stdio)?)?;
    quiet("And beside it, the command line:")?;
    let at = |word: &str, file: &Path| format!("  {} {word} --config {}", program.display(), file.display());
    ["approvals list", "audit tail", "policy list"].iter().try_for_each(|word| out.line(&at(word, &stage.file)))?;
    Ok(())
}

fn pretty(json: &Value) -> Result<String, Failure> {
    serde_json::to_string_pretty(json).map_err(said)
}
