//! The cases that the component has to pass too.

use portcullis_guest::test;
use portcullis_policy_rbac::Rbac;

#[test]
fn the_policy_passes_its_vectors() {
    assert!(test::run::<Rbac>(include_str!("../vectors.json")) > 30);
}
