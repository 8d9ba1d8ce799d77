//! What unit tests use to make one is not there for anybody else.

use std::sync::Arc;

use portcullis::call::Call;
use portcullis::permit::Permit;

pub fn forge(call: Arc<Call>) -> Permit {
    Permit::for_test(call) //~ E0599
}
