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

    /// A line, as it is, for it may have colours: texts from agents and servers go through [`plain`] or [`cell`] before
    /// they are put into one.
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

    /// A list of JSON objects as a table, or what is said when it is empty.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn listing(&self, columns: &[&str], answer: &Value, none: &str) -> io::Result<()> {
        let row = |item: &Value| columns.iter().map(|column| cell(item.get(*column))).collect();
        let rows: Vec<Vec<String>> = answer.as_array().into_iter().flatten().map(row).collect();
        if rows.is_empty() { self.line(none) } else { self.table(columns, &rows) }
    }

    /// Members of a JSON object, a line each; those that are not there are left out.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn fields(&self, names: &[&str], of: &Value) -> io::Result<()> {
        let width = names.iter().map(|name| name.len()).max().unwrap_or_default();
        names.iter().try_for_each(|name| match cell(of.get(*name)) {
            text if text.is_empty() => Ok(()),
            text => self.line(&format!("{name:width$}  {text}")),
        })
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

/// A text from outside, fit for a terminal: characters that move the cursor, change the colours, begin a line or turn the
/// direction of what is read are written out.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if acts(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// Whether a terminal does something for a character instead of showing it, or nothing at all: a control character, one of
/// the bidirectional algorithm's (Unicode Standard Annex #9, section 2), or one without a shape of its own, which makes a
/// text look like another or says to a model what a person does not see (`Default_Ignorable_Code_Point`, separators of
/// lines, marks around annotations, private use).
fn acts(c: char) -> bool {
    let unseen = matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{e000}'..='\u{f8ff}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
            | '\u{f0000}'..='\u{10ffff}'
    );
    unseen || c.is_control()
}

/// A JSON value as a cell: strings bare, the rest as JSON, nothing for null.
#[must_use]
pub fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => plain(text),
        Some(Value::Array(items)) => items.iter().map(|item| cell(Some(item))).collect::<Vec<_>>().join(","),
        Some(other) => plain(&other.to_string()),
    }
}

/// Says on standard error why a command failed. It may have several lines, and texts from outside.
pub fn error(text: &str) {
    let word = if io::stderr().is_terminal() { "\u{1b}[31merror:\u{1b}[0m" } else { "error:" };
    // Where even that is closed there is nobody to tell.
    let _ = writeln!(io::stderr(), "{word} {}", lines(text));
}

/// Says something on standard error that is no failure. It may have several lines, and texts from outside.
pub fn warning(text: &str) {
    let word = if io::stderr().is_terminal() { "\u{1b}[33mwarning:\u{1b}[0m" } else { "warning:" };
    let _ = writeln!(io::stderr(), "{word} {}", lines(text));
}

/// Says something on standard error that belongs to no answer, such as how to go on.
pub fn note(text: &str) {
    // Where even that is closed there is nobody to tell.
    let _ = writeln!(io::stderr(), "{}", lines(text));
}

fn lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_seen_is_written_out() {
        let hidden = "Pays.\u{200b}\u{e0041}\u{202e}\u{1b}[2J é 中";
        assert_eq!(plain(hidden), r"Pays.\u{200b}\u{e0041}\u{202e}\u{1b}[2J é 中");
    }

    #[test]
    fn no_text_from_outside_acts_on_the_terminal() {
        let text = "é\u{1b}[2J\r\u{9b}\u{7f}\u{202e}\u{2066}\u{200f}\u{61c}\n";
        let shown = r"é\u{1b}[2J\r\u{9b}\u{7f}\u{202e}\u{2066}\u{200f}\u{61c}";
        assert_eq!(plain(text), format!(r"{shown}\n"));
        assert_eq!(lines(text), format!("{shown}\n"), "an error may have lines");
        assert!(!cell(Some(&json!({ "a": text }))).chars().any(acts));
    }
}
