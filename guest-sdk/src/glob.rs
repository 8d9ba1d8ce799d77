//! Globs over tool names.

use std::slice::Iter;

use serde::{Deserialize, Deserializer, de};

/// A pattern for tool names: `*` is any run of characters, also an empty one; `?` is exactly one character; everything
/// else stands for itself. The whole name has to match, and case counts. Names of MCP tools are ASCII; in any other name,
/// `?` is one byte of UTF-8.
///
/// `[`, `]`, `{`, `}`, `\` and `**` mean something in other glob dialects, also in the one that `tools` in
/// `policies.toml` is written in. They are problems here, so that no pattern means two things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Takes a pattern.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        if pattern.is_empty() {
            return Err(
                "an empty glob matches nothing; write a tool's name such as `market__find_order`, or `*`".into()
            );
        }
        if let Some(meta) = pattern.chars().find(|c| matches!(c, '[' | ']' | '{' | '}' | '\\')) {
            return Err(format!(
                "`{pattern}` has a `{meta}`; a glob knows only `*` and `?`, write one glob for each case"
            ));
        }
        if pattern.contains("**") {
            return Err(format!("`{pattern}` has a `**`; one `*` matches everything already"));
        }
        Ok(Self(pattern.to_owned()))
    }

    /// The pattern's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole name matches. Takes at most pattern × name steps.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let mut pattern = self.0.as_bytes().iter();
        let mut rest = name.as_bytes().iter();
        // Where to go on after the last star when what follows it does not match here: the star takes one byte more.
        let mut retry: Option<(Iter<'_, u8>, Iter<'_, u8>)> = None;
        loop {
            let fits = match (pattern.clone().next(), rest.clone().next()) {
                (None, None) => return true,
                (Some(b'*'), _) => {
                    pattern.next();
                    retry = Some((pattern.clone(), rest.clone()));
                    true
                }
                (Some(wanted), Some(found)) if *wanted == b'?' || wanted == found => {
                    pattern.next();
                    rest.next();
                    true
                }
                _ => false,
            };
            if fits {
                continue;
            }
            let Some((after_star, taken)) = &mut retry else { return false };
            if taken.next().is_none() {
                return false;
            }
            pattern = after_star.clone();
            rest = taken.clone();
        }
    }

    /// Whether any of the globs matches.
    #[must_use]
    pub fn any<'a>(globs: impl IntoIterator<Item = &'a Glob>, name: &str) -> bool {
        globs.into_iter().any(|glob| glob.matches(name))
    }
}

impl<'de> Deserialize<'de> for Glob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_run_and_a_question_mark_is_one() {
        for (pattern, name, fits) in [
            ("market__find_order", "market__find_order", true),
            ("market__find_order", "market__find_orders", false),
            ("market__*", "market__", true),
            ("market__*", "market", false),
            ("*", "", true),
            ("?", "", false),
            ("??", "é", true),
            ("*_order", "market__find_order_order", true),
            ("a*b*c", "a-b-b-c-c", true),
            ("a*b*c", "a-b-b-c-d", false),
            ("a*?b", "ab", false),
            ("a*?b", "axb", true),
            ("a.c", "abc", false),
            ("Market*", "market__x", false),
        ] {
            assert_eq!(Glob::parse(pattern).unwrap().matches(name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn other_dialects_are_refused() {
        for pattern in ["", "a[b]", "a]", "{a,b}", "a}", "a\\*", "a**", "**/a"] {
            assert!(Glob::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn many_stars_take_no_more_than_pattern_times_name() {
        // Backtracking over every star would take longer than anybody waits.
        let pattern = Glob::parse(&"a*".repeat(60)).unwrap();
        assert!(!pattern.matches(&format!("{}b", "a".repeat(59))));
        assert!(!Glob::parse(&format!("{}c", "*a".repeat(60))).unwrap().matches(&"a".repeat(5_000)));
    }

    /// The gate matches `tools` in `policies.toml` with globset: the same pattern has to mean the same there.
    #[test]
    fn the_gates_globs_agree_on_every_short_pattern_and_name() {
        let words = |letters: &[char], longest: usize| {
            let mut all = vec![String::new()];
            let mut last = all.clone();
            for _ in 0..longest {
                last =
                    last.iter().flat_map(|word| letters.iter().map(move |letter| format!("{word}{letter}"))).collect();
                all.extend_from_slice(&last);
            }
            all
        };
        let names = words(&['a', '/', '.', 'é'], 4);
        let mut compared = 0;
        for pattern in words(&['a', '/', '.', '*', '?', '!', '-'], 4) {
            let Ok(glob) = Glob::parse(&pattern) else { continue };
            let gates = globset::GlobBuilder::new(&pattern).literal_separator(false).build().unwrap().compile_matcher();
            for name in &names {
                assert_eq!(glob.matches(name), gates.is_match(name), "`{pattern}` and `{name}`");
                compared += 1;
            }
        }
        assert!(compared > 100_000, "{compared}");
    }
}
