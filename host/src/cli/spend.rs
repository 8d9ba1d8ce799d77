//! `portcullis spend …`

use std::path::Path;

use clap::Subcommand;

use super::{Failure, client, load, out};
use crate::admin::Command;
use crate::config::span::{self, BadSpan};

#[derive(Debug, Subcommand)]
pub(super) enum Words {
    /// Show what is spent and held
    Show {
        /// Only this account, such as `agent:ag_…`
        #[arg(long)]
        account: Option<String>,
        /// How far back; without it, the windows that policies limit
        #[arg(long, value_parser = a_span)]
        window: Option<String>,
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
}

/// The text itself, which the answer repeats, when it is a span.
fn a_span(text: &str) -> Result<String, BadSpan> {
    span::parse(text).map(|_| text.to_owned())
}

pub(super) async fn run(config: &Path, words: Words) -> Result<(), Failure> {
    let Words::Show { account, window, json } = words;
    let answer = client::run(&load(config)?, Command::SpendShow { account, window }).await?;
    let out = out();
    if json {
        return Ok(out.json(&answer)?);
    }
    let columns = ["account", "currency", "window", "limit", "spent", "held"];
    Ok(out.listing(&columns, &answer, "Nothing was spent.")?)
}
