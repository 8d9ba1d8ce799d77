//! `marketplace [--state FILE]`: the marketplace on standard input and output.
#![forbid(unsafe_code)]

use std::error::Error as _;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "usage: marketplace [--state FILE]\n\nAn MCP server on standard input and output. Without --state it keeps nothing.\n";

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let state = match (words.next(), words.next(), words.next()) {
        (None, _, _) => None,
        (Some(flag), Some(file), None) if flag == "--state" => Some(PathBuf::from(file)),
        (Some(flag), None, _) if flag == "--help" => {
            say(&mut std::io::stdout(), USAGE);
            return ExitCode::SUCCESS;
        }
        _ => {
            say(&mut std::io::stderr(), USAGE);
            return ExitCode::from(2);
        }
    };
    match run(state) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            say(&mut std::io::stderr(), &format!("marketplace: {text}\n"));
            ExitCode::FAILURE
        }
    }
}

fn run(state: Option<PathBuf>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let ended = runtime.block_on(marketplace::serve_stdio(state));
    // A read of standard input may still be waiting in a thread of its own.
    runtime.shutdown_background();
    ended.map_err(|error| {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    })
}

/// Nobody may be listening; there is nothing to be done about that.
fn say(out: &mut impl std::io::Write, text: &str) {
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
