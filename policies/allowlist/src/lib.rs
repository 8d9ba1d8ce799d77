//! Which values an argument may have: known merchants, known recipients.
//!
//! Every rule that matches a call has to be content with it. A rule that names a currency is about calls in that
//! currency; an argument that is listed by currency is refused in a currency that no rule is about. The policy never
//! allows a call itself.

mod settings;
mod value;

use portcullis_guest::{Call, Context, CurrencyFrom, Denial, Policy, Problem, Verdict, quoted};

use settings::Rule;
pub use settings::Settings;
use value::Clean;

/// The policy.
pub struct Allowlist(Vec<Rule>);

impl Policy for Allowlist {
    const NAME: &'static str = "allowlist";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Refuses calls with an argument whose value is not on its list.";
    const SCHEMA: &'static str = include_str!("../settings.schema.json");
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, Vec<Problem>> {
        settings.check().map(Self)
    }

    fn evaluate(&self, call: &Call, context: &Context) -> Result<Verdict, Denial> {
        let rules: Vec<&Rule> = self.0.iter().filter(|rule| rule.matches(&call.tool.name)).collect();
        for rule in &rules {
            if is_about(rule, &rules, context)? {
                check(rule, &call.tool.name, context)?;
            }
        }
        Ok(Verdict::pass())
    }
}

/// Whether the rule is about the call's currency. Where it is not, another rule about the same argument has to be.
fn is_about(rule: &Rule, rules: &[&Rule], context: &Context) -> Result<bool, Denial> {
    let Some((wanted, pointer)) = &rule.currency else { return Ok(true) };
    let found = context.currency(&CurrencyFrom::Pointer(pointer.clone()))?;
    if found == *wanted {
        return Ok(true);
    }
    let covers = |other: &&Rule| {
        let currency = other.currency.as_ref();
        other.pointer == rule.pointer && currency.is_none_or(|(currency, at)| *currency == found && *at == *pointer)
    };
    if rules.iter().any(covers) {
        return Ok(false);
    }
    let argument = quoted(rule.pointer.as_str());
    let reason = format!(
        "the argument {argument} has no list for `{found}`; use a currency that it has one for, such as `{wanted}`, or ask the gate's owner to add one"
    );
    Err(Denial::new(reason).at(pointer.as_str()))
}

fn check(rule: &Rule, tool: &str, context: &Context) -> Result<(), Denial> {
    let pointer = rule.pointer.as_str();
    let text = context.text(pointer)?;
    let refused = |why: &str| {
        let (argument, value) = (quoted(pointer), quoted(&text));
        Denial::new(format!("the argument {argument} is refused: {value} {why}")).at(pointer)
    };
    let value = Clean::parse(&text).map_err(&refused)?;
    if rule.allows(&value) {
        return Ok(());
    }
    let tool = quoted(tool);
    Err(refused(&format!("is not on the list for {tool}; use a value that is, or ask the gate's owner to add it")))
}

portcullis_guest::export!(Allowlist);
