//! One decision, one sandbox: a fresh store and a fresh instance, with every limit set, dropped afterwards. No state
//! can leak from one call to the next, because nothing is kept.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use wasmtime::component::{Component, ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Lower};
use wasmtime::component::{ResourceTableError, TypedFunc};
use wasmtime::{PoolConcurrencyLimitError, ResourceLimiter, Store, Trap};

use super::arguments::Arguments;
use super::guest;
use super::imports::{Asking, Facts, ImportError, Read, Zones};
use super::wasi::Wasi;
use super::{lift, limits};
use crate::clock::Timestamp;
use crate::verdict::Verdict;

/// Why a policy gave no verdict. Both refuse the call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFailure {
    /// It trapped, or returned nonsense.
    #[error("{0}")]
    Fault(String),
    /// It passed a limit of the sandbox.
    #[error("{0}")]
    Limit(String),
}

/// What a decision starts from.
pub(super) struct Input {
    /// The call, as the contract says it.
    pub(super) call: guest::Call,
    /// Its arguments.
    pub(super) arguments: Arc<Arguments>,
    /// What the gate knows.
    pub(super) facts: Arc<dyn Facts>,
    /// Local times instead of the real ones: only a test has them.
    pub(super) zones: Option<Arc<Zones>>,
    /// The call's id, from which WASI's random numbers come.
    pub(super) seed: [u8; 16],
}

/// What lives in a store besides the guest.
pub(super) struct State {
    /// The call that is decided; none while the policy is described, configured, or asked what is visible.
    pub(super) asking: Option<Asking>,
    /// When the sandbox thinks it is.
    pub(super) time: Timestamp,
    pub(super) seed: [u8; 16],
    /// Made when a component with WASI imports first uses one.
    pub(super) wasi: Option<Box<Wasi>>,
    limiter: Limiter,
}

impl State {
    /// A state as a guest's imports see it while it decides, for tests of the imports.
    #[cfg(test)]
    pub(super) fn for_test(input: &Input) -> Self {
        let mut state = Self::quiet(Timestamp(input.call.time_ms), input.seed);
        state.asking = Some(Asking::new(input));
        state
    }

    fn quiet(time: Timestamp, seed: [u8; 16]) -> Self {
        Self { asking: None, time, seed, wasi: None, limiter: Limiter { memory_bytes: 0 } }
    }
}

/// The exports of the contract in one component.
#[derive(Clone)]
pub(super) struct Exports {
    describe: ComponentExportIndex,
    configure: ComponentExportIndex,
    evaluate: ComponentExportIndex,
    visible: ComponentExportIndex,
}

impl Exports {
    /// Finds them.
    ///
    /// # Errors
    /// The name of the first that is missing.
    pub(super) fn of(component: &Component) -> Result<Self, &'static str> {
        let find = |name: &'static str| component.get_export_index(None, name).ok_or(name);
        Ok(Self {
            describe: find("describe")?,
            configure: find("configure")?,
            evaluate: find("evaluate")?,
            visible: find("visible")?,
        })
    }
}

/// A policy that is ready to decide: each decision makes an instance of it.
#[derive(Clone)]
pub(super) struct Sandbox {
    pre: InstancePre<State>,
    exports: Exports,
    /// Settings that every instance is configured with, where there is no snapshot.
    settings: Option<Arc<str>>,
}

impl Sandbox {
    /// Whether both are the same compiled component.
    #[cfg(test)]
    pub(super) fn shares(&self, other: &Self) -> bool {
        self.pre.component().image_range() == other.pre.component().image_range()
    }

    pub(super) fn new(pre: InstancePre<State>, exports: Exports) -> Self {
        Self { pre, exports, settings: None }
    }

    /// Configures every instance before it is asked.
    pub(super) fn configured_each_time(mut self, settings: Arc<str>) -> Self {
        self.settings = Some(settings);
        self
    }

