//! `portcullis tool …`

use std::path::Path;

use clap::Subcommand;
use serde_json::Value;

use super::show::{self, Out, Tone};
use super::{Failure, client, load, out};
use crate::admin::Command;
use crate::catalog::pin::Accept;
use crate::config::Config;
use crate::{json, limits};

#[derive(Debug, Subcommand)]
pub(super) enum Words {
    /// Show all tools that servers were seen with, and whether their definitions are the accepted ones
    List {
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a tool: the accepted definition, and what its server changed
    Show {
        /// Its name, as agents use it
        name: String,
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
    /// Accept what a server changed: new definitions, new names, tools that are not there any more
    Accept {
        /// The names of tools, as agents use them
        #[arg(value_name = "NAME", required_unless_present = "server")]
        names: Vec<String>,
        /// All changed tools of this server; with names: these tools of this server
        #[arg(long, value_name = "NAME")]
        server: Option<String>,
        /// Only if this is the digest of the new definition; for one tool
        #[arg(long, value_name = "sha256:…")]
        digest: Option<String>,
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(config: &Path, words: Words) -> Result<(), Failure> {
    let config = load(config)?;
    match words {
        Words::List { json } => list(&config, json).await,
        Words::Show { name, json } => {
            let answer = client::run(&config, Command::ToolShow { name }).await?;
            let out = out();
            if json {
                return Ok(out.json(&answer)?);
            }
            answer.as_array().into_iter().flatten().try_for_each(|tool| whole(&out, tool))
        }
        Words::Accept { names, server, digest, json } => {
            let tools = wanted(&config, &names, server.as_deref(), digest).await?;
            let answer = client::run(&config, Command::ToolAccept { tools }).await?;
            let out = out();
            if json {
                return Ok(out.json(&answer)?);
            }
            for tool in answer.as_array().into_iter().flatten() {
                let what = match (tool.get("before"), tool.get("digest")) {
                    (_, None | Some(Value::Null)) => "is not there any more".to_owned(),
                    (None | Some(Value::Null), new) => format!("as {}", show::cell(new)),
                    (old, new) => format!("{} → {}", show::cell(old), show::cell(new)),
                };
                out.line(&format!("{}  {}  {what}", out.tone(Tone::Good, "accepted"), show::cell(tool.get("name"))))?;
            }
            Ok(())
        }
    }
}

async fn list(config: &Config, json: bool) -> Result<(), Failure> {
    let answer = client::run(config, Command::ToolList).await?;
    let out = out();
    if json {
        return Ok(out.json(&answer)?);
    }
    let columns = ["name", "server", "state", "since", "digest"];
    let rows: Vec<Vec<String>> = answer
        .as_array()
        .into_iter()
        .flatten()
        .map(|tool| columns.iter().map(|column| show::cell(tool.get(*column))).collect())
        .collect();
    if rows.is_empty() {
        return Ok(out.line("No server has listed its tools yet; `portcullis serve` starts them.")?);
    }
    Ok(out.table(&columns, &rows)?)
}

/// What is to be accepted, with the digests as they are now: when one of them changes before the command arrives, it is
/// refused.
async fn wanted(
    config: &Config,
    names: &[String],
    server: Option<&str>,
    digest: Option<String>,
) -> Result<Vec<Accept>, Failure> {
    if digest.is_some() && names.len() != 1 {
        return Err(Failure::Said("`--digest` is about one tool: name one".into()));
    }
    let known = client::run(config, Command::ToolList).await?;
    let text = |tool: &Value, key: &str| tool.get(key).and_then(Value::as_str).map(str::to_owned);
    let of_server = |tool: &&Value| server.is_none_or(|server| text(tool, "server").as_deref() == Some(server));
    let known: Vec<&Value> = known.as_array().into_iter().flatten().filter(of_server).collect();
    let accept = |tool: &Value| Accept {
        server: text(tool, "server").unwrap_or_default(),
        name: text(tool, "name").unwrap_or_default(),
        digest: digest.clone().or_else(|| text(tool, "digest")),
    };
    if names.is_empty() {
        let changed = |tool: &&&Value| matches!(text(tool, "state").as_deref(), Some("withheld" | "missing"));
        let tools: Vec<Accept> = known.iter().filter(changed).map(|tool| accept(tool)).collect();
        let server = server.unwrap_or_default();
        return match (known.is_empty(), tools.is_empty()) {
            (true, _) => Err(Failure::Said(format!("no tools were ever seen of a server `{server}`"))),
            (false, true) => {
                Err(Failure::Said(format!("server `{server}` has changed nothing: there is nothing to accept")))
            }
            (false, false) => Ok(tools),
        };
    }
    names
        .iter()
        .map(|name| {
            let mut found = known.iter().filter(|tool| text(tool, "name").as_ref() == Some(name));
            match (found.next(), found.next()) {
                (Some(tool), None) => Ok(accept(tool)),
                (Some(_), Some(_)) => Err(Failure::Said(format!(
                    "several servers have had a tool `{name}`; say which with `--server NAME`"
                ))),
                (None, _) => {
                    Err(Failure::Said(format!("no tool `{name}` was ever seen; `portcullis tool list` shows all")))
                }
            }
        })
        .collect()
}

fn whole(out: &Out, tool: &Value) -> Result<(), Failure> {
    let text = |key: &str| show::cell(tool.get(key));
    let state = text("state");
    let tone = if state == "accepted" { Tone::Good } else { Tone::Bad };
    out.line(&format!("{}  {} since {}", out.tone(Tone::Loud, &text("name")), out.tone(tone, &state), text("since")))?;
    out.line(&format!("server    {}", text("server")))?;
    match tool.get("accepted").and_then(Value::as_str) {
        Some(digest) => out.line(&format!("accepted  {}  {}", show::plain(digest), text("accepted_at")))?,
        None => {
            out.line("accepted  never: it came while another tool of its server was missing, and may be that one")?
        }
    }
    match state.as_str() {
        "withheld" => changed(out, tool),
        "missing" => {
            Ok(out.line("Its server does not list it any more. New tools of that server are withheld meanwhile.")?)
        }
        _ => definition(out, tool, "accepted_definition"),
    }
}

fn changed(out: &Out, tool: &Value) -> Result<(), Failure> {
    let text = |key: &str| show::cell(tool.get(key));
    out.line(&format!("now       {}", text("digest")))?;
    match tool.get("differences").and_then(Value::as_array) {
        Some(differences) => {
            for one in differences {
                let pointer = one.get("pointer").and_then(Value::as_str).unwrap_or_default();
                out.line(&out.tone(Tone::Loud, &show::plain(pointer)))?;
                lines(out, "-", Tone::Bad, one.get("accepted"))?;
                lines(out, "+", Tone::Good, one.get("offered"))?;
            }
        }
        None => {
            definition(out, tool, "accepted_definition")?;
            definition(out, tool, "withheld_definition")?;
        }
    }
    out.line(&out.tone(
        Tone::Quiet,
        &format!("Accept it with `portcullis tool accept {} --digest {}`.", text("name"), text("digest")),
    ))?;
    Ok(())
}

fn lines(out: &Out, sign: &str, tone: Tone, text: Option<&Value>) -> Result<(), Failure> {
    let Some(text) = text.and_then(Value::as_str) else { return Ok(()) };
    text.split('\n').try_for_each(|line| out.line(&out.tone(tone, &format!("  {sign} {}", show::plain(line)))))?;
    Ok(())
}

/// A whole definition, as text with two spaces for each level.
fn definition(out: &Out, tool: &Value, key: &str) -> Result<(), Failure> {
    let what = key.replace('_', " ");
    match tool.get(key).and_then(Value::as_str) {
        Some(text) => {
            out.line(&out.tone(Tone::Loud, &what))?;
            let mut shown = Vec::new();
            match json::parse(text.as_bytes(), limits::ANSWER) {
                Ok(value) => indented("", &value, 1, &mut shown),
                Err(_) => shown.push(text.to_owned()),
            }
            Ok(shown.iter().try_for_each(|line| out.line(&show::plain(line)))?)
        }
        None if tool.get(key.trim_end_matches("_definition")).is_some_and(Value::is_null) => Ok(()),
        None => Ok(out.line(&format!("The {what} is too large to be kept: there is only its digest."))?),
    }
}

/// A value with a line for each of its members, numbers as they were written.
fn indented(before: &str, value: &json::Value, level: usize, lines: &mut Vec<String>) {
    let space = "  ".repeat(level);
    match value {
        json::Value::Object(members) if !members.is_empty() => {
            lines.push(format!("{space}{before}{{"));
            for (key, value) in members {
                indented(&format!("{}: ", Value::from(key.as_str())), value, level.saturating_add(1), lines);
            }
            lines.push(format!("{space}}}"));
        }
        json::Value::Array(items) if !items.is_empty() => {
            lines.push(format!("{space}{before}["));
            items.iter().for_each(|item| indented("", item, level.saturating_add(1), lines));
            lines.push(format!("{space}]"));
        }
        value => lines.push(format!("{space}{before}{}", value.to_text())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_shown_with_its_numbers() {
        let value = json::parse(br#"{"a":[1.10,{}],"b\n":{"c":1e400}}"#, limits::ANSWER).unwrap();
        let mut lines = Vec::new();
        indented("", &value, 0, &mut lines);
        assert_eq!(lines.join("\n"), "{\n  \"a\": [\n    1.10\n    {}\n  ]\n  \"b\\n\": {\n    \"c\": 1e400\n  }\n}");
    }
}
