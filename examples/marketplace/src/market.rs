//! What the tools do: pure changes of a [`State`].
//!
//! Writtens and prices are kept as the text they were written in, and taken as they come: whether a deal may cost
//! minus five euros is not for a marketplace that trusts its callers to say. That is what a gate is for.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Everything that the marketplace keeps: one list per kind, oldest first, and what was executed.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    deals: Vec<Offered>,
    votes: Vec<Vote>,
    listings: Vec<Offered>,
    offers: Vec<Offer>,
    contact_reveals: Vec<Reveal>,
    orders: Vec<Order>,
    payments: Vec<Payment>,
    /// Every tool that ran, in order, those that answered with an error included.
    pub executed: Vec<Executed>,
}

/// A tool that ran.
#[derive(Debug, Serialize, Deserialize)]
pub struct Executed {
    /// Its name.
    pub tool: String,
    /// Its arguments, as they were received: order of members and digits of numbers included.
    pub arguments: Box<RawValue>,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no such tool. Nothing was done.
    #[error("there is no such tool")]
    UnknownTool,
    /// The arguments are not what the tool takes. Nothing was done.
    #[error("the arguments do not fit: {0}")]
    Arguments(#[from] serde_json::Error),
    /// The tool ran and says that it cannot be done.
    #[error("{0}")]
    Tool(String),
}

/// An amount or an id: a JSON string, or the digits of a JSON number. `"1099.10"` and `1099.10` are both `1099.10`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
struct Written(String);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        match raw.get().as_bytes().first() {
            Some(b'"') => serde_json::from_str(raw.get()).map(Self).map_err(D::Error::custom),
            Some(b'-' | b'0'..=b'9') => Ok(Self(raw.get().to_owned())),
            _ => Err(D::Error::custom(format!("`{raw}` is neither a string nor a number"))),
        }
    }
}

