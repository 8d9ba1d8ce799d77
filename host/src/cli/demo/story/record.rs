//! What was done, as the marketplace wrote it down and as the gate did.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::super::super::Failure;
use super::super::super::show::{self, Tone};
use super::Story;
use crate::audit::tree::{Hash, leaf_hash, verify_inclusion};

impl Story<'_> {
    /// The audit log, and a proof that a call is in it.
    pub(super) async fn record(&mut self, call: &str) -> Result<(), Failure> {
        self.teller.chapter(
            "All of it is in the audit log",
            "Its entries are the leaves of a Merkle tree: whoever has kept the root sees that none was changed.",
        )?;
        let found = self.stage.writes("market.json")?.saturating_add(self.stage.writes("bank.json")?);
        let wanted = self.writes;
        let what = format!("the books of marketplace and bank: {found} writes; {wanted} calls were done or resolved");
        let outcome = if found == wanted { "the same" } else { "NOT the same" };
        self.teller.check(found == wanted, &what, outcome, found == wanted)?;

        let owner = &self.stage.owner;
        let page = owner.get("/v1/audit/events?limit=1000").await?;
        let entries = page.get("entries").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);

        let report = owner.get("/v1/audit/verify").await?;
        let ok = report.get("ok") == Some(&Value::Bool(true));
        let what = format!("{}, the owner: GET /v1/audit/verify", owner.name);
        let outcome = if ok { "every entry and every node fits" } else { "NOT what was written" };
        self.teller.check(ok, &what, &format!("{} entries, {outcome}", show::cell(report.get("entries"))), ok)?;
        for key in ["status", "code"] {
            self.teller.sentence(&counted(entries, key))?;
        }

        let proofs = owner.get(&format!("/v1/audit/proof/inclusion?id={call}")).await?;
        let proof = proofs.as_array().and_then(|proofs| proofs.last()).cloned().unwrap_or_default();
        let text = |key: &str| show::cell(proof.get(key));
        let path = proof.get("path").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let short: Vec<String> = path.iter().map(|hash| show::cell(Some(hash)).chars().take(8).collect()).collect();
        let proven = proven(&proof, path);
        let what = format!("{}, the owner: GET /v1/audit/proof/inclusion, for the approved offer", owner.name);
        let outcome = if proven { "leaf and path make the root" } else { "the path does NOT lead to the root" };
        self.teller.check(proven, &what, outcome, proven)?;
        let at = format!("entry {} of {}", text("index"), text("tree_size"));
        self.teller.detail(Tone::Quiet, &format!("leaf {}  {at}", text("leaf_hash")))?;
        self.teller.detail(Tone::Quiet, &format!("path {}…", short.join("… ")))?;
        Ok(self.teller.detail(Tone::Quiet, &format!("root {}", text("root")))?)
    }
}

/// How often each value of a member is there.
fn counted(entries: &[Value], key: &str) -> String {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for value in entries.iter().filter_map(|entry| entry.get(key).and_then(Value::as_str)) {
        let count = counts.entry(value).or_default();
        *count = count.saturating_add(1);
    }
    counts.iter().map(|(value, count)| format!("{count} {value}")).collect::<Vec<_>>().join(", ")
}

/// Whether the leaf and the path of a proof make its root, which is computed here from what was sent.
fn proven(proof: &Value, path: &[Value]) -> bool {
    let number = |key: &str| proof.get(key).and_then(Value::as_u64);
    let leaf = proof.get("leaf").and_then(Value::as_str).and_then(|leaf| STANDARD.decode(leaf).ok());
    let path: Option<Vec<Hash>> = path.iter().map(|text| hash(Some(text))).collect();
    match (number("index"), number("tree_size"), leaf, path, hash(proof.get("root"))) {
        (Some(index), Some(size), Some(leaf), Some(path), Some(root)) => {
            verify_inclusion(&leaf_hash(&leaf), index, size, &path, &root)
        }
        _ => false,
    }
}

/// A hash of 64 hexadecimal digits.
fn hash(text: Option<&Value>) -> Option<Hash> {
    let text = text?.as_str().filter(|text| text.len() == 64 && text.is_ascii())?;
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(Hash(bytes))
}
