//! Where the state is kept: one JSON file, safe against a crash and a second process.
//!
//! A change holds the lock of the file, reads it, writes the new state next to it and renames that over it. The lock
//! belongs to the file that is replaced, so whoever waited for it looks again whether it is still the one with the
//! name. Everybody who opens the file, at any moment, reads a whole state.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::market::State;

/// A state file.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
}

/// Why a state file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be opened, locked, read or written.
    #[error("cannot {what} `{path}`: {source}", path = path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not a state of a marketplace.
    #[error("`{path}` is not the state of a marketplace: {source}; move it away to start anew", path = path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}

impl StateFile {
    /// The state file at a path, made with an empty state where there is none.
    ///
    /// # Errors
    /// When it cannot be made or read.
    pub fn open(path: PathBuf) -> Result<Self, StateError> {
        let file = Self { path };
        if !file.path.exists() {
            let temporary = file.beside(&format!("{}.new", std::process::id()));
            write(&temporary, &State::default())?;
            // Unlike a rename, a link never replaces what a second process made meanwhile.
            let linked = fs::hard_link(&temporary, &file.path);
            fs::remove_file(&temporary).map_err(|source| io_error("remove", &temporary, source))?;
            match linked {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(io_error("create", &file.path, error));
                }
                _ => {}
            }
        }
        let mut held = file.lock()?;
        file.read(&mut held)?;
        Ok(file)
    }

    /// Changes the state. The new one is in place, under its name, when this comes back.
    ///
    /// # Errors
    /// When the file cannot be locked, read or written; then nothing has changed.
    pub fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, StateError> {
        let mut held = self.lock()?;
        let mut state = self.read(&mut held)?;
        let answer = change(&mut state);
        // Whoever has the lock has this name: what a killed process left under it is written over.
        let next = self.beside("next");
        write(&next, &state)?;
        fs::rename(&next, &self.path).map_err(|source| io_error("replace", &self.path, source))?;
        Ok(answer)
    }

    /// The file that has the name now, locked until it is dropped.
    fn lock(&self) -> Result<File, StateError> {
        loop {
            let opened = OpenOptions::new().read(true).write(true).open(&self.path);
            let file = opened.map_err(|source| io_error("open", &self.path, source))?;
            file.lock().map_err(|source| io_error("lock", &self.path, source))?;
            let held = file.metadata().map_err(|source| io_error("look at", &self.path, source))?;
            let named = fs::metadata(&self.path).map_err(|source| io_error("look at", &self.path, source))?;
            if (held.dev(), held.ino()) == (named.dev(), named.ino()) {
                return Ok(file);
            }
        }
    }

    fn read(&self, file: &mut File) -> Result<State, StateError> {
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|source| io_error("read", &self.path, source))?;
        if text.trim().is_empty() {
            return Ok(State::default());
        }
        serde_json::from_str(&text).map_err(|source| StateError::Content { path: self.path.clone(), source })
    }

    /// The file's own path with another ending.
    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".");
        name.push(ending);
        name.into()
    }
}

fn write(path: &Path, state: &State) -> Result<(), StateError> {
    let written = File::create(path).and_then(|mut file| {
        let mut text = serde_json::to_vec_pretty(state)?;
        text.push(b'\n');
        file.write_all(&text)
    });
    written.map_err(|source| io_error("write", path, source))
}

fn io_error(what: &'static str, path: &Path, source: io::Error) -> StateError {
    StateError::Io { what, path: path.to_path_buf(), source }
}

#[cfg(test)]
mod tests;
