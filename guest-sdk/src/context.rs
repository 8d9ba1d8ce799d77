//! What a policy can ask while it decides.

use std::fmt::Display;

use crate::bindings::portcullis::policy::{arguments, facts};
use crate::{Account, Amount, Currency, CurrencyFrom, Denial, Pointer, Value, Window, ZonedTime};

/// Where arguments and facts come from: the gate, or a test.
pub(crate) trait Source {
    fn get(&self, pointer: &str) -> Option<Value>;
    fn canonical(&self) -> String;
    fn spent(&self, account: &Account, currency: &str, window_ms: u64) -> String;
    fn calls(&self, window_ms: u64) -> u64;
    fn local_time(&self, zone: &str) -> Result<ZonedTime, String>;
}

/// The contract's imports.
pub(crate) struct Imports;

impl Source for Imports {
    fn get(&self, pointer: &str) -> Option<Value> {
        arguments::get(pointer)
    }

    fn canonical(&self) -> String {
        arguments::canonical()
    }

    fn spent(&self, account: &Account, currency: &str, window_ms: u64) -> String {
        facts::spent(account, currency, window_ms)
    }

    fn calls(&self, window_ms: u64) -> u64 {
        facts::calls(window_ms)
    }

    fn local_time(&self, zone: &str) -> Result<ZonedTime, String> {
        facts::local_time(zone)
    }
}

/// The arguments of the call and the facts about it. What a policy reads here is recorded with its verdict.
///
/// Facts are advice: by the time the call is committed they may have changed. Only the limits of a charge are enforced.
pub struct Context<'a>(&'a dyn Source);

impl<'a> Context<'a> {
    pub(crate) fn new(source: &'a dyn Source) -> Self {
        Self(source)
    }

    /// The argument at a JSON pointer (RFC 6901), or none. A malformed pointer traps: take pointers from settings as
    /// [`Pointer`].
    #[must_use]
    pub fn get(&self, pointer: &str) -> Option<Value> {
        self.0.get(pointer)
    }

    /// All arguments as canonical JSON (RFC 8785 with exact numbers).
    #[must_use]
    pub fn canonical(&self) -> String {
        self.0.canonical()
    }

    /// The string at a pointer.
    ///
    /// # Errors
    /// A denial with the pointer where there is none, or something else than a string.
    pub fn text(&self, pointer: impl AsRef<str>) -> Result<String, Denial> {
        let pointer = pointer.as_ref();
        match self.get(pointer) {
            Some(Value::Text(text)) => Ok(text),
            other => Err(unusable(pointer, "a string", other.as_ref())),
        }
    }

    /// The amount at a pointer: a decimal string, or a JSON number by its exact text. See [`Amount`].
    ///
    /// # Errors
    /// A denial with the pointer where there is none, or something that is no amount.
    pub fn amount(&self, pointer: impl AsRef<str>) -> Result<Amount, Denial> {
        let pointer = pointer.as_ref();
        let read = match self.get(pointer) {
            Some(Value::Text(text)) => Amount::parse(&text),
            Some(Value::Number(text)) => Amount::from_number(&text),
            other => return Err(unusable(pointer, "an amount such as `1099.10`", other.as_ref())),
        };
        read.map_err(|bad| at(pointer, bad))
    }

    /// The currency that the settings name: the one at a pointer, or the constant.
    ///
    /// # Errors
    /// A denial with the pointer where there is none, or something that is no currency code.
    pub fn currency(&self, from: &CurrencyFrom) -> Result<Currency, Denial> {
        let pointer = match from {
            CurrencyFrom::Const(currency) => return Ok(currency.clone()),
            CurrencyFrom::Pointer(pointer) => pointer.as_str(),
        };
        match self.get(pointer) {
            Some(Value::Text(text)) => Currency::parse(&text).map_err(|bad| at(pointer, bad)),
            other => Err(unusable(pointer, "a currency code such as `EUR`", other.as_ref())),
        }
    }

    /// Money spent or held on an account in the last window.
    ///
    /// # Errors
    /// A denial when the gate answers with something that is no amount; it never should.
    pub fn spent(&self, account: &Account, currency: &Currency, window: Window) -> Result<Amount, Denial> {
        let text = self.0.spent(account, currency.as_str(), window.ms());
        Amount::sum(&text).map_err(|bad| Denial::new(format!("the gate's sum of what was spent is no amount: {bad}")))
    }

    /// How many calls of this principal were let through in the last window.
    #[must_use]
    pub fn calls(&self, window: Window) -> u64 {
        self.0.calls(window.ms())
    }

    /// The time of the call in an IANA zone such as `Europe/Paris`, or at an offset such as `+01:00`.
    ///
    /// # Errors
    /// A denial that names the zone, when it is none.
    pub fn local_time(&self, zone: &str) -> Result<ZonedTime, Denial> {
        self.0.local_time(zone).map_err(Denial::new)
    }
}

fn at(pointer: &str, what: impl Display) -> Denial {
    Denial::new(format!("the argument `{}` is refused: {what}", Pointer::shown(pointer))).at(pointer)
}

fn unusable(pointer: &str, wanted: &str, found: Option<&Value>) -> Denial {
    let found = match found {
        None => "it is missing",
        Some(Value::Null) => "it is null",
        Some(Value::Boolean(_)) => "it is a boolean",
        Some(Value::Number(_)) => "it is a number",
        Some(Value::Text(_)) => "it is a string",
        Some(Value::Items(_)) => "it is a list",
        Some(Value::Members(_)) => "it is an object",
    };
    at(pointer, format_args!("{found}; send {wanted}"))
}
