//! Test vectors: a policy's cases in a file, for `cargo test` here and for `portcullis policy test` on the component.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::case::Case;
use crate::{
    Account, Charge, Claim, Exceed, Limit, Money, Obligations, Policy, Problem, Span, Verdict, Visibility, Window,
    ZonedTime, settings,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    settings: Box<RawValue>,
    cases: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    settings: Option<Box<RawValue>>,
    call: Option<CallIn>,
    #[serde(default)]
    facts: FactsIn,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallIn {
    tool: String,
    #[serde(default)]
    principal: PrincipalIn,
    arguments: Option<Box<RawValue>>,
    #[serde(default)]
    approved: bool,
    #[serde(default)]
    time_ms: u64,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PrincipalIn {
    id: Option<String>,
    name: Option<String>,
    kind: Option<String>,
    owner: Option<String>,
    roles: Vec<String>,
    trust: Option<u8>,
    claims: std::collections::BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FactsIn {
    spent: Vec<SpentIn>,
    calls: Vec<CallsIn>,
    local_time: Vec<LocalTimeIn>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SpentIn {
    account: AccountIn,
    currency: String,
    window: String,
    amount: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallsIn {
    window: String,
    count: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LocalTimeIn {
    zone: String,
    year: i32,
    month: u8,
    day: u8,
    weekday: u8,
    hour: u8,
    minute: u8,
    #[serde(default)]
    second: u8,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AccountIn {
    Agent,
    Owner,
    Payee(String),
    Named(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expect {
    Deny(DenyOut),
    Ask(AskOut),
    Allow(DueOut),
    Pass(DueOut),
    Visible(VisibleOut),
    Problems(Vec<ProblemOut>),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum VisibleOut {
    Never,
    Maybe,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct DenyOut {
    reason: String,
    pointer: Option<String>,
    tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct AskOut {
    summary: String,
    expires_s: Option<u32>,
    quorum: Option<u8>,
    charges: Vec<ChargeOut>,
    tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct DueOut {
    charges: Vec<ChargeOut>,
    tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChargeOut {
    id: String,
    account: AccountIn,
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
struct ProblemOut {
    pointer: String,
    #[serde(default)]
    message: String,
}

/// Runs a policy's `vectors.json` and returns how many cases it has.
///
/// # Panics
/// When the file is malformed or a case differs; the message lists every case that does.
#[expect(clippy::panic, reason = "in a test, a panic is the answer")]
pub fn run<P: Policy>(file: &str) -> usize {
    let vectors: Vectors =
        serde_json::from_str(file).unwrap_or_else(|error| panic!("the vectors do not read: {error}"));
    let differ: Vec<String> = vectors
        .cases
        .iter()
        .filter_map(|vector| {
            let settings = vector.settings.as_ref().unwrap_or(&vectors.settings);
            compare::<P>(vector, settings.get()).err().map(|why| format!("`{}`: {why}", vector.name))
        })
        .collect();
    assert!(differ.is_empty(), "{} of {} cases differ:\n{}", differ.len(), vectors.cases.len(), differ.join("\n"));
    vectors.cases.len()
}

fn compare<P: Policy>(vector: &Vector, settings: &str) -> Result<(), String> {
    let policy = match (settings::read::<P>(settings), &vector.expect) {
        (Err(found), Expect::Problems(wanted)) => return same_problems(&found, wanted),
        (Err(found), _) => return Err(format!("the settings have problems: {found:?}")),
        (Ok(_), Expect::Problems(_)) => return Err("the settings have no problems".to_owned()),
        (Ok(policy), _) => policy,
    };
    let case = vector.case()?;
    if let Expect::Visible(wanted) = &vector.expect {
        let found = case.visible(&policy);
        let same =
            matches!((found, wanted), (Visibility::Never, VisibleOut::Never) | (Visibility::Maybe, VisibleOut::Maybe));
        return if same { Ok(()) } else { Err(format!("visible said {found:?}")) };
    }
    let found = case.evaluate(&policy);
    if same_verdict(&found, &vector.expect) { Ok(()) } else { Err(format!("the policy said {found:#?}")) }
}

fn same_problems(found: &[Problem], wanted: &[ProblemOut]) -> Result<(), String> {
    let same = found.len() == wanted.len()
        && found.iter().zip(wanted).all(|(f, w)| f.pointer == w.pointer && f.message.contains(&w.message));
    if same { Ok(()) } else { Err(format!("the problems are {found:#?}")) }
}

fn same_verdict(found: &Verdict, wanted: &Expect) -> bool {
    match (found, wanted) {
        (Verdict::Deny(found), Expect::Deny(wanted)) => {
            found.reason.contains(&wanted.reason) && found.pointer == wanted.pointer && found.tags == wanted.tags
        }
        (Verdict::Ask(found), Expect::Ask(wanted)) => {
            found.summary.contains(&wanted.summary)
                && found.expires_s == wanted.expires_s
                && found.quorum.max(1) == wanted.quorum.unwrap_or(1)
                && same_due(&found.obligations, &wanted.charges, &wanted.tags)
        }
        (Verdict::Allow(found), Expect::Allow(wanted)) | (Verdict::Pass(found), Expect::Pass(wanted)) => {
            same_due(found, &wanted.charges, &wanted.tags)
        }
        _ => false,
    }
}

fn same_due(found: &Obligations, charges: &[ChargeOut], tags: &[String]) -> bool {
    found.tags == tags && found.charges == charges.iter().map(Charge::from).collect::<Vec<_>>()
}

impl Vector {
    fn case(&self) -> Result<Case, String> {
        let call = self.call.as_ref().ok_or("the case has no `call`")?;
        let given = &call.principal;
        let mut case = Case::call(&call.tool).time_ms(call.time_ms).principal(|principal| {
            principal.id = given.id.clone().unwrap_or(principal.id.clone());
            principal.name = given.name.clone().unwrap_or(principal.name.clone());
            principal.kind = given.kind.clone().unwrap_or(principal.kind.clone());
            principal.owner = given.owner.clone();
            principal.trust = given.trust.unwrap_or(principal.trust);
            let claims = given.claims.iter();
            principal.claims = claims.map(|(name, value)| Claim { name: name.clone(), value: value.clone() }).collect();
        });
        case = given.roles.iter().fold(case, |case, role| case.role(role));
        if let Some(arguments) = &call.arguments {
            case = case.arguments(arguments);
        }
        if call.approved {
            case = case.approved();
        }
        for fact in &self.facts.spent {
            case = case.spent(fact.account.clone().into(), &fact.currency, &fact.window, &fact.amount);
        }
        for fact in &self.facts.calls {
            case = case.calls(&fact.window, fact.count);
        }
        for LocalTimeIn { zone, year, month, day, weekday, hour, minute, second } in &self.facts.local_time {
            let (month, day, year, weekday) = (*month, *day, *year, *weekday);
            let (hour, minute, second) = (*hour, *minute, *second);
            case = case.local_time(zone, ZonedTime { month, day, year, weekday, hour, minute, second });
        }
        Ok(case)
    }
}

impl From<AccountIn> for Account {
    fn from(account: AccountIn) -> Self {
        match account {
            AccountIn::Agent => Self::Agent,
            AccountIn::Owner => Self::Owner,
            AccountIn::Payee(name) => Self::Payee(name),
            AccountIn::Named(name) => Self::Named(name),
        }
    }
}

impl From<&ChargeOut> for Charge {
    fn from(charge: &ChargeOut) -> Self {
        let limits = charge.limits.iter().map(|limit| Limit {
            max: limit.max.clone(),
            unit: limit.unit.clone(),
            span: limit.window.map_or(Span::PerTransaction, |window| Span::RollingMs(window.ms())),
            exceed: match limit.exceed {
                ExceedOut::Deny => Exceed::Deny,
                ExceedOut::Ask => Exceed::Ask,
            },
        });
        Self {
            id: charge.id.clone(),
            account: charge.account.clone().into(),
            money: Money { amount: charge.amount.clone(), currency: charge.currency.clone() },
            limits: limits.collect(),
        }
    }
}
