//! The owner accepts what a server lists now.

use super::*;

/// What a person accepts: exactly what they were shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accept {
    /// The server's name.
    pub server: String,
    /// The name agents use.
    pub name: String,
    /// The digest of the definition that was shown; none for a tool that is not listed any more.
    pub digest: Option<String>,
}

/// What was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// The server's name.
    pub server: String,
    /// The name agents use.
    pub name: String,
    /// The digest that was accepted before.
    pub before: Option<String>,
    /// The digest that is accepted now; none where it is accepted that the tool is gone.
    pub digest: Option<String>,
}

/// Why nothing was accepted.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// No such tool.
    #[error("no server was ever seen with a tool `{0}`; `portcullis tool list` shows all")]
    Unknown(String),
    /// There is nothing to accept.
    #[error("the tool `{0}` is not withheld: there is nothing to accept")]
    Nothing(String),
    /// It is not what was shown.
    #[error(
        "the definition of `{0}` changed after it was shown, so nothing was accepted; look at it again with `portcullis \
         tool show {0}`"
    )]
    Changed(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The pin of a tool, by the name agents use.
fn find(read: &dyn Read, server: &str, name: &str) -> Result<Pin, PinError> {
    let found = of_server(read, server)?.into_values().find(|pin| pin.name == name);
    found.ok_or_else(|| PinError::Unknown(name.to_owned()))
}

/// Accepts what a server lists now for a tool, or that it lists nothing.
///
/// # Errors
/// When there is nothing to accept, or what there is is not what was shown.
pub fn accept(tx: &mut Tx<'_>, at: Timestamp, wanted: &Accept) -> Result<Accepted, PinError> {
    let old = find(tx, &wanted.server, &wanted.name)?;
    let name = || wanted.name.clone();
    let before = old.accepted.as_ref().map(|version| version.digest.clone());
    let new = match (&old.standing, &wanted.digest) {
        (Standing::Withheld { digest }, Some(shown)) if digest == shown => {
            match withheld_text(tx, &old)? {
                Some(text) => tx.put(text_key(&old, Which::Accepted), text),
                None => tx.delete(text_key(&old, Which::Accepted)),
            }
            tx.delete(text_key(&old, Which::Offered));
            let accepted = Some(Version { digest: digest.clone(), since: at });
            Pin { accepted, standing: Standing::Accepted, since: at, ..old }
        }
        (Standing::Missing, None) => Pin { standing: Standing::Gone, since: at, ..old },
        (Standing::Accepted | Standing::Gone, shown) if old.offered() == shown.as_deref() => {
            return Err(PinError::Nothing(name()));
        }
        _ => return Err(PinError::Changed(name())),
    };
    tx.put_json(new.key(), &new)?;
    let (server, digest) = (new.server.clone(), wanted.digest.clone());
    Ok(Accepted { server, name: new.name, before, digest })
}
