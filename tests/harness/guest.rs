//! Components that are written by hand in `tests/guests`.

use super::here;

fn read(file: &str) -> String {
    let path = here().join("guests").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The component around a guest's core module; exports that it does not have are the defaults.
pub(crate) fn component(file: &str) -> Vec<u8> {
    component_that_imports("", file)
}

/// The same with more imports, as text.
pub(crate) fn component_that_imports(more: &str, file: &str) -> Vec<u8> {
    let (fields, defaults) = (read(file), read("defaults.wat"));
    let mut core = read("data.wat") + &fields;
    for form in defaults.split("\n(").skip(1) {
        let name = form.split('"').nth(1).unwrap();
        if !fields.contains(&format!("(export \"{name}\")")) {
            core.push_str(&format!("\n({form}"));
        }
    }
    let (contract, exports) = (read("contract.wat"), read("exports.wat"));
    let text =
        format!("(component {more} {contract} (core module $m {core}) (core instance $i (instantiate $m)) {exports})");
    wat::parse_str(text).unwrap_or_else(|error| panic!("{file}: {error}"))
}
