//! The arguments of one call as policies may see them: without what the configuration marks as secret.

use std::sync::{Arc, OnceLock};

use super::guest::portcullis::policy::json as contract;
use super::imports::{ImportError, Work};
use super::limits;
use crate::call::Call;
use crate::json::{self, PointerError, Value};
use crate::seal::sha256_hex;

/// The arguments of one call, shared by all the policies that are asked about it.
pub(super) struct Arguments {
    source: Source,
    /// Decoded pointers that answer as if nothing were there.
    secrets: Vec<Vec<String>>,
    canonical: OnceLock<String>,
    digest: OnceLock<String>,
}

enum Source {
    /// The call's own: nothing in them is secret.
    Call(Arc<Call>),
    /// A copy, without what is secret.
    Copy(Value),
}

impl Arguments {
    /// The arguments of a call without the values at its tool's secret pointers.
    ///
    /// # Errors
    /// When one of these is not a JSON pointer: what it was to hide is then not known.
    pub(super) fn of(call: &Arc<Call>) -> Result<Self, PointerError> {
        if call.tool.secret_arguments.is_empty() {
            return Ok(Self::new(Source::Call(Arc::clone(call)), Vec::new()));
        }
        Self::without(call.arguments.value().clone(), &call.tool.secret_arguments)
    }

    /// A document without the values at secret pointers.
    ///
    /// # Errors
    /// As [`Arguments::of`].
    pub(super) fn without(mut value: Value, pointers: &[String]) -> Result<Self, PointerError> {
        let mut secrets = Vec::with_capacity(pointers.len());
        for pointer in pointers {
            secrets.push(json::pointer_tokens(pointer)?.into_iter().map(String::from).collect());
            value.remove(pointer)?;
        }
        Ok(Self::new(Source::Copy(value), secrets))
    }

    fn new(source: Source, secrets: Vec<Vec<String>>) -> Self {
        Self { source, secrets, canonical: OnceLock::new(), digest: OnceLock::new() }
    }

    /// The value at a pointer, as the contract says it.
    pub(super) fn get(&self, pointer: &str, work: &mut Work) -> Result<Option<contract::Value>, ImportError> {
        if pointer.len() > limits::POINTER_BYTES_MAX {
            return Err(ImportError::TooLong("pointer", limits::POINTER_BYTES_MAX));
        }
        work.spend(pointer.len().saturating_add(1))?;
        let tokens = json::pointer_tokens(pointer)?;
        // A secret list item leaves a `null` in its place, so that the other items keep theirs: it has to be asked for.
        if self.secrets.iter().any(|secret| *secret == *tokens) {
            return Ok(None);
        }
        let mut here = match &self.source {
            Source::Call(call) => call.arguments.value(),
            Source::Copy(value) => value,
        };
        for token in &tokens {
            let next = match here {
                Value::Object(members) => {
                    work.spend(members.len())?;
                    here.get(token)
                }
                Value::Array(items) => json::array_index(token).and_then(|index| items.get(index)),
                _ => None,
            };
            match next {
                Some(value) => here = value,
                None => return Ok(None),
            }
        }
        shown(here, work).map(Some)
    }

    /// All of it as canonical JSON.
    pub(super) fn canonical(&self, work: &mut Work) -> Result<&str, ImportError> {
        let text = match &self.source {
            Source::Call(call) => call.arguments.canonical(),
            Source::Copy(value) => self.canonical.get_or_init(|| value.canonical()),
        };
        work.spend(text.len().saturating_add(1))?;
        Ok(text)
    }

    /// The digest of [`Arguments::canonical`], computed once for all policies.
    pub(super) fn digest(&self, canonical: &str) -> &str {
        self.digest.get_or_init(|| sha256(canonical.as_bytes()))
    }
}

fn shown(value: &Value, work: &mut Work) -> Result<contract::Value, ImportError> {
    Ok(match value {
        Value::Null => contract::Value::Null,
        Value::Bool(bool) => contract::Value::Boolean(*bool),
        Value::Number(number) => {
            work.spend(number.as_str().len())?;
            contract::Value::Number(number.as_str().to_owned())
        }
        Value::String(text) => {
            work.spend(text.len())?;
            contract::Value::Text(text.clone())
        }
        Value::Array(items) => contract::Value::Items(u32::try_from(items.len()).unwrap_or(u32::MAX)),
        Value::Object(members) => {
            let bytes: usize = members.iter().map(|(key, _)| key.len().saturating_add(1)).sum();
            // Sorting looks at each key some times.
            work.spend(bytes.saturating_mul(4))?;
            let mut keys: Vec<String> = members.iter().map(|(key, _)| key.clone()).collect();
            keys.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
            contract::Value::Members(keys)
        }
    })
}

/// `sha256:` and the digest's hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256_hex(bytes))
}
