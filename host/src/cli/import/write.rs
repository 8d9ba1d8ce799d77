//! Writing servers: as TOML, and into the configuration, whole or not at all.

use std::io::Write as _;
use std::path::Path;

use serde::Serialize;

use super::super::Failure;
use super::server::{Imported, duplicates};
use crate::config::Config;
use crate::refusal::causes;

#[derive(Serialize)]
struct Servers<'a> {
    server: &'a [Imported],
}

/// Servers as `[[server]]` tables.
pub(super) fn toml(servers: &[Imported]) -> Result<String, toml::ser::Error> {
    toml::to_string(&Servers { server: servers })
}

/// Adds servers to the end of a configuration. What is written beside it is read as a configuration before it takes its
/// place: what cannot be used changes nothing.
pub(super) fn append(config: &Path, servers: &[Imported], toml: &str) -> Result<(), Failure> {
    let there = Config::load(config)?.servers.into_iter().map(|server| server.name).collect();
    let twice = duplicates(servers, &there);
    if !twice.is_empty() {
        return Err(Failure::Said(format!(
            "`{}` has servers called `{}` already, and was not touched: rename or remove these there or in the client's file",
            config.display(),
            twice.join("`, `")
        )));
    }
    let cannot = |error: std::io::Error| {
        Failure::Said(format!("`{}` could not be written, and was not touched: {error}", config.display()))
    };
    // A link stays a link.
    let file = std::fs::canonicalize(config).map_err(cannot)?;
    let folder = file.parent().unwrap_or(Path::new("/"));
    let old = std::fs::read_to_string(&file).map_err(cannot)?;
    let new = format!("{}\n\n{}\n", old.trim_end(), toml.trim_end());
    let mut beside = tempfile::NamedTempFile::new_in(folder).map_err(cannot)?;
    beside.write_all(new.as_bytes()).map_err(cannot)?;
    let permissions = std::fs::metadata(&file).map_err(cannot)?.permissions();
    beside.as_file().set_permissions(permissions).map_err(cannot)?;
    beside.as_file().sync_all().map_err(cannot)?;
    if let Err(error) = Config::load(beside.path()) {
        let why = causes(&error).replace(&beside.path().display().to_string(), &file.display().to_string());
        return Err(Failure::Said(format!(
            "with these servers the configuration could not be used, so it was not touched: {why}"
        )));
    }
    beside.persist(&file).map_err(|error| cannot(error.error))?;
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(cannot)
}
