//! Puts the gate together and runs it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::Admin;
use crate::admission::{Admission, Folder};
use crate::approval::Approvals;
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::Config;
use crate::door::socket::{self, Socket, SocketError};
use crate::door::{self, DoorOptions, Sessions};
use crate::gate::{Crowd, Gate, Listening};
use crate::idempotency::{self, Idempotency};
use crate::policy::{EngineError, Policies};
use crate::seal::{SealError, StoreKey};
use crate::store::{Options, Store, StoreError};
use crate::{limits, task};

/// How often folded refusals and approvals whose time is over are looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(10);

/// Why the gate does not start. The message names the thing and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A directory or file of the gate's own.
    #[error("cannot use `{}`: {source}", path.display())]
    Path {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The store.
    #[error("the store in `{}` does not open: {source}", path.display())]
    Store {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// The store's key.
    #[error(transparent)]
    Key(#[from] SealError),
    /// The sandbox.
    #[error("the policy engine does not start: {0}")]
    Engine(#[from] EngineError),
    /// An address.
    #[error("cannot listen on {address}: {source}; is another gate running there, or is `{key}` wrong?")]
    Listen {
        /// The key of the configuration.
        key: &'static str,
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The Unix socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
}

/// How often a store that is in use is looked at again, and how long it is waited in between.
const OPEN_LOOKS: usize = 50;
const OPEN_PAUSE: Duration = Duration::from_millis(100);

/// The path of the Unix socket in a data directory.
#[must_use]
pub fn socket_path(data: &Path) -> PathBuf {
    data.join(socket::FILE_NAME)
}

/// The store in a data directory, with its key. The directory is made when it is missing, for its owner only.
///
/// # Errors
/// When the directory cannot be made, others than its owner can use it, another process has the store open, or it is
/// damaged.
pub fn open_store(data: &Path) -> Result<(Store, StoreKey), StartError> {
    let path = |source| StartError::Path { path: data.to_owned(), source };
    std::os::unix::fs::DirBuilderExt::mode(std::fs::DirBuilder::new().recursive(true), 0o700)
        .create(data)
        .map_err(path)?;
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(data).map_err(path)?);
    if mode & 0o077 != 0 {
        let why = format!("its group or others can use it; run `chmod 700 {}`", data.display());
        return Err(path(std::io::Error::new(std::io::ErrorKind::PermissionDenied, why)));
    }
    let at = data.join("store");
    let store = Store::open(&at, Options::default()).map_err(|source| StartError::Store { path: at, source })?;
    let key = StoreKey::open_or_create(data)?;
    key.check_store(&store)?;
    Ok((store, key))
}

/// Opens the store of a gate that starts. A command that has it open is done in a moment; another gate is not.
async fn open_patiently(data: &Path) -> Result<(Store, StoreKey), StartError> {
    let mut looks = 0_usize;
    loop {
        let at = data.to_owned();
        match task::blocking(move || open_store(&at)).await {
            Err(StartError::Store { source: StoreError::Locked(_), .. }) if looks < OPEN_LOOKS => {
                let socket = socket_path(data);
                if socket::answers(&socket).await {
                    return Err(SocketError::InUse(socket).into());
                }
                looks = looks.saturating_add(1);
                tokio::time::sleep(OPEN_PAUSE).await;
            }
            opened => return opened,
        }
    }
}

/// A gate that runs.
pub struct Running {
    /// Where agents and persons come in over HTTP; nowhere when the gate was started without these doors.
    pub listening: Option<Listening>,
    /// Where the command line comes in.
    pub socket: PathBuf,
    /// The gate itself.
    pub gate: Arc<Gate>,
    /// The store's key.
    pub key: Arc<StoreKey>,
    stop: CancellationToken,
    doors: Vec<JoinHandle<()>>,
}

/// Starts a gate: the store, the policies, the socket, the servers, and at last the door for agents.
///
/// # Errors
/// When one of its parts cannot start. Missing or broken policies and servers that do not answer are no such reason: the
/// gate runs, is shut, and says why.
pub async fn start(config: Config, clock: Clock) -> Result<Running, StartError> {
    let mut running = start_unlistening(config.clone(), clock).await?;
    match running.listen(config).await {
        Ok(()) => Ok(running),
        Err(error) => {
            running.stop().await;
            Err(error)
        }
    }
}

/// Starts a gate without doors on the network: only its socket lets anything in.
///
/// # Errors
/// As [`start`].
pub async fn start_unlistening(config: Config, clock: Clock) -> Result<Running, StartError> {
    let (store, key) = open_patiently(&config.data).await?;
    let (directory, opened, time) = (config.policies.clone(), store.clone(), clock.clone());
    let policies = task::blocking(move || Policies::start(&directory, opened, time)).await?;
    let unknown =
        idempotency::open_calls(&store).map_err(|source| StartError::Store { path: config.data.clone(), source })?;
    if !unknown.is_empty() {
        tracing::warn!(
            calls = unknown.len(),
            "calls of earlier runs have no known outcome: their keys and their money stay held"
        );
    }
    let (stop, key) = (CancellationToken::new(), Arc::new(key));
    let gate = Arc::new(Gate {
        admission: Admission::new(config.limits, clock.clone()),
        catalog: Catalog::new(config.servers, config.tools, store.clone(), clock.clone()),
        store,
        idempotency: Idempotency::new(Arc::clone(&key)),
        approvals: Approvals::new(Arc::clone(&key)),
        policies,
        ceilings: config.ceilings,
        crowd: Crowd::default(),
        folder: Folder::default(),
        listening: OnceLock::new(),
        clock,
    });
    let mut doors = Vec::new();

    let socket = socket_path(&config.data);
    let admin = Admin::on_gate(Arc::clone(&gate), Arc::clone(&key)).own_credential(!config.approvals_by_socket);
    let bound = Socket::bind(&socket).await?;
    let router = door::commands(Arc::clone(&gate), admin.clone())
        .merge(door::attach(admin, stop.clone()))
        .merge(door::stdio(Arc::clone(&gate), Sessions::new(Arc::clone(&key))));
    doors.push(task::spawn("socket", bound.serve(router, stop.clone())));

    gate.catalog.keep();
    doors.push(task::spawn("housekeeping", housekeep(Arc::clone(&gate), stop.clone())));
    Ok(Running { listening: None, socket, gate, key, stop, doors })
}

/// Listens at an address; the answer has the port that was taken.
async fn listen(key: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { key, address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

async fn housekeep(gate: Arc<Gate>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(HOUSEKEEPING)).await.is_some() {
        gate.write_folded(false).await;
        gate.expire_approvals().await;
    }
    gate.write_folded(true).await;
}

impl Running {
    async fn listen(&mut self, config: Config) -> Result<(), StartError> {
        let options = |listen| DoorOptions {
            listen,
            allowed_hosts: config.allowed_hosts.clone(),
            allowed_origins: config.allowed_origins.clone(),
        };
        let (gate, key) = (&self.gate, &self.key);
        let admin = Admin::on_gate(Arc::clone(gate), Arc::clone(key)).own_credential(!config.approvals_by_socket);
        let (listener, owners) = listen("gate.admin", config.admin).await?;
        let router = door::owners(Arc::clone(gate), admin, options(owners));
        self.doors.push(task::spawn("owners' door", door::serve(listener, router, self.stop.clone())));
        let (listener, agents) = listen("gate.listen", config.listen).await?;
        let router = door::agents(Arc::clone(gate), Sessions::new(Arc::clone(key)), options(agents));
        self.doors.push(task::spawn("agents' door", door::serve(listener, router, self.stop.clone())));
        self.listening = Some(*self.gate.listening.get_or_init(|| Listening { agents, owners }));
        Ok(())
    }

    /// Waits until every server was tried once.
    pub async fn settled(&self) {
        self.gate.catalog.settled().await;
    }

    /// Stops: no new calls, those in flight have [`limits::SHUTDOWN_GRACE`] to end, then the store is closed. A call that
    /// has not ended by then is unknown at the next start.
    pub async fn stop(self) {
        self.stop.cancel();
        let doors = async {
            for door in self.doors {
                // A door that panicked is shut too; the panic is in the log.
                let _ = door.await;
            }
            self.gate.idempotency.idle().await;
        };
        if tokio::time::timeout(limits::SHUTDOWN_GRACE, doors).await.is_err() {
            tracing::warn!("calls were still in flight; their outcome is unknown");
        }
        self.gate.catalog.stop().await;
        self.gate.store.close().await;
    }
}
