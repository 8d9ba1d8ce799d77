//! What a policy can ask for while it decides: the arguments of the call, and facts. Each answer is bounded, and
//! recorded with the verdict.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::{Offset, TimeZone};
use serde::Serialize;

use super::arguments::{Arguments, sha256};
use super::guest::portcullis::policy::{arguments, facts, json, types};
use super::limits;
use super::sandbox::{Input, State};
use crate::clock::Timestamp;
use crate::json::PointerError;
use crate::ledger::Account;

/// What the gate knows and policies may ask for. Both methods are called on a deciding thread, and may read the store.
pub trait Facts: Send + Sync {
    /// Money spent or held on an account of the calling principal, as a decimal number in that currency.
    ///
    /// # Errors
    /// A sentence, when it cannot be told; the policy that asked then fails.
    fn spent(&self, account: &Account, currency: &str, window: Duration) -> Result<String, String>;

    /// How many calls of the calling principal were let through to an upstream.
    ///
    /// # Errors
    /// As above.
    fn calls(&self, window: Duration) -> Result<u64, String>;
}

/// Something that a policy read while it decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Read {
    /// What: `argument` and a JSON pointer, `arguments` for all of them, or `spent`, `calls`, `local-time` with what
    /// was asked.
    pub what: String,
    /// The answer. Of an argument its JSON with the exact text of a number, of a list its length, of an object its
    /// keys; of all arguments, and of what is too long to keep, the digest. None where there was nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl Read {
    /// The JSON pointer, where it is one argument that was read.
    #[must_use]
    pub fn pointer(&self) -> Option<&str> {
        self.what.strip_prefix("argument ")
    }
}

