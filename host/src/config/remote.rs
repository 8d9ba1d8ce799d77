//! A server that runs elsewhere: where it is, and the headers that it must be sent.

use std::collections::BTreeMap;
use std::fmt;

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::server::OWN_SECRETS;

/// Headers of one server.
const FIELDS_MAX: usize = 32;

/// Headers that belong to the connection or the protocol.
const RESERVED: [&str; 14] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Beginnings of names of such headers.
const RESERVED_STARTS: [&str; 2] = ["mcp-", "proxy-"];

/// A server that is reached over streamable HTTP.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Its endpoint: `https`, or `http` on a loopback address.
    pub url: Uri,
    /// What every request to it carries besides the protocol's own headers.
    pub headers: Vec<Field>,
}

/// A header whose value may name environment variables of the gate. What it is does not show.
#[derive(Clone)]
pub struct Field {
    /// Its name.
    pub name: HeaderName,
    value: Vec<Part>,
}

#[derive(Clone)]
enum Part {
    Text(Zeroizing<String>),
    Variable(String),
}

/// A header that cannot be filled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unset {
    /// There is no such variable.
    #[error(
        "its header `{header}` needs the environment variable `{variable}`, which the gate does not have: set it and \
         start the gate again"
    )]
    Missing {
        /// The header.
        header: String,
        /// The variable.
        variable: String,
    },
    /// What is in the variable cannot stand in a header.
    #[error(
        "its header `{header}` cannot be sent: the environment variable `{variable}` holds a line break or the like"
    )]
    NoHeader {
        /// The header.
        header: String,
        /// The variable.
        variable: String,
    },
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ***", self.name)
    }
}

impl Remote {
    pub(super) fn parse(url: &str, headers: &BTreeMap<String, String>) -> Result<Self, String> {
        let url = endpoint(url)?;
        if headers.len() > FIELDS_MAX {
            return Err(format!("has {} headers; at most {FIELDS_MAX} are sent", headers.len()));
        }
        let headers = headers.iter().map(|(name, value)| Field::parse(name, value)).collect::<Result<_, _>>()?;
        Ok(Self { url, headers })
    }

    /// The host, without the brackets of an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        bare(self.url.host().unwrap_or_default())
    }

    /// The port, given or the scheme's.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.url.port_u16().unwrap_or(if self.tls() { 443 } else { 80 })
    }

    /// Whether the connection is encrypted. If not, it goes to a loopback address or nowhere.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.url.scheme_str() == Some("https")
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Reads an endpoint. It is told back only where nothing in it can be a secret.
fn endpoint(text: &str) -> Result<Uri, String> {
    if text.contains("${") {
        return Err("has a `url` with a variable: secrets go into `headers`, where `${VAR}` is filled in".into());
    }
    let url: Uri = text.parse().map_err(|_| "has a `url` that is none, such as `https://host/mcp`")?;
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("has a `url` with a user or password: credentials go into `headers`".into());
    }
    let Some(host) = url.host().filter(|host| !bare(host).is_empty()) else {
        return Err("has a `url` without a host; a whole one looks like `https://host/mcp`".into());
    };
    // `Uri` has no port where it cannot read one, and the scheme's would be dialled instead. The text is not told back: it
    // may be a password whose `@` is missing.
    let behind = url.authority().and_then(|authority| authority.as_str().strip_prefix(host)).unwrap_or_default();
    if !behind.is_empty() && !behind.strip_prefix(':').is_some_and(is_port) {
        return Err("has a `url` whose port is none: it is a number from 1 to 65535, or left out with its `:`".into());
    }
    let loopback = bare(host).eq_ignore_ascii_case("localhost")
        || bare(host).parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    match url.scheme_str() {
        Some("https") => Ok(url),
        Some("http") if loopback => Ok(url),
        Some("http") => Err(format!(
            "has the `url` of `{host}` with http://, by which anybody on the way reads and changes calls: use https://; \
             http:// is for loopback addresses only"
        )),
        _ => Err("has a `url` that is neither https:// nor http://".into()),
    }
}

impl Field {
    fn parse(name: &str, value: &str) -> Result<Self, String> {
        let bad = |what: &str| format!("has the header `{name}` in `headers`, {what}");
        let name: HeaderName = name.parse().map_err(|_| bad("which is not a header's name"))?;
        let reserved =
            RESERVED.contains(&name.as_str()) || RESERVED_STARTS.iter().any(|p| name.as_str().starts_with(p));
        if reserved {
            return Err(bad("which the gate itself sets or leaves out"));
        }
        let value = parts(value).map_err(bad)?;
        let fine = |part: &Part| match part {
            Part::Text(text) => HeaderValue::from_str(text).is_ok(),
            Part::Variable(_) => true,
        };
        if !value.iter().all(fine) {
            return Err(bad("whose value cannot stand in a header"));
        }
        Ok(Self { name, value })
    }

