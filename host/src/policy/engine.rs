//! The engine, and the thread that moves its epoch on: one constructor makes both, so no store can run without its
//! backstop.

use std::thread;

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::policy::limits;
use crate::task;

/// Instances at the same time besides one for each deciding thread: a policy that is being loaded, a command line.
const SLOTS_EXTRA: u32 = 4;

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The machine cannot run WebAssembly this way.
    #[error("this machine cannot set up the sandbox: {0}")]
    Engine(String),
    /// No thread to be had.
    #[error("no thread could be started for the sandbox: {0}")]
    Thread(#[source] std::io::Error),
}

/// A WebAssembly engine whose epoch moves. Cheap to clone; the ticker ends with the last clone.
#[derive(Clone)]
pub struct Engine {
    wasm: wasmtime::Engine,
    threads: usize,
    keeps_resident: bool,
}

impl Engine {
    /// An engine with its ticker, for as many deciding threads as this machine has cores and a few more.
    ///
    /// # Errors
    /// When the machine has not the address space, or no thread to give.
    pub fn new() -> Result<Self, EngineError> {
        let threads = thread::available_parallelism().map_or(1, usize::from).saturating_add(limits::THREADS_EXTRA);
        let keeps_resident = PoolingAllocationConfig::is_pagemap_scan_available();
        let wasm = wasmtime::Engine::new(&config(threads, keeps_resident))
            .map_err(|error| EngineError::Engine(format!("{error:#}")))?;
        let weak = wasm.weak();
        task::thread("policy-epoch", move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                thread::sleep(limits::EPOCH_TICK);
            }
        })
        .map_err(EngineError::Thread)?;
        Ok(Self { wasm, threads, keeps_resident })
    }

    pub(super) fn wasm(&self) -> &wasmtime::Engine {
        &self.wasm
    }

    /// How many threads decide.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Whether the kernel can tell which pages a guest touched, which makes a fresh instance three times cheaper.
    #[must_use]
    pub fn keeps_resident(&self) -> bool {
        self.keeps_resident
    }
}

fn config(threads: usize, keeps_resident: bool) -> Config {
    let slots = u32::try_from(threads).unwrap_or(u32::MAX).saturating_add(SLOTS_EXTRA);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(limits::INSTANCES_MAX))
        .total_memories(slots.saturating_mul(limits::MEMORIES_MAX))
        .total_tables(slots.saturating_mul(limits::TABLES_MAX))
        .max_core_instances_per_component(limits::INSTANCES_MAX)
        .max_memories_per_component(limits::MEMORIES_MAX)
        .max_memories_per_module(limits::MEMORIES_MAX)
        .max_tables_per_component(limits::TABLES_MAX)
        .max_tables_per_module(limits::TABLES_MAX)
        .max_memory_size(limits::MEMORY_BYTES_MAX)
        .table_elements(limits::TABLE_ELEMENTS_MAX);
    if keeps_resident {
        pool.linear_memory_keep_resident(limits::KEEP_RESIDENT_BYTES).pagemap_scan(Enabled::Yes);
    }

    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .memory_init_cow(true)
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(limits::STACK_BYTES_MAX)
        // The same call has to get the same verdict on every machine.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .concurrency_support(false);
    config
}
