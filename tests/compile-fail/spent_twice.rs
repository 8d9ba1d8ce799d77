//! One permit, one call.

use portcullis::permit::Permit;
use portcullis::upstream::Upstream;

pub async fn send(upstream: Upstream, permit: Permit) {
    upstream.call(permit).await;
    upstream.call(permit).await; //~ E0382
}
