//! Looking at components and policy directories without deciding anything, for the command line.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::arguments::sha256;
use super::engine::{Engine, EngineError};
use super::file::{self, Content, Problem};
use super::load::{self, Description, LoadError};
use super::set::PolicySet;

/// What can be told of a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// What it says of itself.
    pub description: Description,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    /// `sha256:…` of the component.
    pub digest: String,
    /// Bytes of the component.
    pub size: usize,
    /// Why its configuration would be done again for each decision; none where a snapshot can hold it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_snapshotted: Option<String>,
    /// Its sections in order.
    pub sections: Vec<Section>,
}

/// A section of a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Section {
    /// What it holds.
    pub kind: &'static str,
    /// Bytes.
    pub size: usize,
}

/// Why a component cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// It is no policy.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// This machine cannot run policies.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Looks at a component.
///
/// # Errors
/// When it is not one that could be loaded with the right settings.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, InspectError> {
    let engine = Engine::new()?;
    let component: Arc<[u8]> = bytes.into();
    let (description, imports, snapshot) = load::run(&engine, move |engine| {
        let examined = load::examined(engine, &component, "{}")?;
        Ok((load::describe(&examined.fresh.sandbox)?, examined.fresh.imports, examined.snapshot.map(|_| ())))
    })?;
    Ok(Inspection {
        description,
        imports,
        digest: sha256(bytes),
        size: bytes.len(),
        not_snapshotted: snapshot.err(),
        sections: sections(bytes),
    })
}

/// Everything that keeps a policy directory from being loaded, its test vectors among it; empty when it is good.
///
/// # Errors
/// When this machine cannot run policies.
pub fn check(directory: &Path) -> Result<Vec<Problem>, EngineError> {
    Ok(open(&Engine::new()?, directory).err().unwrap_or_default())
}

/// The set in a policy directory.
pub(super) fn open(engine: &Engine, directory: &Path) -> Result<PolicySet, Vec<Problem>> {
    match file::read(directory).content {
        Content::Absent(problem) => Err(vec![problem]),
        Content::Broken(problems) => Err(problems),
        Content::Written(written) => PolicySet::load(engine, written, 1, None),
    }
}

/// The outermost sections of a component that has been validated: an id, a length in LEB128, and that many bytes.
fn sections(bytes: &[u8]) -> Vec<Section> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    let mut sections = Vec::new();
    while let Some((id, after)) = rest.split_first() {
        let Some((size, body)) = leb128(after) else { break };
        sections.push(Section { kind: kind(*id), size });
        rest = body.get(size..).unwrap_or_default();
    }
    sections
}

fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let end = bytes.iter().take(5).position(|byte| byte & 0x80 == 0)?.checked_add(1)?;
    let (digits, rest) = bytes.split_at_checked(end)?;
    let value = digits
        .iter()
        .rev()
        .try_fold(0_u64, |value, digit| value.checked_mul(128).map(|value| value | u64::from(digit & 0x7f)))?;
    Some((usize::try_from(value).ok()?, rest))
}

/// Section ids of the component binary format.
fn kind(id: u8) -> &'static str {
    match id {
        0 => "custom",
        1 => "core module",
        2 => "core instance",
        3 => "core type",
        4 => "component",
        5 => "instance",
        6 => "alias",
        7 => "type",
        8 => "canonical function",
        9 => "start",
        10 => "import",
        11 => "export",
        _ => "other",
    }
}
