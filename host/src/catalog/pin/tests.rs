use std::sync::Arc;

use serde_json::Value as Json;

use super::note::Noted;
use super::*;
use crate::audit;
use crate::call::CorrelationId;
use crate::catalog::{Listing, definition};
use crate::config::{Program, Reach, ServerConfig, Share, Variables};
use crate::json;
use crate::limits;
use crate::store::{Options, Store};
use crate::upstream::Offered;

const SERVER: &str = "market";

/// A store on disk, and what a server lists.
struct World {
    _folder: tempfile::TempDir,
    store: Store,
    time: u64,
}

fn noted(name: &str, definition: &str) -> Noted {
    let config = ServerConfig {
        name: SERVER.into(),
        reach: Reach::Child(Program {
            command: vec!["market".into()],
            directory: "/".into(),
            env: Vec::new(),
            variables: Variables::default(),
        }),
        share: Share::All,
        prefix: true,
        timeout: limits::UPSTREAM_CALL,
    };
    let definition = json::parse(definition.as_bytes(), limits::ANSWER).unwrap();
    let input_schema = json::parse(b"{}", limits::ANSWER).unwrap();
    let annotations = crate::catalog::Annotations::default();
    let offered = Offered { name: name.into(), definition, annotations, input_schema, output_schema: None };
    definition::tool(&config, offered, &[]).unwrap()
}

fn described(tools: &[(&str, &str)]) -> Vec<Noted> {
    let definition = |name, text| format!(r#"{{"name":"{name}","description":"{text}"}}"#);
    tools.iter().map(|(name, text)| noted(name, &definition(name, text))).collect()
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        Self { _folder: folder, store, time: 0 }
    }

    /// The server lists these: what can be used of them, and what is withheld.
    fn list(&mut self, tools: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        self.take(described(tools))
    }

    fn take(&mut self, listing: Vec<Noted>) -> (Vec<String>, Vec<String>) {
        self.time += 1;
        let tools: Vec<Arc<Tool>> = listing.iter().map(|noted| Arc::clone(&noted.tool)).collect();
        if is_news(&self.store, SERVER, &listing).unwrap() {
            let (at, id) = (Timestamp(self.time), CorrelationId::random().unwrap());
            self.store.commit_blocking(move |tx| note(tx, at, id, SERVER, &listing)).unwrap();
        }
        let names =
            |tools: BTreeMap<_, Arc<Tool>>| tools.into_values().map(|tool| tool.upstream_name.clone()).collect();
        let listing = Listing::divided(&self.store, SERVER, tools.iter()).unwrap();
        (names(listing.tools), names(listing.withheld))
    }

    fn pin(&self, tool: &str) -> Pin {
        of_server(&self.store, SERVER).unwrap().remove(tool).unwrap()
    }

    fn accept(&mut self, tool: &str, digest: Option<&str>) -> Result<Accepted, PinError> {
        self.time += 1;
        let wanted =
            Accept { server: SERVER.into(), name: format!("market__{tool}"), digest: digest.map(str::to_owned) };
        let at = Timestamp(self.time);
        self.store.commit_blocking(move |tx| accept(tx, at, &wanted))
    }

    /// What the log says of tools: action and number of them.
    fn told(&self) -> Vec<(String, usize)> {
        let count = |entry: &audit::Entry| entry.fact("tools").and_then(Json::as_array).map_or(0, Vec::len);
        audit::tail(&self.store, 100).unwrap().iter().map(|e| (e.action().to_owned(), count(e))).collect()
    }
}

