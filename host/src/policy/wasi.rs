//! WASI for components that insist on importing it: an empty world. No files, arguments or environment; no network;
//! output is dropped; the clock stands still at the call's time; random numbers come from the call's id, so that a
//! decision can be repeated. Waiting traps.

use std::time::Duration;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::sync::io::poll;
use wasmtime_wasi::p2::{DynPollable, add_to_linker_sync};
use wasmtime_wasi::random::Deterministic;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

use super::limits;
use super::sandbox::State;
use crate::clock::Timestamp;

/// The packages of WASI 0.2 that are stubbed. Everything else, such as `wasi:http`, does not load.
const PACKAGES: [&str; 6] =
    ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

/// Whether an import is part of the empty world.
pub(super) fn stubs(import: &str) -> bool {
    PACKAGES.iter().any(|package| import.starts_with(package)) && import.contains("@0.2.")
}

/// Adds the empty world to a linker.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    add_to_linker_sync(linker)?;
    // A wait would be in real time and inside of the host, where no epoch reaches it.
    linker.allow_shadowing(true);
    poll::add_to_linker::<State, NoWaiting>(linker, |state| NoWait(&mut state.wasi_mut().table))?;
    linker.allow_shadowing(false);
    Ok(())
}

/// WASI's side of one sandbox.
pub(super) struct Wasi {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl Wasi {
    /// The empty world of one call.
    pub(super) fn new(time: Timestamp, seed: [u8; 16]) -> Self {
        let mut builder = WasiCtx::builder();
        builder
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .secure_random(Deterministic::new(seed.to_vec()))
            .insecure_random(Deterministic::new(seed.to_vec()))
            .insecure_random_seed(u128::from_be_bytes(seed))
            .max_random_size(limits::RANDOM_BYTES_MAX)
            .wall_clock(Frozen(time))
            .monotonic_clock(Frozen(time));
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::HANDLES_MAX);
        Self { ctx: builder.build(), table }
    }
}

impl State {
    fn wasi_mut(&mut self) -> &mut Wasi {
        let (time, seed) = (self.time, self.seed);
        self.wasi.get_or_insert_with(|| Box::new(Wasi::new(time, seed)))
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi_mut();
        WasiCtxView { ctx: &mut wasi.ctx, table: &mut wasi.table }
    }
}

struct Frozen(Timestamp);

impl HostWallClock for Frozen {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.0)
    }
}

impl HostMonotonicClock for Frozen {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        self.0.0.saturating_mul(1_000_000)
    }
}

/// A policy waited.
#[derive(Debug, thiserror::Error)]
#[error("it waited for something: a policy has nothing to wait for")]
struct Waited;

struct NoWaiting;

impl HasData for NoWaiting {
    type Data<'a> = NoWait<'a>;
}

struct NoWait<'a>(&'a mut ResourceTable);

impl poll::Host for NoWait<'_> {
    fn poll(&mut self, _: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        Err(Waited.into())
    }
}

impl poll::HostPollable for NoWait<'_> {
    fn ready(&mut self, _: Resource<DynPollable>) -> wasmtime::Result<bool> {
        Err(Waited.into())
    }

    fn block(&mut self, _: Resource<DynPollable>) -> wasmtime::Result<()> {
        Err(Waited.into())
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(self.0, pollable)
    }
}
