//! Text from outside in a sentence that a person reads.

/// Bytes of a text that a sentence shows.
const SHOWN_BYTES_MAX: usize = 160;

/// A text as a sentence may show it: in backticks, on one line, with nothing in it that cannot be seen, and not long.
///
/// Characters that are [unseen], a backtick and a backslash are written as Rust escapes, such as `\u{a}`; so two
/// different texts that are shown whole are shown differently. Of a long text the beginning is shown, and how long
/// it is.
///
/// [unseen]: is_unseen
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut shown = String::from("`");
    for c in text.chars() {
        let escaped = c == '`' || is_unseen(c);
        let piece = match c {
            '\\' => "\\\\".to_owned(),
            _ if escaped => c.escape_unicode().to_string(),
            _ => c.to_string(),
        };
        if shown.len() + piece.len() > SHOWN_BYTES_MAX {
            return format!("{shown}`… ({} characters)", text.chars().count());
        }
        shown.push_str(&piece);
    }
    shown.push('`');
    shown
}

/// Whether a character takes no place of its own on a page, or moves what is around it: controls, line breaks, spaces
/// other than U+0020, and what Unicode lets a program leave out or use for layout only (`Default_Ignorable_Code_Point`,
/// the direction marks among them). A text that has one can look like another text.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    let blank = c != ' ' && (c.is_control() || c.is_whitespace());
    let ignorable = matches!(c,
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}');
    // Not on Unicode's list, and blank all the same: the empty Braille pattern and the marks around annotations.
    blank || ignorable || matches!(c, '\u{2800}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shown_as_it_is_where_that_is_harmless() {
        for text in ["", "tx_9f3k", "two words", "it's \"so\"", "Café", "ราคา", "日本", "שלום"] {
            assert_eq!(quoted(text), format!("`{text}`"));
        }
    }

    #[test]
    fn nothing_leaves_its_line_or_its_backticks() {
        for (text, shown) in [
            ("a\nb", r"`a\u{a}b`"),
            ("a\r\tb", r"`a\u{d}\u{9}b`"),
            ("a` and `b", r"`a\u{60} and \u{60}b`"),
            (r"a\u{a}b", r"`a\\u{a}b`"),
            ("ac\u{200b}me", r"`ac\u{200b}me`"),
            ("\u{202e}drowssap", r"`\u{202e}drowssap`"),
            ("a\u{2028}b\u{85}\u{a0}\u{0}\u{7f}\u{1b}", r"`a\u{2028}b\u{85}\u{a0}\u{0}\u{7f}\u{1b}`"),
            ("\u{e0041}\u{fe0f}\u{feff}\u{2800}", r"`\u{e0041}\u{fe0f}\u{feff}\u{2800}`"),
        ] {
            assert_eq!(quoted(text), shown);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
        for (letter, most) in [("a", 159), ("é", 79), ("\n", 31), ("\u{10ffff}", 39)] {
            let whole = quoted(&letter.repeat(most));
            assert!(whole.ends_with('`') && whole.len() <= 161, "{whole}");
            let cut = quoted(&letter.repeat(5_000));
            assert!(cut.ends_with("`… (5000 characters)") && cut.len() < 200, "{cut}");
            assert_eq!(cut.split('…').next().unwrap(), whole, "as much as fits");
        }
    }

    #[test]
    fn letters_marks_and_digits_of_all_scripts_are_seen() {
        for c in " aé٣กิ한字🙂\u{301}\u{20ac}\u{2011}".chars() {
            assert!(!is_unseen(c), "{c:?}");
        }
    }
}
