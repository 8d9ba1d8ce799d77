//! `marketplace [--state FILE] [--descriptions FILE]`: the marketplace on standard input and output.
#![forbid(unsafe_code)]

use std::error::Error as _;
use std::ffi::OsString;
use std::process::ExitCode;

use marketplace::Files;

const USAGE: &str = "usage: marketplace [--state FILE] [--descriptions FILE]

An MCP server on standard input and output. Without --state it keeps nothing.
With --descriptions it describes its tools as FILE says: a JSON object with their names and texts.
";

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if words.iter().any(|word| word == "--help") {
        say(&mut std::io::stdout(), USAGE);
        return ExitCode::SUCCESS;
    }
    let Some(files) = files(words) else {
        say(&mut std::io::stderr(), USAGE);
        return ExitCode::from(2);
    };
    match run(files) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            say(&mut std::io::stderr(), &format!("marketplace: {text}\n"));
            ExitCode::FAILURE
        }
    }
}

/// What the words say; none when they make no sense.
fn files(words: Vec<OsString>) -> Option<Files> {
    let (mut files, mut words) = (Files::default(), words.into_iter());
    while let Some(word) = words.next() {
        let file = match word.to_str()? {
            "--state" => &mut files.state,
            "--descriptions" => &mut files.descriptions,
            _ => return None,
        };
        if file.replace(words.next()?.into()).is_some() {
            return None;
        }
    }
    Some(files)
}

fn run(files: Files) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let ended = runtime.block_on(marketplace::serve_stdio(files));
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
