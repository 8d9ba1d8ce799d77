//! What wit-bindgen makes of `wit/policy.wit`: the contract's types, its imports, and the macro that exports a
//! component.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::allow_attributes_without_reason,
    clippy::all,
    reason = "generated code: it crosses the boundary between the guest's memory and the host"
)]

wit_bindgen::generate!({
    path: "wit",
    world: "policy",
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "portcullis_guest::bindings",
    additional_derives: [PartialEq, Eq],
});
