//! The credential of a request (RFC 6750, section 2.1).

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use zeroize::Zeroizing;

use crate::gate::Credential;

/// Takes the bearer credential out of a request's headers. Several `Authorization` headers, or another scheme, are no
/// credential: which of two is meant is not for a gate to guess.
pub(super) fn take(headers: &mut HeaderMap) -> Credential {
    let credential = read(headers);
    // Nothing behind the door needs it, and nothing may pass it on.
    headers.remove(AUTHORIZATION);
    credential
}

fn read(headers: &HeaderMap) -> Credential {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    let fine = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && fine).then(|| Zeroizing::new(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        let credential = take(&mut headers);
        assert!(!headers.contains_key(AUTHORIZATION));
        credential.map(|text| text.to_string())
    }

    #[test]
    fn one_bearer_credential_is_taken_and_nothing_else() {
        assert_eq!(of(&["Bearer pk_1"]).as_deref(), Some("pk_1"));
        assert_eq!(of(&["bearer  pk_1 "]).as_deref(), Some("pk_1"));
        for values in [
            &[][..],
            &[""],
            &["Bearer"],
            &["Bearer "],
            &["Basic cGs6MQ=="],
            &["pk_1"],
            &["Bearer a b"],
            &["Bearer pk_1", "Bearer pk_1"],
            &["Bearer pk_1", "Basic x"],
        ] {
            assert_eq!(of(values), None, "{values:?}");
        }
    }
}
