use super::*;

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn call(state: &mut State, tool: &str, arguments: &str) -> Value {
    state.call(tool, &raw(arguments)).unwrap()
}

#[test]
fn amounts_keep_their_digits_as_numbers_and_as_strings() {
    let mut state = State::default();
    let text = r#"{"title":"a", "price": 1099.10, "currency":"EUR"}"#;
    assert_eq!(call(&mut state, "create_deal", text)["price"], "1099.10");
    let text = r#"{"customer":"c","amount":9007199254740993,"currency":"EUR"}"#;
    assert_eq!(call(&mut state, "create_order", text)["amount"], "9007199254740993");
    let text = r#"{"customer":"c","amount":"1099.10","currency":"EUR"}"#;
    assert_eq!(call(&mut state, "create_order", text)["amount"], "1099.10");
    let kept = serde_json::to_string(&state).unwrap();
    assert!(kept.contains(r#"{"title":"a", "price": 1099.10, "currency":"EUR"}"#), "{kept}");
}

#[test]
fn every_listed_tool_runs_and_no_other() {
    let mut state = State::default();
    let tools = crate::tools::all();
    assert_eq!(tools.len(), 13);
    for tool in &tools {
        let schema = tool.schema_as_json_value();
        let arguments: serde_json::Map<_, _> = schema["required"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| (name.as_str().unwrap().into(), "1".into()))
            .collect();
        let text = Value::Object(arguments).to_string();
        state.call(&tool.name, &raw(&text)).unwrap_or_else(|failure| panic!("{}: {failure}", tool.name));
    }
    let names: Vec<_> = state.executed.iter().map(|executed| executed.tool.as_str()).collect();
    assert_eq!(names, tools.iter().map(|tool| tool.name.as_ref()).collect::<Vec<_>>());
    assert!(matches!(state.call("market__list_deals", &raw("{}")), Err(Failure::UnknownTool)));
    assert_eq!(state.executed.len(), 13, "what is no tool did not run");
}

#[test]
fn arguments_that_do_not_fit_do_not_run() {
    let mut state = State::default();
    for text in [r#"{"title":"a","price":"1"}"#, r#"{"title":"a","price":null,"currency":"EUR"}"#, "[]"] {
        assert!(matches!(state.call("create_deal", &raw(text)), Err(Failure::Arguments(_))), "{text}");
    }
    assert!(matches!(state.call("list_deals", &raw("[]")), Err(Failure::Arguments(_))));
    assert!(state.executed.is_empty() && state.deals.is_empty());
}

#[test]
fn a_tool_that_says_no_has_run() {
    let mut state = State::default();
    let number = call(&mut state, "create_order", r#"{"customer":"c","amount":"1","currency":"EUR"}"#);
    let arguments = format!(r#"{{"number":{}}}"#, number["number"]);
    assert_eq!(call(&mut state, "cancel_order", &arguments)["status"], "cancelled");
    assert!(matches!(state.call("validate_order", &raw(&arguments)), Err(Failure::Tool(_))));
    assert_eq!(call(&mut state, "find_order", &arguments)["order"]["status"], "cancelled");
    assert_eq!(state.executed.len(), 4);
}
