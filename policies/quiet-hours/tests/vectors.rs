//! The cases that the component has to pass too.

use portcullis_guest::test;
use portcullis_policy_quiet_hours::QuietHours;

#[test]
fn the_policy_passes_its_vectors() {
    assert!(test::run::<QuietHours>(include_str!("../vectors.json")) > 60);
}
