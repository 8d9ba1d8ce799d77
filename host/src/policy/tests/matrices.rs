//! What each role may do: the matrix of an enterprise's support, managers and administrators.

use super::*;

const TOOLS: [&str; 8] = [
    "erp__analyze_invoice",
    "erp__cancel_order",
    "erp__create_order",
    "erp__find_order",
    "erp__pay",
    "erp__record_payment",
    "erp__summarize_customer_activity",
    "erp__validate_order",
];

const RBAC: &str = r#"
[[policy]]
name = "rbac"
module = "bundled:rbac"
[policy.settings.roles.support]
allow = ["erp__find_order", "erp__analyze_invoice", "erp__summarize_customer_activity"]
[policy.settings.roles.manager]
inherits = ["support"]
confirm = ["erp__create_order", "erp__validate_order"]
[policy.settings.roles.admin]
inherits = ["manager"]
confirm = ["erp__cancel_order", "erp__record_payment"]
allow = ["erp__pay"]
"#;

fn shown(policies: &str, components: &[(&str, Vec<u8>)], roles: &[&str]) -> Vec<String> {
    let policies = open(policies, components);
    let set = policies.set().unwrap_or_else(|_| panic!("{:?}", policies.why()));
    let tools: Vec<_> = TOOLS.iter().map(|name| tool(name, &[])).collect();
    let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
    let matrix = matrix(&set, &tools, &roles, Timestamp(0)).unwrap();
    let row = |row: &Row| {
        let cells: Vec<&str> = row.cells.iter().map(|cell| cell.as_str()).collect();
        format!("{} {}", row.tool.trim_start_matches("erp__"), cells.join(" "))
    };
    std::iter::once(matrix.roles.join(" ")).chain(matrix.rows.iter().map(row)).collect()
}

#[test]
fn roles_and_what_they_may_do() {
    assert_eq!(
        shown(RBAC, &[], &["guest", "support"]),
        [
            "admin guest manager support",
            "analyze_invoice allow deny allow allow",
            "cancel_order ask deny deny deny",
            "create_order ask deny ask deny",
            "find_order allow deny allow allow",
            "pay allow deny deny deny",
            "record_payment ask deny deny deny",
            "summarize_customer_activity allow deny allow allow",
            "validate_order ask deny ask deny",
        ]
    );
}

#[test]
fn what_hangs_on_arguments_depends_and_what_fails_is_denied() {
    let caps = r#"
[[policy]]
name = "caps"
module = "bundled:spending-caps"
[[policy.settings.charges]]
tools = ["erp__pay"]
amount = "/amount"
currency = "/currency"
account = "agent"
[[policy.settings.limits]]
max = "500.00"
currency = "EUR"
per = "transaction"
"#;
    let broken = "[[policy]]\nname = 'x'\nmodule = 'loop.wasm'\ntools = ['erp__find_order']\n";
    let watched = "[[policy]]\nname = 'y'\nmodule = 'loop.wasm'\nmode = 'monitor'\n";
    let components = [("loop.wasm", guest("hostile/loop-evaluate.wat"))];
    let rows = shown(&format!("{RBAC}{caps}{broken}{watched}"), &components, &[]);
    assert_eq!(rows[4], "find_order deny deny deny");
    assert_eq!(rows[5], "pay depends deny deny", "nobody who may not at all is told that it depends");
    assert_eq!(rows[1], "analyze_invoice allow allow allow");
}
