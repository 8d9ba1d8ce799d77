//! Configured once: the memory that `configure` leaves behind becomes part of the component, so that every instance
//! starts configured.
//!
//! 1. wizer instruments the component, so that its memories and globals can be read;
//! 2. an instance of that is configured, through the contract as any other;
//! 3. wizer reads what it has become and writes it into a new component.
//!
//! Some components cannot be done (modules instantiated twice, nested components, changed tables). They are
//! configured for each instance instead, with the same result.

use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wasmtime::Store;
use wasmtime::component::{Instance, Lift, WasmList};
use wasmtime_wizer::{ComponentContext, ComponentInstanceState, Wizer};

use super::limits;
use super::sandbox::State;

/// A component that lets its state be read.
pub(super) struct Instrumented<'a> {
    wizer: Wizer,
    context: ComponentContext<'a>,
    pub(super) bytes: Vec<u8>,
}

/// Instruments a component.
///
/// # Errors
/// Why that cannot be done with this one.
pub(super) fn instrument(bytes: &[u8]) -> Result<Instrumented<'_>, String> {
    // wizer panics on some components that it does not know.
    let caught = panic::catch_unwind(|| {
        let mut wizer = Wizer::new();
        wizer.keep_init_func(true);
        wizer.instrument_component(bytes).map(|(context, bytes)| Instrumented { wizer, context, bytes })
    });
    match caught {
        Ok(Ok(instrumented)) => Ok(instrumented),
        Ok(Err(error)) => Err(error.root_cause().to_string()),
        Err(_) => Err("it is built in a way that wizer does not know".to_owned()),
    }
}

impl Instrumented<'_> {
    /// Writes the state of an instance into a new component.
    ///
    /// # Errors
    /// Why that cannot be done.
    pub(super) fn snapshot(&self, mut store: Store<State>, instance: Instance) -> Result<Vec<u8>, String> {
        // A whole memory crosses at once, and each accessor runs some instructions.
        store.set_hostcall_fuel(usize::MAX);
        store.set_fuel(limits::CONFIGURE_FUEL).map_err(|error| error.to_string())?;
        store.set_epoch_deadline(limits::CONFIGURE_TICKS);
        let mut live = Live { store, instance, failed: None };
        let caught = panic::catch_unwind(AssertUnwindSafe(|| {
            // Each call below is synchronous, so the future is ready when it is first polled.
            let future = pin!(self.wizer.snapshot_component(&self.context, &mut live));
            match future.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(done) => done.map_err(|error| error.root_cause().to_string()),
                Poll::Pending => Err("its state could not be read at once".to_owned()),
            }
        }));
        if let Some(error) = live.failed {
            return Err(format!("its state could not be read: {error}"));
        }
        let bytes = caught.unwrap_or_else(|_| Err("its state cannot be written as a component".to_owned()))?;
        if bytes.len() > limits::SNAPSHOT_BYTES_MAX {
            return Err(format!(
                "its snapshot has {} bytes, more than the {} allowed",
                bytes.len(),
                limits::SNAPSHOT_BYTES_MAX
            ));
        }
        Ok(bytes)
    }
}

/// A configured instance that wizer reads. The first failure is kept: wizer's interface has no place for one.
struct Live {
    store: Store<State>,
    instance: Instance,
    failed: Option<String>,
}

impl Live {
    fn call<R: Lift + 'static>(&mut self, access: &str, name: &str) -> Option<R> {
        let called = self.try_call(access, name);
        called.map_err(|error| self.failed.get_or_insert(error.root_cause().to_string()).len()).ok()
    }

    fn try_call<R: Lift + 'static>(&mut self, access: &str, name: &str) -> wasmtime::Result<R> {
        let missing = || wasmtime::format_err!("`{name}` is missing");
        let instance = self.instance.get_export_index(&mut self.store, None, access).ok_or_else(missing)?;
        let export = self.instance.get_export_index(&mut self.store, Some(&instance), name).ok_or_else(missing)?;
        let get = self.instance.get_typed_func::<(), (R,)>(&mut self.store, &export)?;
        Ok(get.call(&mut self.store, ())?.0)
    }
}

impl ComponentInstanceState for Live {
    async fn call_func_ret_list_u8(&mut self, instance: &str, func: &str, contents: impl FnOnce(&[u8]) + Send) {
        match self.call::<WasmList<u8>>(instance, func) {
            Some(list) => contents(list.as_le_slice(&self.store)),
            None => contents(&[]),
        }
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.call(instance, func).unwrap_or_default()
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.call(instance, func).unwrap_or_default()
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.call::<f32>(instance, func).unwrap_or_default().to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.call::<f64>(instance, func).unwrap_or_default().to_bits()
    }
}