fn some(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn told(entries: &[(&str, usize)]) -> Vec<(String, usize)> {
    entries.iter().map(|(action, count)| ((*action).to_owned(), *count)).collect()
}

#[test]
fn a_changed_tool_is_withheld_until_it_is_as_it_was_or_accepted() {
    let mut world = World::new();
    assert_eq!(world.list(&[("a", "1"), ("b", "1")]), (some(&["a", "b"]), vec![]));
    assert_eq!(world.list(&[("b", "1"), ("a", "1")]), (some(&["a", "b"]), vec![]));
    assert_eq!(world.list(&[("a", "2"), ("b", "1")]), (some(&["b"]), some(&["a"])));
    assert_eq!(world.list(&[("a", "2"), ("b", "1")]), (some(&["b"]), some(&["a"])), "and is told once");
    assert_eq!(world.list(&[("a", "1"), ("b", "1")]), (some(&["a", "b"]), vec![]));
    world.list(&[("a", "3"), ("b", "1")]);
    let expected = [("tool.pin", 2), ("tool.withheld", 1), ("tool.restored", 1), ("tool.withheld", 1)];
    assert_eq!(world.told(), told(&expected));

    let pin = world.pin("a");
    let text = |text: Option<String>| text.unwrap();
    assert!(text(accepted_text(&world.store, &pin).unwrap()).contains(r#""description":"1""#));
    assert!(text(withheld_text(&world.store, &pin).unwrap()).contains(r#""description":"3""#));
    let shown = pin.offered().unwrap().to_owned();
    world.list(&[("a", "4"), ("b", "1")]);
    assert!(matches!(world.accept("a", Some(&shown)), Err(PinError::Changed(_))), "it is not what was shown");
    assert!(matches!(world.accept("a", None), Err(PinError::Changed(_))));
    assert_eq!(world.list(&[("a", "3"), ("b", "1")]).1, some(&["a"]));
    let accepted = world.accept("a", Some(&shown)).unwrap();
    assert_eq!(accepted.digest.as_deref(), Some(shown.as_str()));
    assert!(matches!(world.accept("a", Some(&shown)), Err(PinError::Nothing(_))));
    assert!(matches!(world.accept("c", Some(&shown)), Err(PinError::Unknown(_))));
    assert_eq!(world.list(&[("a", "3"), ("b", "1")]), (some(&["a", "b"]), vec![]));
    assert_eq!(world.list(&[("a", "1"), ("b", "1")]).1, some(&["a"]), "what was accepted before is not any more");
    assert!(text(accepted_text(&world.store, &world.pin("a")).unwrap()).contains(r#""description":"3""#));
}

#[test]
fn a_new_tool_beside_a_missing_one_is_withheld() {
    let mut world = World::new();
    world.list(&[("a", "1"), ("b", "1")]);
    assert_eq!(world.list(&[("b", "1")]), (some(&["b"]), vec![]));
    // Not only in the listing in which it went.
    assert_eq!(world.list(&[("b", "1"), ("c", "1")]), (some(&["b"]), some(&["c"])));
    assert!(world.pin("c").accepted.is_none());
    assert_eq!(world.list(&[("a", "1"), ("b", "1"), ("c", "1")]), (some(&["a", "b"]), some(&["c"])), "and stays so");
    let shown = world.pin("c").offered().unwrap().to_owned();
    world.accept("c", Some(&shown)).unwrap();
    let all = [("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")];
    assert_eq!(world.list(&all), (some(&["a", "b", "c", "d"]), vec![]), "an addition is none");

    // That a tool is gone can be accepted, and its definition is remembered.
    assert_eq!(world.list(&[("b", "1"), ("c", "1"), ("d", "1"), ("e", "1")]).1, some(&["e"]));
    world.accept("a", None).unwrap();
    assert_eq!(world.list(&[("b", "1"), ("c", "1"), ("d", "1"), ("f", "1")]).1, vec![] as Vec<String>);
    assert!(!of_server(&world.store, SERVER).unwrap().contains_key("e"), "it was never accepted, and is forgotten");
    assert_eq!(world.list(&[("a", "2"), ("b", "1"), ("c", "1"), ("d", "1"), ("f", "1")]).1, some(&["a"]));
}

#[test]
fn everything_in_a_definition_counts_but_order_and_white_space() {
    let first = r#"{"name":"a","title":"t","description":"d","icons":[{"src":"x"}],"annotations":{"readOnlyHint":true},
        "inputSchema":{"type":"object"},"outputSchema":{"type":"object"},"_meta":{"k":1}}"#;
    let mut world = World::new();
    world.take(vec![noted("a", first)]);
    let same = r#"{"_meta":{"k":1.0}, "outputSchema":{"type":"object"},"inputSchema":{"type":"object"},"name":"a",
        "annotations":{"readOnlyHint":true},"icons":[{"src":"x"}],"description":"d","title":"t"}"#;
    assert_eq!(world.take(vec![noted("a", same)]).0, some(&["a"]));
    for (old, new) in [
        (r#""title":"t""#, r#""title":"T""#),
        (r#""d""#, r#""d ""#),
        (r#""x""#, r#""y""#),
        ("true", "false"),
        (r#""inputSchema":{"type":"object"}"#, r#""inputSchema":{}"#),
        (r#""outputSchema":{"type":"object"}"#, r#""outputSchema":{}"#),
        (r#"{"k":1}"#, r#"{"k":2}"#),
        (r#","_meta":{"k":1}"#, ""),
    ] {
        let changed = first.replace(old, new);
        assert_ne!(changed, first);
        assert_eq!(world.take(vec![noted("a", &changed)]).1, some(&["a"]), "{changed}");
    }
}

#[test]
fn a_definition_that_is_too_long_is_pinned_by_its_digest_alone() {
    let mut world = World::new();
    let long = |c: &str| c.repeat(TEXT_BYTES_MAX);
    world.list(&[("a", &long("x")), ("b", "1")]);
    assert_eq!(accepted_text(&world.store, &world.pin("a")).unwrap(), None);
    assert_eq!(world.list(&[("a", "short"), ("b", "1")]).1, some(&["a"]));
    assert_eq!(world.list(&[("a", &long("y")), ("b", "1")]).1, some(&["a"]));
    // What was kept of the one before is not shown for it.
    assert_eq!(withheld_text(&world.store, &world.pin("a")).unwrap(), None);
    let shown = world.pin("a").offered().unwrap().to_owned();
    world.accept("a", Some(&shown)).unwrap();
    assert_eq!(world.list(&[("a", &long("y")), ("b", "1")]).0, some(&["a", "b"]));
}

#[test]
fn another_server_is_another_server() {
    let mut world = World::new();
    world.list(&[("a", "1")]);
    let listing = described(&[("b", "1")]);
    assert!(is_news(&world.store, "bazaar", &listing).unwrap());
    let id = CorrelationId::random().unwrap();
    world.store.commit_blocking(move |tx| note(tx, Timestamp(9), id, "bazaar", &listing)).unwrap();
    assert_eq!(of_server(&world.store, "bazaar").unwrap()["b"].standing, Standing::Accepted);
    assert_eq!(all(&world.store).unwrap().len(), 2);
}
