//! Write a Portcullis policy in Rust.
//!
//! A policy is a pure function: (call, principal, its settings, the facts it asks for) → a [`Verdict`]. It has no
//! state, no clock, no network and no files; the gate carries out what the verdict says. Implement [`Policy`], name
//! the type in [`export!`], and `portcullis policy build DIR` makes the component.
//!
//! This is a whole policy, with its test:
//!
//! ```
//! use portcullis_guest::{Call, Context, Denial, Glob, Policy, Problem, Verdict};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Settings {
//!     tools: Vec<Glob>,
//!     longest: usize,
//! }
//!
//! /// Refuses titles that are too long.
//! struct ShortTitles(Settings);
//!
//! impl Policy for ShortTitles {
//!     const NAME: &'static str = "short-titles";
//!     const VERSION: &'static str = "0.1.0";
//!     const SUMMARY: &'static str = "Refuses titles that are too long.";
//!     const SCHEMA: &'static str = r#"{"type": "object", "required": ["tools", "longest"]}"#;
//!     type Settings = Settings;
//!
//!     fn new(settings: Settings) -> Result<Self, Vec<Problem>> {
//!         Ok(Self(settings))
//!     }
//!
//!     fn evaluate(&self, call: &Call, context: &Context) -> Result<Verdict, Denial> {
//!         if !Glob::any(&self.0.tools, &call.tool.name) {
//!             return Ok(Verdict::pass());
//!         }
//!         let title = context.text("/title")?;
//!         if title.chars().count() > self.0.longest {
//!             return Err(Denial::new(format!("use at most {} characters", self.0.longest)).at("/title"));
//!         }
//!         Ok(Verdict::pass())
//!     }
//! }
//!
//! portcullis_guest::export!(ShortTitles);
//!
//! // In a test, the call and the facts come from a `Case`.
//! # fn main() {
//! use portcullis_guest::test::{Case, configured};
//! let policy: ShortTitles = configured(r#"{"tools": ["*__create_deal"], "longest": 10}"#);
//! let case = Case::call("market__create_deal").role("seller");
//! assert_eq!(case.clone().arguments(r#"{"title": "Bicycle"}"#).evaluate(&policy), Verdict::pass());
//! assert!(matches!(case.evaluate(&policy), Verdict::Deny(denial) if denial.pointer.as_deref() == Some("/title")));
//! # }
//! ```
//!
//! # What the types promise
//!
//! - [`Glob`], [`Pointer`], [`Window`], [`Amount`] and [`Currency`] are checked where settings are read, and the problem
//!   names the place in the settings.
//! - [`Context`] reads the arguments. An argument that is missing or malformed is a [`Denial`] with the argument's
//!   pointer, which `?` turns into the verdict: what cannot be read is refused.
//! - A sentence shows text from outside with [`quoted`], so that it stays on its line and within its backticks.
//! - Money is exact: an [`Amount`] never goes through a floating-point number.
//! - A panic is a trap, and a trap is a refusal.

pub mod bindings;
mod context;
mod export;
mod glob;
mod money;
mod pointer;
mod settings;
mod shown;
#[cfg(not(target_arch = "wasm32"))]
pub mod test;
mod verdict;
mod window;

#[doc(hidden)]
pub use export::{Slot, check, configure, describe, evaluate, visible};

pub use bindings::portcullis::policy::facts::ZonedTime;
pub use bindings::portcullis::policy::json::Value;
pub use bindings::portcullis::policy::types::{
    Account, Annotations, Call, Charge, Claim, Denial, Exceed, Limit, Money, Obligations, Principal, Problem, Question,
    Span, Tool, Verdict, Visibility,
};
pub use context::Context;
pub use glob::Glob;
pub use money::{Amount, BadAmount, BadCurrency, Currency, CurrencyFrom};
pub use pointer::Pointer;
pub use shown::{is_unseen, quoted};
pub use window::Window;

/// A policy. One value of it is made when the gate loads the component, and every call is decided by that value.
pub trait Policy: Sized {
    /// Its name, such as `spending-caps`.
    const NAME: &'static str;
    /// Its version, in Semantic Versioning: `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// What it does, in one sentence.
    const SUMMARY: &'static str;
    /// The JSON Schema (2020-12) of its settings: `include_str!("../settings.schema.json")`.
    const SCHEMA: &'static str;
    /// Its settings. Put `#[serde(deny_unknown_fields)]` on every struct in it, so that a misspelt key is a problem.
    type Settings: serde::de::DeserializeOwned;

    /// Takes the settings.
    ///
    /// # Errors
    /// Everything that is wrong with them and that their type does not say, each with a pointer into the settings.
    fn new(settings: Self::Settings) -> Result<Self, Vec<Problem>>;

    /// Decides on a call.
    ///
    /// # Errors
    /// A denial, which is the verdict: `Err(denial)` and `Ok(Verdict::Deny(denial))` are the same.
    fn evaluate(&self, call: &Call, context: &Context) -> Result<Verdict, Denial>;

    /// Whether the tool is listed for the principal at all. Says [`Visibility::Maybe`] unless a policy knows that no
    /// call could pass.
    fn visible(&self, tool: &Tool, principal: &Principal) -> Visibility {
        let _ = (tool, principal);
        Visibility::Maybe
    }
}