    /// Asks the policy about a call. What it read comes back whatever happens, except after a panic.
    pub(super) fn evaluate(&self, input: &Input) -> (Result<Verdict, PolicyFailure>, Vec<Read>) {
        let time = Timestamp(input.call.time_ms);
        let caught = panic::catch_unwind(AssertUnwindSafe(|| {
            let mut store =
                self.store(State::quiet(time, input.seed), limits::EVALUATE_FUEL, limits::EVALUATE_TICKS)?;
            let verdict = self.ask(&mut store, input);
            let reads = store.into_data().asking.map(Asking::into_reads).unwrap_or_default();
            Ok((verdict, reads))
        }));
        match caught {
            Ok(Ok(asked)) => asked,
            Ok(Err(failure)) => (Err(failure), Vec::new()),
            Err(_) => (Err(panicked()), Vec::new()),
        }
    }

    fn ask(&self, store: &mut Store<State>, input: &Input) -> Result<Verdict, PolicyFailure> {
        let instance = self.ready(store, limits::EVALUATE_FUEL)?;
        store.data_mut().asking = Some(Asking::new(input));
        let evaluate: TypedFunc<(&guest::Call,), (guest::Verdict,)> =
            instance.get_typed_func(&mut *store, self.exports.evaluate).map_err(failure)?;
        let (verdict,) = evaluate.call(&mut *store, (&input.call,)).map_err(failure)?;
        lift::verdict(verdict).map_err(|nonsense| PolicyFailure::Fault(nonsense.to_string()))
    }

    /// Asks the policy whether a tool may be visible for a principal.
    pub(super) fn visible(&self, tool: &guest::Tool, principal: &guest::Principal) -> Result<bool, PolicyFailure> {
        let caught = panic::catch_unwind(AssertUnwindSafe(|| {
            let state = State::quiet(Timestamp(0), [0; 16]);
            let mut store = self.store(state, limits::VISIBLE_FUEL, limits::EVALUATE_TICKS)?;
            let instance = self.ready(&mut store, limits::VISIBLE_FUEL)?;
            let visible: TypedFunc<(&guest::Tool, &guest::Principal), (guest::Visibility,)> =
                instance.get_typed_func(&mut store, self.exports.visible).map_err(failure)?;
            let (visibility,) = visible.call(&mut store, (tool, principal)).map_err(failure)?;
            Ok(matches!(visibility, guest::Visibility::Maybe))
        }));
        caught.unwrap_or_else(|_| Err(panicked()))
    }

    /// Asks the policy what it is.
    pub(super) fn describe(&self) -> Result<guest::Description, PolicyFailure> {
        let mut store = self.loading_store(limits::DESCRIBE_FUEL)?;
        let instance = self.pre.instantiate(&mut store).map_err(failure)?;
        let describe: TypedFunc<(), (guest::Description,)> =
            instance.get_typed_func(&mut store, self.exports.describe).map_err(failure)?;
        Ok(describe.call(&mut store, ()).map_err(failure)?.0)
    }

    /// Checks that each export has the contract's type.
    ///
    /// # Errors
    /// The export's name and what is wrong with it, or how starting an instance failed.
    pub(super) fn check_types(&self) -> Result<(), (&'static str, PolicyFailure)> {
        let start = |failure| ("start", failure);
        let mut store = self.loading_store(limits::DESCRIBE_FUEL).map_err(start)?;
        let instance = self.pre.instantiate(&mut store).map_err(failure).map_err(start)?;
        let exports = &self.exports;
        typed::<(), (guest::Description,)>(&instance, &mut store, "describe", &exports.describe)?;
        typed::<(&str,), (Vec<guest::Problem>,)>(&instance, &mut store, "configure", &exports.configure)?;
        typed::<(&guest::Call,), (guest::Verdict,)>(&instance, &mut store, "evaluate", &exports.evaluate)?;
        type Seen<'a> = (&'a guest::Tool, &'a guest::Principal);
        typed::<Seen<'_>, (guest::Visibility,)>(&instance, &mut store, "visible", &exports.visible)
    }

    /// A configured instance in its store, and the problems that it found in the settings.
    pub(super) fn configure(
        &self,
        settings: &str,
    ) -> Result<(Store<State>, Instance, Vec<guest::Problem>), PolicyFailure> {
        let mut store = self.loading_store(limits::CONFIGURE_FUEL)?;
        let instance = self.pre.instantiate(&mut store).map_err(failure)?;
        let problems = self.call_configure(&mut store, &instance, settings)?;
        Ok((store, instance, problems))
    }

