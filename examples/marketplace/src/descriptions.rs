//! Other descriptions of the tools, out of a file that is looked at again and again: what a server says of its tools can
//! change while it runs, and whoever guards it has to notice.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rmcp::model::Tool;

/// How often the file is looked at while a client listens.
const LOOK: Duration = Duration::from_millis(100);

/// The texts, by tool.
type Texts = BTreeMap<String, String>;

/// Why a file of descriptions cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DescriptionsError {
    /// It cannot be read.
    #[error("cannot read `{path}`: {source}", path = path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It does not hold what it should.
    #[error("`{path}` is not a JSON object with the names of tools and their texts: {source}", path = path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// A file of descriptions.
#[derive(Debug)]
pub(crate) struct Descriptions {
    path: PathBuf,
    /// What the client knows, or was told that it has changed.
    known: Mutex<Texts>,
}

impl Descriptions {
    pub(crate) fn open(path: PathBuf) -> Result<Self, DescriptionsError> {
        let file = Self { path, known: Mutex::default() };
        file.know(file.read()?);
        Ok(file)
    }

    /// Puts the texts of the file into a list of tools.
    pub(crate) fn describe(&self, tools: &mut [Tool]) -> Result<(), DescriptionsError> {
        let texts = self.read()?;
        for tool in tools {
            if let Some(text) = texts.get(tool.name.as_ref()) {
                tool.description = Some(text.clone().into());
            }
        }
        self.know(texts);
        Ok(())
    }

    /// Waits until the file holds other texts than those that were listed. Half a file is no change.
    pub(crate) async fn changed(&self) {
        loop {
            if self.read().is_ok_and(|texts| self.know(texts)) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn read(&self) -> Result<Texts, DescriptionsError> {
        let text =
            std::fs::read(&self.path).map_err(|source| DescriptionsError::Io { path: self.path.clone(), source })?;
        serde_json::from_slice(&text).map_err(|source| DescriptionsError::Content { path: self.path.clone(), source })
    }

    /// Whether that was news.
    fn know(&self, texts: Texts) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let news = *known != texts;
        *known = texts;
        news
    }
}
