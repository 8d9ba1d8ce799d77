//! A permit cannot be made where no layer agreed.

use std::sync::Arc;

use portcullis::call::Call;
use portcullis::permit::Permit;

pub fn forge(call: Arc<Call>) -> Permit {
    Permit { call } //~ E0451
}