    /// Its value, with what the variables hold.
    ///
    /// # Errors
    /// When a variable is not set, or holds what no header can.
    pub fn fill(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Zeroizing<String>, Unset> {
        let header = || self.name.to_string();
        let mut filled = Zeroizing::new(String::new());
        for part in &self.value {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Variable(name) => {
                    let missing = || Unset::Missing { header: header(), variable: name.clone() };
                    let value = variable(name).filter(|value| !value.is_empty()).map(Zeroizing::new);
                    let value = value.ok_or_else(missing)?;
                    if HeaderValue::from_str(&value).is_err() {
                        return Err(Unset::NoHeader { header: header(), variable: name.clone() });
                    }
                    filled.push_str(&value);
                }
            }
        }
        Ok(filled)
    }
}

/// Takes a value apart: `Bearer ${TOKEN}` is a text and a variable.
fn parts(value: &str) -> Result<Vec<Part>, &'static str> {
    let text = |text: &str| (!text.is_empty()).then(|| Part::Text(Zeroizing::new(text.to_owned())));
    let mut parts = Vec::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, behind) = after.split_once('}').ok_or("with a `${` that has no `}`")?;
        let fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(fine) {
            return Err("where a variable's name must stand between `${` and `}`");
        }
        if OWN_SECRETS.contains(&name) {
            return Err("with an agent's credential at this gate, which goes nowhere else");
        }
        parts.extend(text(before));
        parts.push(Part::Variable(name.to_owned()));
        rest = behind;
    }
    parts.extend(text(rest));
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(value: &str) -> Result<Field, String> {
        Field::parse("Authorization", value)
    }

    #[test]
    fn variables_are_filled_in_and_nothing_shows() {
        let field = field("Bearer ${TOKEN}-${N}").unwrap();
        let filled = field.fill(|name| Some(format!("<{name}>"))).unwrap();
        assert_eq!(filled.as_str(), "Bearer <TOKEN>-<N>");
        assert_eq!(format!("{field:?}"), "authorization: ***");
        let unset = field.fill(|name| (name == "TOKEN").then(|| "t".to_owned())).unwrap_err();
        assert!(unset.to_string().contains("`N`"), "{unset}");
        for hidden in ["a\r\nHost: evil", "\u{0}"] {
            let error = field.fill(|_| Some(hidden.to_owned())).unwrap_err();
            assert!(matches!(&error, Unset::NoHeader { variable, .. } if variable == "TOKEN"), "{error}");
            assert!(!error.to_string().contains(hidden));
        }
    }

    #[test]
    fn what_cannot_be_a_header_is_said() {
        for value in ["${", "${}", "${a b}", "${A", "a\nb"] {
            assert!(field(value).is_err(), "{value}");
        }
        assert!(field("Bearer ${PORTCULLIS_KEY}").unwrap_err().contains("credential"));
        for name in ["Host", "Mcp-Session-Id", "mcp-param-x", "Transfer-Encoding", "a b", ""] {
            assert!(Field::parse(name, "x").is_err(), "{name}");
        }
    }

    #[test]
    fn an_unencrypted_connection_stays_on_this_machine() {
        let of = |url: &str| Remote::parse(url, &BTreeMap::new());
        for (url, host, port) in [
            ("https://host/mcp", "host", 443),
            ("https://host:8443", "host", 8443),
            ("http://127.0.0.1:1/mcp?a=b", "127.0.0.1", 1),
            ("http://LOCALHOST/mcp", "LOCALHOST", 80),
            ("http://[::1]:7/", "::1", 7),
        ] {
            let remote = of(url).unwrap();
            assert_eq!((remote.host(), remote.port()), (host, port));
        }
        for (url, expected) in [
            ("http://host/mcp", "loopback"),
            ("http://127.0.0.1.host/", "loopback"),
            ("http://10.0.0.1/", "loopback"),
            ("ftp://host/", "neither"),
            ("/mcp", "without a host"),
            ("https:///mcp", "none"),
            ("https://u:hunter2@host/", "user or password"),
            ("https://host/${TOKEN}", "variable"),
            ("http://127.0.0.1:99999/", "port"),
            ("https://host:65536", "port"),
            ("https://host:0/mcp", "port"),
            ("https://host:+80/mcp", "port"),
            ("https://host:/mcp", "port"),
            ("https://host:hunter2/mcp", "port"),
            ("http://[::1]:99999/", "port"),
        ] {
            let error = of(url).unwrap_err();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{url}: {error}");
        }
    }
}
