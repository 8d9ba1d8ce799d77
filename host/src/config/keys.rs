//! Unknown keys: found before anything is read, with the nearest known key.

/// A key that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown key `{place}{key}`; {}", advice(nearest.as_deref(), known))]
pub struct UnknownKey {
    /// The table it stands in, with a point behind; empty at the top.
    pub place: String,
    /// The key.
    pub key: String,
    /// The known key that it is most like.
    pub nearest: Option<String>,
    /// All known keys.
    pub known: Vec<String>,
}

fn advice(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("known are `{}`", known.join("`, `")),
    }
}

/// The known word that a wrong one is most like, if any is like it at all.
#[must_use]
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|word| (strsim::jaro_winkler(wrong, word), word))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

/// Checks that a table has only known keys.
///
/// # Errors
/// The first key that is not known.
pub fn check(table: &toml::Table, place: &str, known: &[&str]) -> Result<(), UnknownKey> {
    match table.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(UnknownKey {
            place: place.to_owned(),
            key: key.clone(),
            nearest: nearest(key, known.iter().copied()).map(str::to_owned),
            known: known.iter().map(|word| (*word).to_owned()).collect(),
        }),
    }
}
