//! The command line: words, what they do, how it is shown, and the exit code (0 fine, 1 failed, 2 wrong use).

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, ConfigError};
use crate::refusal::causes;

mod agent;
mod approvals;
mod audit;
mod client;
mod demo;
mod doctor;
mod export;
mod import;
mod init;
mod outcome;
mod person;
mod policy;
mod serve;
pub mod show;
mod spend;
mod tool;
mod wrap;

use client::ClientError;
use show::Out;

/// A gate between AI agents and the MCP tools they call.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, about, max_term_width = 100)]
struct Command {
    /// The configuration.
    #[arg(long, global = true, value_name = "FILE", default_value = config::FILE)]
    config: PathBuf,
    #[command(subcommand)]
    word: Word,
}

#[derive(Debug, Subcommand)]
enum Word {
    /// Show the whole story: a real agent calls real tools through the gate, in a temporary directory
    Demo(demo::Words),
    /// Make a commented configuration, a policy directory and an owner's key
    Init(init::Words),
    /// Run the gate
    Serve(serve::Words),
    /// The gate over standard input and output in front of one server, for a desktop client's configuration
    Wrap(wrap::Words),
    /// Say what is wrong with this installation, and send calls that must be refused
    Doctor(doctor::Words),
    /// Turn the servers of an MCP client's configuration into this gate's
    Import(import::Words),
    /// Print what points an MCP client at this gate
    Export(export::Words),
    /// Agents: who may call
    #[command(subcommand)]
    Agent(agent::Words),
    /// Persons: who runs the gate, decides and audits
    #[command(subcommand)]
    Person(person::Words),
    /// Approvals: what agents may do once a person agrees
    #[command(subcommand)]
    Approvals(approvals::Words),
    /// Unknown outcomes: calls that may or may not have been executed
    #[command(subcommand)]
    Outcome(outcome::Words),
    /// Spending: what stands on the accounts
    #[command(subcommand)]
    Spend(spend::Words),
    /// The audit log: what happened
    #[command(subcommand)]
    Audit(audit::Words),
    /// Tools: which definitions of servers' tools are accepted
    #[command(subcommand)]
    Tool(tool::Words),
    /// Policies: what may be done
    #[command(subcommand)]
    Policy(policy::Words),
    /// The marketplace of the examples, as an MCP server on standard input and output
    #[command(hide = true)]
    ExampleMarketplace(Marketplace),
}

#[derive(Debug, Args)]
struct Marketplace {
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    descriptions: Option<PathBuf>,
}

/// How long what still runs at the end has to be dropped.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// Why a command failed: what a person reads after `error:`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Start(#[from] crate::serve::StartError),
    #[error("{0}")]
    Said(String),
    /// The command was not used as it is meant to be.
    #[error("{0}")]
    Usage(String),
    /// The command worked, and its answer is no.
    #[error("")]
    No,
    /// Nobody reads any more: `portcullis audit tail | head`.
    #[error("standard output is closed")]
    Output(#[from] std::io::Error),
}

/// Runs the command of this process.
#[must_use]
pub fn main() -> ExitCode {
    let command = Command::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            show::error(&format!("the system has no threads to run on: {error}"));
            return ExitCode::from(1);
        }
    };
    let done = runtime.block_on(run(command));
    // What still runs is dropped, children that have not ended with it.
    runtime.shutdown_timeout(SHUTDOWN);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Failure::No) => ExitCode::from(1),
        Err(Failure::Usage(what)) => {
            show::error(&what);
            ExitCode::from(2)
        }
        Err(failure) => {
            show::error(&causes(&failure));
            ExitCode::from(1)
        }
    }
}

async fn run(command: Command) -> Result<(), Failure> {
    let config = &command.config;
    match command.word {
        Word::Demo(words) => demo::run(words).await,
        Word::Init(words) => init::run(words).await,
        Word::Serve(words) => serve::run(config, words).await,
        Word::Wrap(words) => wrap::run(config, words).await,
        Word::Doctor(words) => doctor::run(config, words).await,
        Word::Import(words) => import::run(config, words),
        Word::Export(words) => export::run(config, words).await,
        Word::Agent(words) => agent::run(config, words).await,
        Word::Person(words) => person::run(config, words).await,
        Word::Approvals(words) => approvals::run(config, words).await,
        Word::Outcome(words) => outcome::run(config, words).await,
        Word::Spend(words) => spend::run(config, words).await,
        Word::Audit(words) => audit::run(config, words).await,
        Word::Tool(words) => tool::run(config, words).await,
        Word::Policy(words) => policy::run(config, words).await,
        Word::ExampleMarketplace(words) => {
            let files = marketplace::Files { state: words.state, descriptions: words.descriptions };
            marketplace::serve_stdio(files).await.map_err(|error| Failure::Said(error.to_string()))
        }
    }
}

fn load(config: &Path) -> Result<Config, Failure> {
    Ok(Config::load(config)?)
}

/// Where commands write to.
fn out() -> Out {
    Out::stdout()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::socket::Socket;
    use crate::serve::{StartError, open_store};

    #[test]
    fn a_window_that_is_no_span_is_wrong_use() {
        let words = |window| ["portcullis", "spend", "show", "--window", window];
        assert!(Command::try_parse_from(words("7d")).is_ok());
        for bad in ["", "1", "7 days", "-1h"] {
            assert_eq!(Command::try_parse_from(words(bad)).unwrap_err().exit_code(), 2, "{bad}");
        }
    }

    #[tokio::test]
    async fn a_failure_says_why_once() {
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("d".repeat(120));
        std::fs::create_dir(&long).unwrap();
        let Err(error) = Socket::bind(&long.join("admin.sock")).await else { panic!("the path is too long") };
        let said = causes(&Failure::from(StartError::from(error)));
        assert_eq!(said.matches("SUN_LEN").count(), 1, "{said}");
        assert_eq!(said.matches("cannot be made").count(), 1, "{said}");

        let said = causes(&load(&folder.path().join("none.toml")).unwrap_err());
        assert_eq!(said.matches("os error 2").count(), 1, "{said}");
    }

    #[test]
    fn a_data_directory_that_others_can_use_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        drop(open_store(&data).unwrap());
        for mode in [0o750, 0o705, 0o720, 0o777] {
            std::fs::set_permissions(&data, std::fs::Permissions::from_mode(mode)).unwrap();
            let Err(error) = open_store(&data) else { panic!("opened with {mode:o}") };
            assert!(error.to_string().contains(&format!("`chmod 700 {}`", data.display())), "{error}");
        }
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
        drop(open_store(&data).unwrap());
    }
}
