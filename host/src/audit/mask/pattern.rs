//! Secrets that are known by their form, in any text.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{MASK, names, number};

/// Between the groups of a card number or an IBAN: a space or a dash, of whichever kind.
const GAP: &str = r"[ \t\u{a0}\u{202f}\u{2010}-\u{2015}-]";

/// A hexadecimal token of this length is a digest or an id: the digits in it are no card number.
const HEX_TOKEN_CHARS_MIN: usize = 16;

/// What is looked at of a token on each side of a number, in bytes: the longest digest, SHA-512. A token that goes on
/// is no digest.
const HEX_TOKEN_SIDE_MAX: usize = 128;

/// No form is shorter than this, but those that have a colon or an equals sign.
const FORM_CHARS_MIN: usize = number::CARD_DIGITS_MIN;

/// The text with every secret that has a known form replaced.
pub(super) fn mask(text: &str) -> String {
    if text.len() < FORM_CHARS_MIN && !text.contains([':', '=']) {
        return text.to_owned();
    }
    let text = PRIVATE_KEY.replace_all(text, MASK);
    let text = USER_INFO.replace_all(&text, format!("${{1}}{MASK}@"));
    let text = BEARER.replace_all(&text, bearer);
    let text = AUTHORIZATION.replace_all(&text, format!("${{1}}{MASK}"));
    let text = KEY.replace_all(&text, format!("${{1}}{MASK}"));
    cards(&ibans(&named(&text)))
}

#[expect(clippy::expect_used, reason = "the patterns are constants, and every test compiles them")]
fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a valid pattern")
}

/// A private key in PEM (RFC 7468), also one whose end was cut off.
static PRIVATE_KEY: LazyLock<Regex> = LazyLock::new(|| {
    compiled(r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|\z)")
});

/// A password in a URL (RFC 3986, section 3.2.1).
static USER_INFO: LazyLock<Regex> = LazyLock::new(|| compiled(r"(://[^/\s:@]*:)[^/\s@]+@"));

/// A bearer token (RFC 6750, section 2.1).
static BEARER: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?i)(?-u:\b)(bearer\s+)([a-z0-9._~+/=-]{6,})"));

/// The header, whatever its scheme.
static AUTHORIZATION: LazyLock<Regex> =
    LazyLock::new(|| compiled(r#"(?i)(authorization["']?\s*[:=]\s*["']?)[^\r\n"',;]+"#));

/// Keys that say by their first letters what they are: this gate's own, and those of well-known services.
static KEY: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"(?x)
    (^|[^A-Za-z0-9])
    (?: p[kt]_[A-Za-z0-9_-]{16,}
      | [sr]k_(?:live|test)_[A-Za-z0-9]{10,}
      | sk-[A-Za-z0-9_-]{20,}
      | gh[opsur]_[A-Za-z0-9]{20,}
      | github_pat_[A-Za-z0-9_]{20,}
      | glpat-[A-Za-z0-9_-]{16,}
      | xox[abeoprs]-[A-Za-z0-9-]{10,}
      | (?:AKIA|ASIA)[A-Z0-9]{16}(?-u:\b)
      | AIza[A-Za-z0-9_-]{30,}
      | ya29\.[A-Za-z0-9_-]{20,}
      | npm_[A-Za-z0-9]{30,}
      | pypi-[A-Za-z0-9_-]{30,}
      | hf_[A-Za-z0-9]{30,}
      | SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}
      | whsec_[A-Za-z0-9+/=]{16,}
      | AGE-SECRET-KEY-1[A-Z0-9]{20,}
      | eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){2,4}
    )",
    )
});

