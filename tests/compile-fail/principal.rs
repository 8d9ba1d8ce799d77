//! A principal comes from a credential that was checked.

use portcullis::identity::{Kind, Principal};

pub fn forge(principal: Principal) -> Principal {
    Principal { name: "root".into(), kind: Kind::Owner, ..principal } //~ E0451
}
