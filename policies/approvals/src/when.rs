//! When a rule applies: all conditions have to hold.

use std::collections::BTreeMap;

use portcullis_guest::{Amount, Call, Context, Currency, CurrencyFrom, Denial, Pointer};
use serde::{Deserialize, Deserializer, de};

/// The conditions, as they are written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct When {
    trust_below: Option<u8>,
    pointer: Option<Pointer>,
    greater_than: Option<Threshold>,
    currency: Option<CurrencyFrom>,
}

/// The largest amount that nobody is asked about.
#[derive(Debug)]
enum Threshold {
    /// Whatever the currency.
    Any(Amount),
    /// By currency.
    Each(BTreeMap<Currency, Amount>),
}

/// The conditions without problems.
pub(crate) struct Condition {
    trust_below: Option<u8>,
    over: Option<Over>,
}

/// An amount over a threshold.
enum Over {
    Any { amount: Pointer, most: Amount },
    Each { amount: Pointer, currency: CurrencyFrom, most: BTreeMap<Currency, Amount> },
}

impl When {
    /// What is wrong is a pointer into `when`, and a sentence.
    pub(crate) fn check(self) -> Result<Condition, (&'static str, String)> {
        let wrong = |rest, message: &str| Err((rest, message.to_owned()));
        if let Some(trust @ (0 | 101..)) = self.trust_below {
            let message = format!("trust goes from 0 to 100, so below {trust} is nobody or everybody; use 1 to 100");
            return Err(("/trust_below", message));
        }
        let over = match (self.pointer, self.greater_than, self.currency) {
            (None, None, None) if self.trust_below.is_some() => None,
            (None, None, None) => {
                return wrong("", "there is no condition; add one, or leave `when` out to ask always");
            }
            (Some(amount), Some(Threshold::Any(most)), None) => Some(Over::Any { amount, most }),
            (Some(amount), Some(Threshold::Each(most)), Some(currency)) => {
                Some(Over::each(amount, currency, most).map_err(|message| ("/greater_than", message))?)
            }
            (None, Some(_), _) => return wrong("", "`greater_than` needs `pointer`, the place of the amount"),
            (_, None, _) => {
                return wrong("", "`pointer` and `currency` need `greater_than`, the amount to compare with");
            }
            (_, Some(Threshold::Any(_)), Some(_)) => {
                return wrong(
                    "/greater_than",
                    "with `currency`, write an amount for each, such as `{\"EUR\": \"100\"}`",
                );
            }
            (_, Some(Threshold::Each(_)), None) => {
                return wrong("", "amounts by currency need `currency`, the place of the currency");
            }
        };
        Ok(Condition { trust_below: self.trust_below, over })
    }
}

impl Over {
    fn each(amount: Pointer, currency: CurrencyFrom, most: BTreeMap<Currency, Amount>) -> Result<Self, String> {
        if most.is_empty() {
            return Err("there is no amount; write one for each currency, such as `{\"EUR\": \"100\"}`".to_owned());
        }
        match &currency {
            CurrencyFrom::Const(currency) if !most.contains_key(currency) => {
                Err(format!("the currency is always `{currency}`, which has no amount; add one"))
            }
            _ => Ok(Self::Each { amount, currency, most }),
        }
    }

    /// An amount or currency that cannot be read is refused. A currency without a threshold is over any.
    fn holds(&self, context: &Context) -> Result<bool, Denial> {
        match self {
            Self::Any { amount, most } => Ok(context.amount(amount)? > *most),
            Self::Each { amount, currency, most } => {
                let (amount, currency) = (context.amount(amount)?, context.currency(currency)?);
                Ok(most.get(&currency).is_none_or(|most| amount > *most))
            }
        }
    }
}

impl Condition {
    /// Every call.
    pub(crate) fn always() -> Self {
        Self { trust_below: None, over: None }
    }

    pub(crate) fn holds(&self, call: &Call, context: &Context) -> Result<bool, Denial> {
        if self.trust_below.is_some_and(|trust| call.principal.trust >= trust) {
            return Ok(false);
        }
        self.over.as_ref().map_or(Ok(true), |over| over.holds(context))
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ThresholdVisitor)
    }
}

/// Not an untagged enum: that would forget which part was wrong.
struct ThresholdVisitor;

impl<'de> de::Visitor<'de> for ThresholdVisitor {
    type Value = Threshold;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an amount as a string such as \"100\", or one for each currency such as {\"EUR\": \"100\"}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Threshold, E> {
        Amount::parse(text).map(Threshold::Any).map_err(E::custom)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Threshold, A::Error> {
        BTreeMap::deserialize(de::value::MapAccessDeserializer::new(map)).map(Threshold::Each)
    }
}
