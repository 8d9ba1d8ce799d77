//! Without a permit there is no call.

use std::sync::Arc;

use portcullis::call::Call;
use portcullis::upstream::Upstream;

pub async fn send(upstream: Upstream, call: Arc<Call>) {
    upstream.call(call).await; //~ E0308
}
