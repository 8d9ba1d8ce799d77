//! How a server elsewhere is connected to. Nothing of a request is sent here: what fails here was not sent.

use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Method, Request, Uri};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use zeroize::Zeroizing;

use super::exchange::{Connection, Stream};
use crate::config::Remote;
use crate::{limits, task};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// It takes none.
    #[error("no connection can be made: {0}")]
    Tcp(#[source] std::io::Error),
    /// It is not who it should be, or does not speak TLS.
    #[error("no encrypted connection can be made: {0}")]
    Tls(#[source] std::io::Error),
    /// It took too long.
    #[error("no connection was made within {} s", limits::UPSTREAM_CONNECT.as_secs())]
    Slow,
    /// An unencrypted connection would leave this machine.
    #[error("its name leads to another machine, which is only connected to by https://")]
    NotLoopback,
    /// The host cannot be checked.
    #[error("its host cannot stand in a certificate")]
    Name,
    /// There is nobody to trust.
    #[error("the system has no root certificates: install them, or name a file of them in SSL_CERT_FILE")]
    NoRoots,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] tokio_rustls::rustls::Error),
    /// HTTP cannot be set up.
    #[error("the connection is of no use: {0}")]
    Http(#[from] hyper::Error),
}

/// Where a server is, and what every request to it carries.
pub(super) struct Endpoint {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    authority: HeaderValue,
    path: Uri,
    headers: Vec<(HeaderName, Zeroizing<String>)>,
}

impl Endpoint {
    /// A server with the values of its headers filled in.
    pub(super) async fn new(
        remote: &Remote,
        headers: Vec<(HeaderName, Zeroizing<String>)>,
    ) -> Result<Self, ConnectError> {
        let host = remote.host().to_owned();
        let tls = if remote.tls() {
            let name = ServerName::try_from(host.clone()).map_err(|_| ConnectError::Name)?;
            Some((TlsConnector::from(trusting().await?), name))
        } else {
            None
        };
        let authority = remote.url.authority().map(|authority| HeaderValue::from_str(authority.as_str()));
        let authority = authority.and_then(Result::ok).ok_or(ConnectError::Name)?;
        let path = remote.url.path_and_query().map_or_else(|| Uri::from_static("/"), |path| Uri::from(path.clone()));
        Ok(Self { host, port: remote.port(), tls, authority, path, headers })
    }

    /// A new connection, within [`limits::UPSTREAM_CONNECT`].
    pub(super) async fn connect(&self) -> Result<Connection, ConnectError> {
        tokio::time::timeout(limits::UPSTREAM_CONNECT, self.open()).await.map_err(|_| ConnectError::Slow)?
    }

    async fn open(&self) -> Result<Connection, ConnectError> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(ConnectError::Tcp)?;
        tcp.set_nodelay(true).map_err(ConnectError::Tcp)?;
        let stream: Box<dyn Stream> = match &self.tls {
            Some((tls, name)) => Box::new(tls.connect(name.clone(), tcp).await.map_err(ConnectError::Tls)?),
            None if !tcp.peer_addr().map_err(ConnectError::Tcp)?.ip().is_loopback() => {
                return Err(ConnectError::NotLoopback);
            }
            None => Box::new(tcp),
        };
        Ok(Connection::new(stream).await?)
    }

    /// A request with the headers that all have.
    pub(super) fn request(&self, method: Method, fields: HeaderMap, body: String) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.path.clone();
        let headers = request.headers_mut();
        *headers = fields;
        headers.insert(HOST, self.authority.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("portcullis/", env!("CARGO_PKG_VERSION"))));
        for (name, value) in &self.headers {
            // It was checked when it was filled in.
            if let Ok(mut value) = HeaderValue::from_str(value) {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        request
    }
}

/// Trusts whom the system trusts. Read once.
async fn trusting() -> Result<Arc<ClientConfig>, ConnectError> {
    static TRUSTING: OnceCell<Arc<ClientConfig>> = OnceCell::const_new();
    let read = || {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "some root certificates of the system cannot be read");
        }
        let mut roots = RootCertStore::empty();
        let (added, ignored) = roots.add_parsable_certificates(found.certs);
        tracing::debug!(added, ignored, "root certificates");
        if added == 0 {
            return Err(ConnectError::NoRoots);
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let mut config =
            builder.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    };
    TRUSTING.get_or_try_init(|| task::blocking(read)).await.map(Arc::clone)
}
