//! What a person reads, and what a program reads: the only module that writes to the terminal.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value;

/// Standard output, with colour where a person looks at it.
pub struct Out {
    colour: bool,
}

/// How a word is set off.
#[derive(Clone, Copy, Debug)]
pub enum Tone {
    /// It went well.
    Good,
    /// It was refused.
    Bad,
    /// Less important.
    Quiet,
    /// A heading.
    Loud,
}

impl Out {
    /// Standard output. Colour is left out where it is no terminal or `NO_COLOR` is set.
    #[must_use]
    pub fn stdout() -> Self {
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { colour }
    }

    /// A word in a tone.
    #[must_use]
    pub fn tone(&self, tone: Tone, word: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Quiet => "2",
            Tone::Loud => "1",
        };
        if self.colour { format!("\u{1b}[{code}m{word}\u{1b}[0m") } else { word.to_owned() }
    }

    /// A line. What it shows may come from agents and servers: control characters are made visible, so that no text can
    /// move the cursor or change the colours.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn line(&self, text: &str) -> io::Result<()> {
        writeln!(io::stdout(), "{text}")
    }

    /// A value on one line, for programs.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn json(&self, value: &Value) -> io::Result<()> {
        writeln!(io::stdout(), "{value}")
    }

    /// Rows under a heading, in columns as wide as needed.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn table(&self, heading: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        let mut widths: Vec<usize> = heading.iter().map(|cell| cell.chars().count()).collect();
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            padded.join("  ").trim_end().to_owned()
        };
        self.line(&self.tone(Tone::Quiet, &line(&mut heading.iter().copied())))?;
        rows.iter().try_for_each(|row| self.line(&line(&mut row.iter().map(String::as_str))))
    }
}

/// A text from outside, fit for a terminal: control characters are written out.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// A JSON value as a cell: strings bare, the rest as JSON, nothing for null.
#[must_use]
pub fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => plain(text),
        Some(Value::Array(items)) => items.iter().map(|item| cell(Some(item))).collect::<Vec<_>>().join(","),
        Some(other) => other.to_string(),
    }
}

/// Says on standard error why a command failed.
pub fn error(text: &str) {
    let word = if io::stderr().is_terminal() { "\u{1b}[31merror:\u{1b}[0m" } else { "error:" };
    // Where even that is closed there is nobody to tell.
    let _ = writeln!(io::stderr(), "{word} {text}");
}
