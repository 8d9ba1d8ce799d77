//! A server that is not in the file: it comes with `portcullis wrap`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::server::OWN_SECRETS;
use super::{Program, Reach, ServerConfig, Share, server};
use crate::limits;

/// The environment variable of an agent's credential. No server gets it.
pub const CREDENTIAL: &str = "PORTCULLIS_KEY";

/// The environment variable of a person's credential. No server gets it.
pub const PERSON_CREDENTIAL: &str = "PORTCULLIS_PERSON_KEY";

/// Environment variables with their values, which no log may see.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl ServerConfig {
    /// The server of `portcullis wrap`: prefixed, with the default patience.
    ///
    /// # Errors
    /// A sentence, when its name, its command or a variable's name is none.
    pub fn wrapped(
        name: String,
        command: Vec<String>,
        directory: PathBuf,
        variables: Variables,
    ) -> Result<Self, String> {
        server::check_name(&name)?;
        if command.first().is_none_or(String::is_empty) {
            return Err(format!("server `{name}` needs a command: the program and its arguments"));
        }
        for (variable, _) in variables.iter() {
            if variable.is_empty() || variable.contains(['=', '\0']) {
                return Err(format!("`{variable}` is not the name of an environment variable"));
            }
            if OWN_SECRETS.contains(&variable) {
                return Err(format!("`{variable}` holds a credential at this gate: no server gets it"));
            }
        }
        let timeout = limits::UPSTREAM_CALL;
        let reach = Reach::Child(Program { command, directory, env: Vec::new(), variables });
        Ok(Self { name, reach, share: Share::All, prefix: true, timeout })
    }
}
