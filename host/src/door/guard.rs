//! `Host` and `Origin`: a web page in a browser on this machine must not reach the gate by a name of its own
//! (DNS rebinding; MCP, transports, security warning).

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;

use super::DoorOptions;
use super::answer::problem;

/// Lets a request pass whose `Host` and `Origin` are allowed.
pub(super) async fn check(State(options): State<Arc<DoorOptions>>, request: Request, next: Next) -> Response {
    match verdict(&options, request.headers()) {
        Ok(()) => next.run(request).await,
        Err((status, code, message)) => problem(status, code, message),
    }
}

type Problem = (StatusCode, &'static str, &'static str);

const NO_HOST: Problem = (StatusCode::BAD_REQUEST, "bad_host", "the request needs one `Host` header");
const BAD_HOST: Problem = (
    StatusCode::FORBIDDEN,
    "forbidden_host",
    "the gate is not known by this `Host`: call it by its address, or have its owner allow the name",
);
const BAD_ORIGIN: Problem = (StatusCode::FORBIDDEN, "forbidden_origin", "pages of this `Origin` may not call the gate");

fn verdict(options: &DoorOptions, headers: &HeaderMap) -> Result<(), Problem> {
    let host = single(headers, &HOST).map_err(|()| NO_HOST)?.ok_or(NO_HOST)?;
    if !host_allowed(options, host) {
        return Err(BAD_HOST);
    }
    match single(headers, &ORIGIN).map_err(|()| BAD_ORIGIN)? {
        Some(origin) if !origin_allowed(options, origin) => Err(BAD_ORIGIN),
        _ => Ok(()),
    }
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| ()),
        (Some(_), Some(_)) => Err(()),
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

fn loopback(host: &str) -> bool {
    let host = bare(host);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn host_allowed(options: &DoorOptions, host: &str) -> bool {
    let Ok(authority) = Authority::try_from(host) else { return false };
    // A user part has no place in `Host` (RFC 9110, section 7.2).
    if host.contains('@') {
        return false;
    }
    let name = authority.host();
    let ours = options.listen.ip();
    let address = bare(name).parse::<IpAddr>().ok();
    loopback(name)
        || address.is_some_and(|ip| ours.is_unspecified() || ip.to_canonical() == ours.to_canonical())
        || options.allowed_hosts.iter().any(|allowed| match Authority::try_from(allowed.as_str()) {
            Ok(allowed) => {
                allowed.host().eq_ignore_ascii_case(name)
                    && allowed.port_u16().is_none_or(|port| authority.port_u16() == Some(port))
            }
            Err(_) => false,
        })
}

fn origin_allowed(options: &DoorOptions, origin: &str) -> bool {
    if options.allowed_origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)) {
        return true;
    }
    let Ok(uri) = Uri::try_from(origin) else { return false };
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    web && !origin.contains('@') && uri.authority().is_some_and(|authority| loopback(authority.host()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(listen: &str) -> DoorOptions {
        DoorOptions {
            listen: listen.parse().unwrap(),
            allowed_hosts: vec!["gate.example".into(), "other.example:8443".into()],
            allowed_origins: vec!["https://console.example".into()],
        }
    }

    #[test]
    fn hosts() {
        let one = options("192.0.2.7:80");
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:8787",
            "127.9.9.9",
            "[::1]:80",
            "192.0.2.7",
            "gate.example",
            "Gate.Example:99",
            "other.example:8443",
        ] {
            assert!(host_allowed(&one, host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8787",
            "192.0.2.8",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "other.example",
            "other.example:1",
            "user@localhost",
            "[::1",
            "a b",
        ] {
            assert!(!host_allowed(&one, host), "{host}");
        }
        let all = options("0.0.0.0:80");
        assert!(host_allowed(&all, "198.51.100.4:80") && host_allowed(&all, "[2001:db8::1]"));
        assert!(!host_allowed(&all, "evil.example"));
    }

    #[test]
    fn origins() {
        let options = options("127.0.0.1:80");
        for origin in ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:9", "https://console.example"] {
            assert!(origin_allowed(&options, origin), "{origin}");
        }
        for origin in [
            "null",
            "",
            "https://evil.example",
            "http://localhost.evil.example",
            "file://localhost",
            "localhost",
            "http://console.example",
            "https://console.example.evil.example",
            "http://localhost@evil.example",
        ] {
            assert!(!origin_allowed(&options, origin), "{origin}");
        }
    }

    #[test]
    fn a_host_is_needed_once() {
        let options = options("127.0.0.1:80");
        let of = |pairs: &[(&HeaderName, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, value.parse().unwrap());
            }
            verdict(&options, &headers).map_err(|(status, ..)| status.as_u16())
        };
        assert_eq!(of(&[(&HOST, "localhost")]), Ok(()));
        assert_eq!(of(&[]), Err(400));
        assert_eq!(of(&[(&HOST, "localhost"), (&HOST, "localhost")]), Err(400));
        assert_eq!(of(&[(&HOST, "evil.example")]), Err(403));
        assert_eq!(of(&[(&HOST, "localhost"), (&ORIGIN, "http://evil.example")]), Err(403));
        let two = (&ORIGIN, "http://localhost");
        assert_eq!(of(&[(&HOST, "localhost"), two, two]), Err(403));
    }
}