    fn call_configure(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
        settings: &str,
    ) -> Result<Vec<guest::Problem>, PolicyFailure> {
        let configure: TypedFunc<(&str,), (Vec<guest::Problem>,)> =
            instance.get_typed_func(&mut *store, self.exports.configure).map_err(failure)?;
        Ok(configure.call(&mut *store, (settings,)).map_err(failure)?.0)
    }

    /// An instance that has been configured, by the snapshot or now, with the fuel for what comes next.
    fn ready(&self, store: &mut Store<State>, fuel: u64) -> Result<Instance, PolicyFailure> {
        let Some(settings) = &self.settings else {
            return self.pre.instantiate(store).map_err(failure);
        };
        store.set_fuel(limits::CONFIGURE_FUEL).map_err(failure)?;
        let instance = self.pre.instantiate(&mut *store).map_err(failure)?;
        let problems = self.call_configure(store, &instance, settings)?;
        if !problems.is_empty() {
            return Err(PolicyFailure::Fault("it takes its settings no more".to_owned()));
        }
        store.set_fuel(fuel).map_err(failure)?;
        Ok(instance)
    }

    fn loading_store(&self, fuel: u64) -> Result<Store<State>, PolicyFailure> {
        self.store(State::quiet(Timestamp(0), [0; 16]), fuel, limits::CONFIGURE_TICKS)
    }

    fn store(&self, state: State, fuel: u64, ticks: u64) -> Result<Store<State>, PolicyFailure> {
        let mut store = Store::new(self.pre.engine(), state);
        store.limiter(|state| &mut state.limiter);
        store.set_fuel(fuel).map_err(failure)?;
        store.set_epoch_deadline(ticks);
        store.set_hostcall_fuel(limits::HOSTCALL_FUEL);
        store.set_max_component_handles(limits::HANDLES_MAX);
        Ok(store)
    }
}

fn typed<P, R>(
    instance: &Instance,
    store: &mut Store<State>,
    name: &'static str,
    export: &ComponentExportIndex,
) -> Result<(), (&'static str, PolicyFailure)>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    match instance.get_typed_func::<P, R>(store, export) {
        Ok(_) => Ok(()),
        Err(error) => Err((name, PolicyFailure::Fault(format!("{error:#}")))),
    }
}

/// A limit of the store that a guest ran into.
#[derive(Debug, thiserror::Error)]
enum LimitHit {
    #[error("it needs more than {} MiB of memory", limits::MEMORY_BYTES_MAX >> 20)]
    Memory,
    #[error("it needs a table of more than {} elements", limits::TABLE_ELEMENTS_MAX)]
    Table,
}

/// Counts what a store uses. A guest that wants more is stopped at once: not every guest looks at what `memory.grow`
/// answers, and the failure should name the limit rather than what came of it.
struct Limiter {
    memory_bytes: usize,
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        if total > limits::MEMORY_BYTES_MAX {
            return Err(LimitHit::Memory.into());
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.memory_bytes = total;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > limits::TABLE_ELEMENTS_MAX {
            return Err(LimitHit::Table.into());
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        limits::INSTANCES_MAX as usize
    }

    fn tables(&self) -> usize {
        limits::TABLES_MAX as usize
    }

    fn memories(&self) -> usize {
        limits::MEMORIES_MAX as usize
    }
}

/// What a failed call into a sandbox means: by the types of its causes, never by their text.
pub(super) fn failure(error: wasmtime::Error) -> PolicyFailure {
    let limit = error.is::<LimitHit>()
        || error.is::<PoolConcurrencyLimitError>()
        || matches!(error.downcast_ref(), Some(ResourceTableError::Full))
        || error.downcast_ref().is_some_and(ImportError::is_limit)
        || matches!(
            error.downcast_ref(),
            Some(Trap::OutOfFuel | Trap::Interrupt | Trap::StackOverflow | Trap::AllocationTooLarge)
        );
    let text = lift::cut(error.root_cause().to_string(), limits::SENTENCE_BYTES_MAX);
    if limit { PolicyFailure::Limit(text) } else { PolicyFailure::Fault(text) }
}

fn panicked() -> PolicyFailure {
    PolicyFailure::Fault("the gate itself failed while the policy decided".to_owned())
}
