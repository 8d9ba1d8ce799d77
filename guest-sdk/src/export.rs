//! From a [`Policy`] to the component's exports. [`export!`](crate::export!) is all that an author sees of it.

use std::cell::OnceCell;

use crate::bindings::portcullis::policy::types::Description;
use crate::context::Source;
use crate::{Call, Context, Policy, Principal, Problem, Tool, Verdict, Visibility, settings};

/// Exports a type that implements [`Policy`] as the component's policy. Once in a crate of type `cdylib`.
///
/// On any other target than WebAssembly it exports nothing and only checks the type, so that many policies link into
/// one test program.
#[macro_export]
macro_rules! export {
    ($policy:ty) => {
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = $crate::check::<$policy>();

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Component;

            ::std::thread_local! {
                static POLICY: $crate::Slot<$policy> = const { $crate::Slot::new() };
            }

            impl $crate::bindings::Guest for Component {
                fn describe() -> $crate::bindings::Description {
                    $crate::describe::<$policy>()
                }

                fn configure(settings: ::std::string::String) -> ::std::vec::Vec<$crate::Problem> {
                    POLICY.with(|slot| $crate::configure(slot, &settings))
                }

                fn evaluate(call: $crate::Call) -> $crate::Verdict {
                    POLICY.with(|slot| $crate::evaluate(slot, &call))
                }

                fn visible(tool: $crate::Tool, principal: $crate::Principal) -> $crate::Visibility {
                    POLICY.with(|slot| $crate::visible(slot, &tool, &principal))
                }
            }

    $crate::bindings::export_component!(Component with_types_in $crate::bindings);
        };
    };
}

/// Where a component keeps its policy after `configure`.
pub struct Slot<P>(OnceCell<P>);

impl<P> Slot<P> {
    /// An empty one.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "only the macro makes one, in a constant")]
    pub const fn new() -> Self {
        Self(OnceCell::new())
    }

    #[expect(clippy::panic, reason = "a panic is a trap, and a trap is a refusal: nothing was configured")]
    fn policy(&self) -> &P {
        self.0.get().unwrap_or_else(|| panic!("asked before it was configured"))
    }
}

/// Compiles for policies only.
pub const fn check<P: Policy>() {}

/// The export `describe`.
#[must_use]
pub fn describe<P: Policy>() -> Description {
    Description {
        name: P::NAME.to_owned(),
        version: P::VERSION.to_owned(),
        summary: P::SUMMARY.to_owned(),
        settings_schema: P::SCHEMA.to_owned(),
    }
}

/// The export `configure`.
pub fn configure<P: Policy>(slot: &Slot<P>, settings: &str) -> Vec<Problem> {
    match settings::read::<P>(settings) {
        Err(problems) => problems,
        Ok(policy) => match slot.0.set(policy) {
            Ok(()) => Vec::new(),
            Err(_) => vec![Problem::new("", "this instance is configured already; make a new one")],
        },
    }
}

/// The export `evaluate`.
pub fn evaluate<P: Policy>(slot: &Slot<P>, call: &Call) -> Verdict {
    decide(slot.policy(), call, &crate::context::Imports)
}

/// The export `visible`.
pub fn visible<P: Policy>(slot: &Slot<P>, tool: &Tool, principal: &Principal) -> Visibility {
    slot.policy().visible(tool, principal)
}

/// Asks a policy, wherever its arguments and facts come from.
pub(crate) fn decide<P: Policy>(policy: &P, call: &Call, source: &dyn Source) -> Verdict {
    policy.evaluate(call, &Context::new(source)).unwrap_or_else(Verdict::Deny)
}
