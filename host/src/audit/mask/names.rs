//! Fields whose name says secret.

use crate::json::pointer_tokens;

/// Words of a name that make it secret, in the singular: `pin_code`, `userPIN` and `card.pin` have one, `shipping` has none.
const WORDS: [&str; 19] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "apikey",
    "authorization",
    "credential",
    "cookie",
    "privatekey",
    "cvv",
    "cvc",
    "csc",
    "pin",
    "otp",
    "totp",
    "jwt",
];

/// What makes a name secret wherever it stands, also in names that are written as one word.
const PARTS: [&str; 16] = [
    "password",
    "passwd",
    "passphrase",
    "apikey",
    "privatekey",
    "secretkey",
    "accesskey",
    "signingkey",
    "encryptionkey",
    "clientsecret",
    "authtoken",
    "accesstoken",
    "refreshtoken",
    "bearertoken",
    "sessiontoken",
    "credential",
];

/// Fields beside a `pointer` that say something about the argument, and do not hold it.
const BESIDE_POINTER: [&str; 7] = ["pointer", "policy", "kind", "code", "reason", "summary", "tags"];

/// Whether a field with this name is hidden whatever it holds. A plural with a number is a count (`max_tokens`), and
/// stays.
pub(super) fn is_secret(name: &str, holds_number: bool) -> bool {
    let joined: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    PARTS.iter().any(|part| joined.contains(part))
        || words(name).any(|word| {
            let word = word.to_lowercase();
            let plural = || word.strip_suffix('s').is_some_and(|singular| WORDS.contains(&singular));
            WORDS.contains(&word.as_str()) || (!holds_number && plural())
        })
}

/// Whether a JSON pointer (RFC 6901) goes through a secret field.
pub(super) fn pointer_is_secret(pointer: &str) -> bool {
    match pointer_tokens(pointer) {
        Ok(tokens) => tokens.iter().any(|token| is_secret(token, false)),
        Err(_) => is_secret(pointer, false),
    }
}

pub(super) fn beside_pointer(name: &str) -> bool {
    BESIDE_POINTER.contains(&name)
}

/// The words of a name in any of the usual spellings: `api_key`, `api-key`, `apiKey`, `APIKey`, `cvv2`.
fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_alphabetic()).flat_map(|run| {
        let chars: Vec<(usize, char)> = run.char_indices().collect();
        let mut starts = vec![0];
        for (i, window) in chars.windows(2).enumerate() {
            let [(_, before), (at, here)] = window else { continue };
            let next_is_lower = chars.get(i + 2).is_some_and(|(_, next)| next.is_lowercase());
            if here.is_uppercase() && (before.is_lowercase() || next_is_lower) {
                starts.push(*at);
            }
        }
        starts.push(run.len());
        starts
            .windows(2)
            .filter_map(|span| run.get(*span.first()?..*span.last()?))
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
    })
}
