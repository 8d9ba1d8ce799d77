//! A permit that was handed over can be spent, once.

use portcullis::permit::Permit;
use portcullis::upstream::Upstream;

pub async fn send(upstream: Upstream, permit: Permit) {
    let tool = permit.call().tool.name.clone();
    upstream.call(permit).await;
    drop(tool);
}