/// A deal or a listing.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Offered {
    id: Written,
    title: String,
    price: Written,
    currency: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Vote {
    deal_id: Written,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Offer {
    id: Written,
    listing_id: Written,
    seller: String,
    amount: Written,
    currency: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Reveal {
    tx_id: Written,
    contact: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OrderStatus {
    Open,
    Validated,
    Cancelled,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    number: Written,
    /// None for an order that was made elsewhere and is only known by what was done to it.
    customer: Option<String>,
    amount: Option<Written>,
    currency: Option<String>,
    status: OrderStatus,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Payment {
    id: Written,
    order: Written,
    merchant: String,
    amount: Written,
    currency: String,
}

#[derive(Deserialize)]
struct NewOffered {
    title: String,
    price: Written,
    currency: String,
}

impl NewOffered {
    fn with_id(self, id: Written) -> Offered {
        Offered { id, title: self.title, price: self.price, currency: self.currency }
    }
}

#[derive(Deserialize)]
struct NewOffer {
    listing_id: Written,
    seller: String,
    amount: Written,
    currency: String,
}

#[derive(Deserialize)]
struct NewOrder {
    customer: String,
    amount: Written,
    currency: String,
}

#[derive(Deserialize)]
struct NewPayment {
    order: Written,
    merchant: String,
    amount: Written,
    currency: String,
}

#[derive(Deserialize)]
struct ByNumber {
    number: Written,
}

#[derive(Deserialize)]
struct ByCustomer {
    customer: String,
}

#[derive(Deserialize)]
struct ByTransaction {
    tx_id: Written,
}

#[derive(Deserialize)]
struct Nothing {}

impl State {
    /// Runs a tool and writes down that it ran. A call with a wrong name or wrong arguments does not run.
    ///
    /// # Errors
    /// Why there is no answer. A [`Failure::Tool`] has run.
    pub fn call(&mut self, tool: &str, arguments: &RawValue) -> Result<Value, Failure> {
        let outcome = self.run(tool, arguments);
        if !matches!(outcome, Err(Failure::UnknownTool | Failure::Arguments(_))) {
            self.executed.push(Executed { tool: tool.to_owned(), arguments: arguments.to_owned() });
        }
        outcome
    }

    fn run(&mut self, tool: &str, arguments: &RawValue) -> Result<Value, Failure> {
        match tool {
            "list_deals" => read(arguments).map(|Nothing {}| json!({ "deals": self.deals })),
            "create_deal" => Ok(keep(&mut self.deals, read::<NewOffered>(arguments)?, "deal", NewOffered::with_id)),
            "vote_deal" => {
                let vote: Vote = read(arguments)?;
                self.votes.push(vote.clone());
                let votes = self.votes.iter().filter(|kept| kept.deal_id == vote.deal_id).count();
                Ok(json!({ "deal_id": vote.deal_id, "votes": votes }))
            }
            "create_listing" => {
                Ok(keep(&mut self.listings, read::<NewOffered>(arguments)?, "listing", NewOffered::with_id))
            }
            "make_offer" => Ok(keep(&mut self.offers, read::<NewOffer>(arguments)?, "offer", |new, id| Offer {
                id,
                listing_id: new.listing_id,
                seller: new.seller,
                amount: new.amount,
                currency: new.currency,
            })),
            "request_contact_reveal" => {
                let ByTransaction { tx_id } = read(arguments)?;
                let contact = format!("seller of {} <contact@marketplace.example>", tx_id.0);
                Ok(keep(&mut self.contact_reveals, tx_id, "reveal", |tx_id, _| Reveal { tx_id, contact }))
            }
            "find_order" => {
                read(arguments).map(|ByNumber { number }| json!({ "number": number, "order": self.order(&number) }))
            }
            "analyze_invoice" => read(arguments).map(|ByNumber { number }| self.invoice(&number)),
            "summarize_customer_activity" => read(arguments).map(|ByCustomer { customer }| self.summary_of(&customer)),
            "create_order" => Ok(keep(&mut self.orders, read::<NewOrder>(arguments)?, "order", |new, number| Order {
                number,
                customer: Some(new.customer),
                amount: Some(new.amount),
                currency: Some(new.currency),
                status: OrderStatus::Open,
            })),
            "validate_order" => self.change_order(read(arguments)?, OrderStatus::Validated),
            "cancel_order" => self.change_order(read(arguments)?, OrderStatus::Cancelled),
            "record_payment" => Ok(keep(&mut self.payments, read::<NewPayment>(arguments)?, "payment", |new, id| {
                let NewPayment { order, merchant, amount, currency } = new;
                Payment { id, order, merchant, amount, currency }
            })),
            _ => Err(Failure::UnknownTool),
        }
    }

    fn order(&self, number: &Written) -> Option<&Order> {
        self.orders.iter().find(|order| order.number == *number)
    }

    fn invoice(&self, number: &Written) -> Value {
        let payments: Vec<_> = self.payments.iter().filter(|payment| payment.order == *number).collect();
        json!({ "number": number, "order": self.order(number), "payments": payments })
    }

    fn summary_of(&self, customer: &str) -> Value {
        let of_customer = |order: &&Order| order.customer.as_deref() == Some(customer);
        let orders: Vec<_> = self.orders.iter().filter(of_customer).collect();
        json!({ "customer": customer, "count": orders.len(), "orders": orders })
    }

    /// Moves an order on; a cancelled one stays cancelled. An order made elsewhere is known from now on.
    fn change_order(&mut self, ByNumber { number }: ByNumber, status: OrderStatus) -> Result<Value, Failure> {
        let Some(order) = self.orders.iter_mut().find(|order| order.number == number) else {
            let order = Order { number, customer: None, amount: None, currency: None, status };
            let answer = json!(order);
            self.orders.push(order);
            return Ok(answer);
        };
        if order.status == OrderStatus::Cancelled {
            return Err(Failure::Tool(format!("order `{}` is cancelled already; create a new one instead", number.0)));
        }
        order.status = status;
        Ok(json!(order))
    }
}

fn read<T: DeserializeOwned>(arguments: &RawValue) -> Result<T, Failure> {
    // The derived readers would take a list for an object, too.
    if !arguments.get().starts_with('{') {
        return Err(Failure::Arguments(serde_json::Error::custom("they are not a JSON object")));
    }
    Ok(serde_json::from_str(arguments.get())?)
}

/// Appends what `make` makes of `new` and the next id of its kind, and answers with it.
fn keep<N, T: Serialize>(list: &mut Vec<T>, new: N, kind: &str, make: impl FnOnce(N, Written) -> T) -> Value {
    let made = make(new, Written(format!("{kind}-{}", list.len().saturating_add(1))));
    let answer = json!(made);
    list.push(made);
    answer
}

#[cfg(test)]
mod tests;
