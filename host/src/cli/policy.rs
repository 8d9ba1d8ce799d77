//! `portcullis policy …`

use std::path::Path;

use clap::Subcommand;

use super::{Failure, client, load, out, show};
use crate::admin::Command;

#[derive(Debug, Subcommand)]
pub(super) enum Words {
    /// Show the policies in force
    List {
        /// Answer with JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(config: &Path, words: Words) -> Result<(), Failure> {
    let out = out();
    match words {
        Words::List { json } => {
            let answer = client::run(&load(config)?, Command::PolicyList).await?;
            if json {
                return Ok(out.json(&answer)?);
            }
            let columns = ["name", "module", "mode", "tools", "digest"];
            let rows: Vec<Vec<String>> = answer
                .as_array()
                .into_iter()
                .flatten()
                .map(|policy| columns.iter().map(|column| show::cell(policy.get(*column))).collect())
                .collect();
            Ok(out.table(&columns, &rows)?)
        }
    }
}
