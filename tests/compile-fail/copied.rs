//! A permit cannot be copied.

use portcullis::permit::Permit;

pub fn copy(permit: &Permit) -> Permit {
    let copy: Permit = Clone::clone(permit); //~ E0277
    copy
}
