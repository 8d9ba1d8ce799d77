//! Where the doors are, and the accounts of the ceilings: values of the configuration that are allowed and probably not
//! meant.

use super::finding::Findings;
use crate::config::Config;

/// Accounts that have a meaning of their own.
const ACCOUNTS: [&str; 3] = ["agent", "owner", "payee"];
/// Letters in which a misspelt word differs at most.
const TYPO_MAX: usize = 2;

pub(super) fn look(config: &Config, found: &mut Findings) {
    let doors = [
        ("gate.listen", config.listen, "agents' keys and calls"),
        ("gate.admin", config.admin, "owners' keys and decisions"),
    ];
    for (key, address, what) in doors {
        if !address.ip().to_canonical().is_loopback() {
            let what = format!("`{key}` is {address}: {what} cross the network as plain text there");
            let todo = "listen on 127.0.0.1, and let a proxy with TLS in front of it speak to the network";
            found.warning("doors", what, todo);
        }
    }
    found.else_ok("doors", format!("agents at {}, owners at {}, on this machine only", config.listen, config.admin));
}

/// The known account that a name is a misspelling of.
pub(super) fn misspelt(account: &str) -> Option<&'static str> {
    let near =
        |known: &&str| !ACCOUNTS.contains(&account) && strsim::osa_distance(&account.to_lowercase(), known) <= TYPO_MAX;
    ACCOUNTS.into_iter().find(near)
}
