//! The command line: words, what they do, how it is shown, and the exit code (0 fine, 1 failed, 2 wrong use).

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, ConfigError};

mod agent;
mod audit;
mod client;
mod demo;
mod init;
mod policy;
mod serve;
pub mod show;
mod spend;

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
    /// Agents: who may call
    #[command(subcommand)]
    Agent(agent::Words),
    /// Spending: what stands on the accounts
    #[command(subcommand)]
    Spend(spend::Words),
    /// The audit log: what happened
    #[command(subcommand)]
    Audit(audit::Words),
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
}

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
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Failure::No) => ExitCode::from(1),
        Err(failure) => {
            show::error(&failure.to_string());
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
        Word::Agent(words) => agent::run(config, words).await,
        Word::Spend(words) => spend::run(config, words).await,
        Word::Audit(words) => audit::run(config, words).await,
        Word::Policy(words) => policy::run(config, words).await,
        Word::ExampleMarketplace(words) => {
            marketplace::serve_stdio(words.state).await.map_err(|error| Failure::Said(error.to_string()))
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
