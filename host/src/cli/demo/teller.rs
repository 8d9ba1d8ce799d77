//! How the story is told: chapters, one line for each thing that was done, and whether its answer is what it should be.

use std::io;

use serde_json::{Value, json};

use super::super::show::plain;
use super::super::show::{self, Out, Tone};

/// The longest line, in characters.
const WIDTH: usize = 110;
/// Lines that one sentence takes, at most.
const SENTENCE_LINES: usize = 2;

/// What an answer should be.
#[derive(Clone, Copy)]
pub(super) enum Expected {
    /// Executed now.
    Done,
    /// The first answer again.
    Replayed,
    /// Refused with this code.
    Refused(&'static str),
    /// The same, and what was said is worth reading.
    Told(&'static str),
}

pub(super) struct Teller<'a> {
    pub(super) out: &'a Out,
    chapter: u32,
    right: u32,
    wrong: u32,
}

impl<'a> Teller<'a> {
    pub(super) fn new(out: &'a Out) -> Self {
        Self { out, chapter: 0, right: 0, wrong: 0 }
    }

    /// Begins a chapter.
    pub(super) fn chapter(&mut self, heading: &str, sentence: &str) -> io::Result<()> {
        self.chapter = self.chapter.saturating_add(1);
        self.out.line("")?;
        self.out.line(&self.out.tone(Tone::Loud, &format!("{}. {heading}", self.chapter)))?;
        self.out.line(&self.out.tone(Tone::Quiet, &cut(&format!("   {sentence}"), WIDTH)))
    }

    /// Something was done, and came out right or not.
    pub(super) fn check(&mut self, right: bool, what: &str, outcome: &str, good: bool) -> io::Result<()> {
        let (tone, mark) = if right { (Tone::Good, "✓") } else { (Tone::Bad, "✗") };
        let count = if right { &mut self.right } else { &mut self.wrong };
        *count = count.saturating_add(1);
        let outcome = cut(&plain(outcome), WIDTH);
        let room = WIDTH.saturating_sub(outcome.chars().count()).saturating_sub(7);
        let shown = self.out.tone(if good { Tone::Good } else { Tone::Bad }, &outcome);
        self.out.line(&format!("  {} {} → {shown}", self.out.tone(tone, mark), cut(&plain(what), room)))
    }

    /// What was said, below what was done: the beginning of it.
    pub(super) fn sentence(&self, text: &str) -> io::Result<()> {
        let text = plain(text);
        let lines = wrapped(&text, WIDTH.saturating_sub(6), SENTENCE_LINES);
        lines.iter().try_for_each(|line| self.out.line(&self.out.tone(Tone::Quiet, &format!("      {line}"))))
    }

    /// Something to see, below what was done.
    pub(super) fn detail(&self, tone: Tone, text: &str) -> io::Result<()> {
        self.out.line(&self.out.tone(tone, &cut(&format!("      {}", plain(text)), WIDTH)))
    }

    /// An agent's call was answered.
    pub(super) fn answered(&mut self, call: &str, answer: &Value, expected: Expected) -> io::Result<()> {
        let code = answer.pointer("/structuredContent/code").and_then(Value::as_str);
        let refused = answer.get("isError") == Some(&json!(true));
        let replayed = answer.pointer("/_meta/dev.portcullis~1decision/replayed") == Some(&json!(true));
        let right = match expected {
            Expected::Done => !refused && !replayed,
            Expected::Replayed => !refused && replayed,
            Expected::Refused(expected) | Expected::Told(expected) => refused && code == Some(expected),
        };
        let outcome = match (refused, replayed) {
            (true, _) => code.unwrap_or("the tool failed"),
            (false, true) => "replayed",
            (false, false) => "done",
        };
        self.check(right, call, outcome, !refused)?;
        let worth_reading = matches!(expected, Expected::Told(_)) || !right;
        if worth_reading { self.sentence(&show::cell(answer.pointer("/content/0/text"))) } else { Ok(()) }
    }

    /// The last line; whether everything was as it should be.
    pub(super) fn end(&self) -> io::Result<bool> {
        let (right, wrong) = (self.right, self.wrong);
        self.out.line("")?;
        if wrong == 0 {
            let text = format!("All {right} answers were as they should be.");
            self.out.line(&self.out.tone(Tone::Good, &text))?;
        } else {
            let text = format!("{wrong} of {} answers were not as they should be.", right.saturating_add(wrong));
            self.out.line(&self.out.tone(Tone::Bad, &text))?;
        }
        Ok(wrong == 0)
    }
}

/// The values of a call's arguments, as they are sent.
pub(super) fn values(arguments: &Value) -> String {
    let value = |value: &Value| match value {
        Value::String(text) if !text.is_empty() && !text.contains(' ') => text.clone(),
        other => other.to_string(),
    };
    arguments.as_object().into_iter().flat_map(|members| members.values().map(value)).collect::<Vec<_>>().join(" ")
}

/// The beginning of a text that is too long.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let start: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", start.trim_end())
}

/// A text in lines that end between words; what does not fit into `lines` of them is cut.
fn wrapped(text: &str, width: usize, lines: usize) -> Vec<String> {
    let mut done: Vec<String> = Vec::new();
    let mut words = text.split(' ').peekable();
    while words.peek().is_some() && done.len() < lines {
        let last = done.len().saturating_add(1) == lines;
        let mut line = String::new();
        while let Some(word) = words.peek() {
            let long = line.chars().count().saturating_add(word.chars().count()) >= width;
            if long && !line.is_empty() && !last {
                break;
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
            words.next();
        }
        done.push(cut(&line, width));
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_where_it_can_be_read() {
        assert_eq!(cut("12345", 5), "12345");
        assert_eq!(cut("1234 56", 6), "1234…");
        assert_eq!(wrapped("one two three", 8, 2), ["one two", "three"]);
        assert_eq!(wrapped("one two three four five", 8, 2), ["one two", "three f…"]);
        assert_eq!(wrapped("averylongword", 8, 2), ["averylo…"]);
        assert!(wrapped("", 8, 2).iter().all(String::is_empty));
    }

    #[test]
    fn what_is_sent_is_shown() {
        let arguments = json!({ "amount": "500.01", "number": 7, "title": "two words", "empty": "" });
        assert_eq!(values(&arguments), r#"500.01 "" 7 "two words""#);
    }
}
