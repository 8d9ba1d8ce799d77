//! Globs over tool names.

use std::str::Chars;

use serde::{Deserialize, Deserializer, de};

/// A pattern for tool names: `*` is any run of characters, also an empty one; `?` is exactly one character; everything
/// else stands for itself. The whole name has to match, and case counts.
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
        let mut pattern = self.0.chars();
        let mut rest = name.chars();
        // Where to go on after the last star when what follows it does not match here: the star takes one character more.
        let mut retry: Option<(Chars<'_>, Chars<'_>)> = None;
        loop {
            let fits = match (pattern.clone().next(), rest.clone().next()) {
                (None, None) => return true,
                (Some('*'), _) => {
                    pattern.next();
                    retry = Some((pattern.clone(), rest.clone()));
                    true
                }
                (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
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
