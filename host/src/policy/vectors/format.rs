//! The file format of test vectors. What is left out has a default; what is misspelt is an error.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use crate::ledger::{Account, Charge, Limit};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vectors {
    pub(super) settings: Box<RawValue>,
    pub(super) cases: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vector {
    pub(super) name: String,
    pub(super) settings: Option<Box<RawValue>>,
    pub(super) call: Option<CallIn>,
    #[serde(default)]
    pub(super) facts: FactsIn,
    pub(super) expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallIn {
    pub(super) tool: String,
    #[serde(default)]
    pub(super) principal: PrincipalIn,
    pub(super) arguments: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) approved: bool,
    #[serde(default)]
    pub(super) time_ms: u64,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PrincipalIn {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) roles: Vec<String>,
    pub(super) trust: Option<u8>,
    pub(super) claims: BTreeMap<String, String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FactsIn {
    pub(super) spent: Vec<SpentIn>,
    pub(super) calls: Vec<CallsIn>,
    pub(super) local_time: Vec<LocalTimeIn>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpentIn {
    pub(super) account: Account,
    pub(super) currency: String,
    pub(super) window: Window,
    pub(super) amount: String,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallsIn {
    pub(super) window: Window,
    pub(super) count: u64,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LocalTimeIn {
    pub(super) zone: String,
    pub(super) year: i32,
    pub(super) month: u8,
    pub(super) day: u8,
    pub(super) weekday: u8,
    pub(super) hour: u8,
    pub(super) minute: u8,
    #[serde(default)]
    pub(super) second: u8,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Expect {
    Deny(DenyOut),
    Ask(AskOut),
    Allow(DueOut),
    Pass(DueOut),
    Visible(VisibleOut),
    Problems(Vec<ProblemOut>),
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum VisibleOut {
    Never,
    Maybe,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DenyOut {
    pub(super) reason: String,
    pub(super) pointer: Option<String>,
    pub(super) tags: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AskOut {
    pub(super) summary: String,
    pub(super) expires_s: Option<u32>,
    pub(super) quorum: Option<u8>,
    pub(super) charges: Vec<ChargeOut>,
    pub(super) tags: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DueOut {
    pub(super) charges: Vec<ChargeOut>,
    pub(super) tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChargeOut {
    id: String,
    account: Account,
    amount: String,
    currency: String,
    #[serde(default)]
    limits: Vec<LimitOut>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitOut {
    max: String,
    unit: String,
    window: Option<Window>,
    #[serde(default)]
    exceed: ExceedOut,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ExceedOut {
    #[default]
    Deny,
    Ask,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProblemOut {
    pub(super) pointer: String,
    #[serde(default)]
    pub(super) message: String,
}

impl From<&ChargeOut> for Charge {
    fn from(charge: &ChargeOut) -> Self {
        let limit = |limit: &LimitOut| Limit {
            max: limit.max.clone(),
            unit: limit.unit.clone(),
            window: limit.window.map(|window| window.0),
            ask: matches!(limit.exceed, ExceedOut::Ask),
            agreed: None,
        };
        Self {
            id: charge.id.clone(),
            account: charge.account.clone(),
            amount: charge.amount.clone(),
            currency: charge.currency.clone(),
            limits: charge.limits.iter().map(limit).collect(),
        }
    }
}

/// A length of time as policies' settings write it: a whole number and `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Window(pub(super) Duration);

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let read = || {
            let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
            let seconds = match unit {
                "s" => 1,
                "m" => 60,
                "h" => 3600,
                "d" => 24 * 3600,
                _ => return None,
            };
            let window = Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?);
            (!window.is_zero() && window <= crate::limits::WINDOW_MAX).then_some(Self(window))
        };
        read().ok_or_else(|| {
            de::Error::custom(format!(
                "`{text}` is no length of time: write `90s`, `15m`, `24h` or `7d`, at most `366d`"
            ))
        })
    }
}