/// A name and what introduces its value: `name=`, `name: `, `"name": `.
static NAME: LazyLock<Regex> = LazyLock::new(|| compiled(r#"([A-Za-z][A-Za-z0-9_.-]*)["']?\s*[:=]\s*"#));

/// The value behind it, in quotes or up to the next space.
static VALUE: LazyLock<Regex> =
    LazyLock::new(|| compiled(r#"(?s)^(?:"(?:[^"\\]|\\.)*["\\]?|'[^']*'?|[^\s,;&"'{}\[\]()]+)"#));

/// Digits in groups.
static DIGITS: LazyLock<Regex> = LazyLock::new(|| compiled(&format!("[0-9]+(?:{GAP}{{1,3}}[0-9]+)*")));

/// One group of them.
static GROUP: LazyLock<Regex> = LazyLock::new(|| compiled("[0-9]+"));

/// How an IBAN begins.
static IBAN_START: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?-u:\b)[A-Za-z]{2}[0-9]{2}"));

/// The next character of an IBAN, which may stand behind a gap.
static IBAN_NEXT: LazyLock<Regex> = LazyLock::new(|| compiled(&format!("^{GAP}?([A-Za-z0-9])")));

/// `Bearer` is also a word: of a letter, of news. A token is long, or has digits.
fn bearer(found: &Captures<'_>) -> String {
    let part = |index| found.get(index).map_or("", |part| part.as_str());
    let (scheme, token) = (part(1), part(2));
    let is_token = token.len() >= 20 || token.bytes().any(|byte| byte.is_ascii_digit());
    if is_token { format!("{scheme}{MASK}") } else { format!("{scheme}{token}") }
}

/// Values that stand behind a secret name. A value is only looked for where the last one that was hidden has ended, and
/// only behind a secret name: it can be as long as the text.
fn named(text: &str) -> String {
    let mut hidden_to = 0;
    let hidden = NAME.captures_iter(text).filter_map(|found| {
        let (from, name) = (found.get(0)?.end(), found.get(1)?.as_str());
        if from < hidden_to || !names::is_secret(name, false) {
            return None;
        }
        let value = VALUE.find(text.get(from..)?)?;
        let is_count = value.as_str().bytes().all(|byte| byte.is_ascii_digit()) && !names::is_secret(name, true);
        (!is_count).then(|| {
            hidden_to = from + value.end();
            from..hidden_to
        })
    });
    replace(text, hidden)
}

fn ibans(text: &str) -> String {
    let hidden = IBAN_START.find_iter(text).filter_map(|start| {
        let length = number::iban_chars(start.as_str())?;
        let (mut iban, mut end) = (start.as_str().to_owned(), start.end());
        while iban.len() < length {
            let next = IBAN_NEXT.captures(text.get(end..)?)?;
            iban.push_str(next.get(1)?.as_str());
            end += next.get(0)?.end();
        }
        let goes_on = text.get(end..)?.starts_with(|c: char| c.is_ascii_alphanumeric());
        (!goes_on && number::is_iban(&iban)).then_some(start.start()..end)
    });
    replace(text, hidden)
}

fn cards(text: &str) -> String {
    let hidden = DIGITS.find_iter(text).filter(|run| run.len() >= number::CARD_DIGITS_MIN).flat_map(|run| {
        let groups: Vec<_> =
            GROUP.find_iter(run.as_str()).map(|g| run.start() + g.start()..run.start() + g.end()).collect();
        cards_in(text, &groups)
    });
    replace(text, hidden)
}

/// The card numbers in a row of groups of digits. All groups but the last have at least four digits, so that a list of
/// amounts or a date is none.
fn cards_in(text: &str, groups: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut next = 0;
    while let Some((first, rest)) = groups.get(next..).and_then(<[_]>::split_first) {
        let mut digits = text.get(first.clone()).unwrap_or_default().to_owned();
        let mut card = None;
        let mut last = first;
        for (more, group) in std::iter::once(first).chain(rest).enumerate() {
            if more > 0 {
                if last.len() < 4 {
                    break;
                }
                digits.push_str(text.get(group.clone()).unwrap_or_default());
            }
            last = group;
            if digits.len() > number::CARD_DIGITS_MAX {
                break;
            }
            if number::is_card(&digits) && !in_hex_token(text, &(first.start..group.end)) {
                card = Some((more + 1, first.start..group.end));
            }
        }
        next += match card {
            Some((groups, span)) => {
                found.push(span);
                groups
            }
            None => 1,
        };
    }
    found
}

fn in_hex_token(text: &str, span: &Range<usize>) -> bool {
    let bytes = text.as_bytes();
    if !bytes.get(span.clone()).unwrap_or_default().iter().all(u8::is_ascii_digit) {
        return false;
    }
    let (before, behind) = (bytes.get(..span.start).unwrap_or_default(), bytes.get(span.end..).unwrap_or_default());
    let (Some(before), Some(behind)) = (hex_side(before.iter().rev()), hex_side(behind.iter())) else { return false };
    before + behind > 0 && before + span.len() + behind >= HEX_TOKEN_CHARS_MIN
}

/// How far a hexadecimal token goes on to one side; none when another letter is in it, or it is too long for one.
fn hex_side<'a>(side: impl Iterator<Item = &'a u8>) -> Option<usize> {
    let mut length = 0_usize;
    for byte in side.take_while(|byte| byte.is_ascii_alphanumeric()) {
        length += 1;
        if !byte.is_ascii_hexdigit() || length > HEX_TOKEN_SIDE_MAX {
            return None;
        }
    }
    Some(length)
}

/// Replaces these parts, which are in order and do not overlap.
fn replace(text: &str, parts: impl Iterator<Item = Range<usize>>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for part in parts.filter(|part| !part.is_empty()) {
        if part.start < from {
            continue;
        }
        out.push_str(text.get(from..part.start).unwrap_or_default());
        out.push_str(MASK);
        from = part.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}
