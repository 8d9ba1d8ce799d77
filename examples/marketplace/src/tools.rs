//! What the tools are called, what they take and what they promise.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};

/// What a call does to the marketplace. None reaches beyond it.
#[derive(Clone, Copy)]
enum Effect {
    /// Nothing.
    Reads,
    /// It adds something, each time again.
    Adds,
    /// It overwrites something; the same call again has no further effect.
    Overwrites,
}

impl Effect {
    fn annotations(self) -> ToolAnnotations {
        ToolAnnotations::new()
            .read_only(matches!(self, Effect::Reads))
            .destructive(matches!(self, Effect::Overwrites))
            .idempotent(!matches!(self, Effect::Adds))
            .open_world(false)
    }
}

const ID: &[&str] = &["string", "integer"];
const AMOUNT: &[&str] = &["string", "number"];
const TEXT: &[&str] = &["string"];

type Parameter = (&'static str, &'static [&'static str], &'static str);

const DEAL: Parameter = ("deal_id", ID, "The id of a deal, as `list_deals` and `create_deal` answer it.");
const LISTING: Parameter = ("listing_id", ID, "The id of a listing, as `create_listing` answers it.");
const TRANSACTION: Parameter = ("tx_id", ID, "The id of the transaction whose other side is asked for.");
const NUMBER: Parameter = ("number", ID, "The number of an order, as `create_order` answers it.");
const ORDER: Parameter = ("order", ID, "The number of the order that is paid.");
const TITLE: Parameter = ("title", TEXT, "What is offered, in a few words.");
const SELLER: Parameter = ("seller", TEXT, "Who gets the money if the offer is taken.");
const CUSTOMER: Parameter = ("customer", TEXT, "The customer's name.");
const MERCHANT: Parameter = ("merchant", TEXT, "Who gets the money.");
const PRICE: Parameter = ("price", AMOUNT, "A decimal number such as \"1099.10\"; as a string it is exact everywhere.");
const SUM: Parameter = ("amount", AMOUNT, "A decimal number such as \"1099.10\"; as a string it is exact everywhere.");
const CURRENCY: Parameter = ("currency", TEXT, "An ISO 4217 code such as EUR.");

/// All of them, in the order in which they are listed.
pub(crate) fn all() -> Vec<Tool> {
    use Effect::{Adds, Overwrites, Reads};
    vec![
        tool("list_deals", "Lists the deals.", Reads, &[]),
        tool("create_deal", "Publishes a deal.", Adds, &[TITLE, PRICE, CURRENCY]),
        tool("vote_deal", "Votes for a deal.", Adds, &[DEAL]),
        tool("create_listing", "Offers something for sale.", Adds, &[TITLE, PRICE, CURRENCY]),
        tool("make_offer", "Makes a binding offer for a listing.", Adds, &[LISTING, SELLER, SUM, CURRENCY]),
        tool("request_contact_reveal", "Reveals how to reach the other side of a deal.", Adds, &[TRANSACTION]),
        tool("find_order", "Finds an order by its number.", Reads, &[NUMBER]),
        tool("analyze_invoice", "Compares an order with what was paid for it.", Reads, &[NUMBER]),
        tool("summarize_customer_activity", "Sums up a customer's orders.", Reads, &[CUSTOMER]),
        tool("create_order", "Creates an order for a customer.", Adds, &[CUSTOMER, SUM, CURRENCY]),
        tool("validate_order", "Marks an order as valid.", Overwrites, &[NUMBER]),
        tool("cancel_order", "Cancels an order, for good.", Overwrites, &[NUMBER]),
        tool("record_payment", "Records a payment to a merchant.", Adds, &[ORDER, MERCHANT, SUM, CURRENCY]),
    ]
}

fn tool(name: &'static str, description: &'static str, effect: Effect, parameters: &[Parameter]) -> Tool {
    let properties: JsonObject = parameters
        .iter()
        .map(|(name, types, text)| {
            let types = if let [one] = types { json!(one) } else { json!(types) };
            ((*name).to_owned(), json!({ "type": types, "description": text }))
        })
        .collect();
    let required: Vec<&str> = parameters.iter().map(|(name, ..)| *name).collect();
    let schema = JsonObject::from_iter([
        ("type".to_owned(), json!("object")),
        ("properties".to_owned(), Value::Object(properties)),
        ("required".to_owned(), json!(required)),
    ]);
    Tool::new(name, description, Arc::new(schema)).with_annotations(effect.annotations())
}