/// Why an import answered nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum ImportError {
    #[error(transparent)]
    Pointer(#[from] PointerError),
    #[error("a {0} that the policy asked with is longer than {1} bytes")]
    TooLong(&'static str, usize),
    #[error("a window of {0} ms that the policy asked with is none: 1 ms to 366 days")]
    Window(u64),
    #[error("a fact could not be told: {0}")]
    Fact(String),
    #[error("it asked for something of a call while there was none: only `evaluate` may read arguments and facts")]
    Quiet,
    #[error("it read more than {} bytes and members of the arguments", limits::IMPORT_WORK_MAX)]
    Work,
    #[error("it asked for more than {} facts", limits::FACTS_MAX)]
    Facts,
}

impl ImportError {
    /// Whether it is a bound that was passed, rather than something wrong.
    pub(super) fn is_limit(&self) -> bool {
        matches!(self, ImportError::Work | ImportError::Facts)
    }
}

/// What is left of [`limits::IMPORT_WORK_MAX`].
pub(super) struct Work(usize);

impl Work {
    pub(super) fn spend(&mut self, units: usize) -> Result<(), ImportError> {
        self.0 = self.0.checked_sub(units).ok_or(ImportError::Work)?;
        Ok(())
    }
}

/// Local times that a test gives instead of the real ones.
pub(super) type Zones = BTreeMap<String, facts::ZonedTime>;

/// One call, while one policy decides on it.
pub(super) struct Asking {
    arguments: Arc<Arguments>,
    facts: Arc<dyn Facts>,
    zones: Option<Arc<Zones>>,
    time: Timestamp,
    work: Work,
    facts_left: usize,
    reads: Vec<Read>,
    /// Reads beyond those that are recorded.
    unrecorded: usize,
}

impl Asking {
    pub(super) fn new(input: &Input) -> Self {
        Self {
            arguments: Arc::clone(&input.arguments),
            facts: Arc::clone(&input.facts),
            zones: input.zones.clone(),
            time: Timestamp(input.call.time_ms),
            work: Work(limits::IMPORT_WORK_MAX),
            facts_left: limits::FACTS_MAX,
            reads: Vec::new(),
            unrecorded: 0,
        }
    }

    /// What was read, in the order in which it was read first.
    pub(super) fn into_reads(mut self) -> Vec<Read> {
        if self.unrecorded > 0 {
            let value = format!("{} reads", self.unrecorded);
            self.reads.push(Read { what: "more".to_owned(), value: Some(value) });
        }
        self.reads
    }

    fn record(&mut self, what: String, value: Option<String>) {
        if self.reads.iter().any(|read| read.what == what) {
            return;
        }
        if self.reads.len() >= limits::READS_RECORDED_MAX {
            self.unrecorded = self.unrecorded.saturating_add(1);
            return;
        }
        let value =
            value.map(|text| if text.len() > limits::READ_VALUE_BYTES_MAX { sha256(text.as_bytes()) } else { text });
        self.reads.push(Read { what, value });
    }

    fn fact(&mut self) -> Result<(), ImportError> {
        self.work.spend(1)?;
        self.facts_left = self.facts_left.checked_sub(1).ok_or(ImportError::Facts)?;
        Ok(())
    }
}

impl State {
    fn asking(&mut self) -> Result<&mut Asking, ImportError> {
        self.asking.as_mut().ok_or(ImportError::Quiet)
    }
}

impl types::Host for State {}

impl json::Host for State {}

impl arguments::Host for State {
    fn get(&mut self, pointer: String) -> wasmtime::Result<Option<json::Value>> {
        let asking = self.asking()?;
        let value = asking.arguments.get(&pointer, &mut asking.work)?;
        let text = value.as_ref().map(recorded);
        asking.record(format!("argument {pointer}"), text);
        Ok(value)
    }

    fn canonical(&mut self) -> wasmtime::Result<String> {
        let asking = self.asking()?;
        let text = asking.arguments.canonical(&mut asking.work)?.to_owned();
        let digest = asking.arguments.digest(&text).to_owned();
        asking.record("arguments".to_owned(), Some(digest));
        Ok(text)
    }
}

/// A value as JSON; of a list its length, of an object its keys.
fn recorded(value: &json::Value) -> String {
    let text = |text: &String| serde_json::Value::from(text.as_str()).to_string();
    match value {
        json::Value::Null => "null".to_owned(),
        json::Value::Boolean(bool) => bool.to_string(),
        json::Value::Number(number) => number.clone(),
        json::Value::Text(string) => text(string),
        json::Value::Items(count) => format!("[{count} items]"),
        json::Value::Members(keys) => format!("{{{}}}", keys.iter().map(text).collect::<Vec<_>>().join(",")),
    }
}

impl facts::Host for State {
    fn spent(&mut self, account: types::Account, currency: String, window_ms: u64) -> wasmtime::Result<String> {
        let asking = self.asking()?;
        asking.fact()?;
        let (account, shown) = self::account(account)?;
        bounded("currency", &currency)?;
        let window = window(window_ms)?;
        let spent = asking.facts.spent(&account, &currency, window).map_err(ImportError::Fact)?;
        asking.record(format!("spent {shown} {currency} {window_ms}ms"), Some(spent.clone()));
        Ok(spent)
    }

    fn calls(&mut self, window_ms: u64) -> wasmtime::Result<u64> {
        let asking = self.asking()?;
        asking.fact()?;
        let calls = asking.facts.calls(window(window_ms)?).map_err(ImportError::Fact)?;
        asking.record(format!("calls {window_ms}ms"), Some(calls.to_string()));
        Ok(calls)
    }

    fn local_time(&mut self, zone: String) -> wasmtime::Result<Result<facts::ZonedTime, String>> {
        let asking = self.asking()?;
        asking.work.spend(zone.len().saturating_add(64))?;
        bounded("zone", &zone)?;
        let local = match &asking.zones {
            Some(zones) => zones.get(&zone).copied().ok_or_else(|| no_zone(&zone)),
            None => local_time(&zone, asking.time),
        };
        let text = match &local {
            Ok(at) => {
                format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", at.year, at.month, at.day, at.hour, at.minute, at.second)
            }
            Err(error) => error.clone(),
        };
        asking.record(format!("local-time {zone}"), Some(text));
        Ok(local)
    }
}

fn bounded(what: &'static str, text: &str) -> Result<(), ImportError> {
    if text.len() > limits::NAME_BYTES_MAX { Err(ImportError::TooLong(what, limits::NAME_BYTES_MAX)) } else { Ok(()) }
}

fn window(ms: u64) -> Result<Duration, ImportError> {
    let window = Duration::from_millis(ms);
    if window.is_zero() || window > crate::limits::WINDOW_MAX { Err(ImportError::Window(ms)) } else { Ok(window) }
}

fn account(account: types::Account) -> Result<(Account, String), ImportError> {
    Ok(match account {
        types::Account::Agent => (Account::Agent, "agent".to_owned()),
        types::Account::Owner => (Account::Owner, "owner".to_owned()),
        types::Account::Payee(name) => {
            bounded("payee", &name)?;
            let shown = format!("payee:{name}");
            (Account::Payee(name), shown)
        }
        types::Account::Named(name) => {
            bounded("account", &name)?;
            let shown = format!("named:{name}");
            (Account::Named(name), shown)
        }
    })
}

fn local_time(zone: &str, time: Timestamp) -> Result<facts::ZonedTime, String> {
    let tz = match offset(zone) {
        Some(offset) => TimeZone::fixed(offset),
        None => TimeZone::get(zone).map_err(|_| no_zone(zone))?,
    };
    let at = i64::try_from(time.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let at = at.ok_or_else(|| format!("the call's time is out of range for `{zone}`"))?.to_zoned(tz);
    Ok(facts::ZonedTime {
        month: at.month().unsigned_abs(),
        day: at.day().unsigned_abs(),
        year: i32::from(at.year()),
        weekday: at.weekday().to_monday_one_offset().unsigned_abs(),
        hour: at.hour().unsigned_abs(),
        minute: at.minute().unsigned_abs(),
        second: at.second().unsigned_abs(),
    })
}

fn no_zone(zone: &str) -> String {
    format!("`{zone}` is no time zone: use an IANA name such as `Europe/Paris`, or an offset such as `+01:00`")
}

/// `+01:00` or `-09:30`: a sign, two digits of hours up to 23, two of minutes up to 59.
fn offset(text: &str) -> Option<Offset> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let two = |digits: &str, below: i32| {
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<i32>().ok().filter(|number| plain && *number < below)
    };
    let (hours, minutes) = rest.split_once(':')?;
    let seconds = two(hours, 24)?.checked_mul(3600)?.checked_add(two(minutes, 60)?.checked_mul(60)?)?;
    Offset::from_seconds(seconds.checked_mul(sign)?).ok()
}
