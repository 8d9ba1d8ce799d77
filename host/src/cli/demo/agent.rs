//! An agent of the demo: a real MCP client.

use rmcp::RoleClient;
use rmcp::model::{CallToolRequestParams, CallToolResponse, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, RunningService, serve_client_with_lifecycle};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::Value;

use super::super::Failure;
use super::said;
use super::stage::Key;

/// An agent that is connected.
pub(super) struct Agent {
    pub(super) name: &'static str,
    client: RunningService<RoleClient, ()>,
}

impl Agent {
    pub(super) async fn connect(key: &Key, url: &str) -> Result<Self, Failure> {
        let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(&key.key);
        let transport = StreamableHttpClientTransport::from_config(config);
        let lifecycle = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
        let client = serve_client_with_lifecycle((), transport, lifecycle).await.map_err(said)?;
        Ok(Self { name: key.name, client })
    }

    /// The names of the tools that it sees.
    pub(super) async fn tools(&self) -> Result<Vec<String>, Failure> {
        let tools = self.client.peer().list_all_tools().await.map_err(said)?;
        Ok(tools.into_iter().map(|tool| tool.name.into_owned()).collect())
    }

    /// Calls a tool and returns the result as JSON.
    pub(super) async fn call(&self, tool: &str, arguments: &Value, key: Option<&str>) -> Result<Value, Failure> {
        let mut params = serde_json::json!({ "name": tool, "arguments": arguments });
        if let (Some(key), Some(params)) = (key, params.as_object_mut()) {
            params.insert("_meta".into(), serde_json::json!({ "dev.portcullis/idempotency-key": key }));
        }
        let params: CallToolRequestParams = serde_json::from_value(params).map_err(said)?;
        match self.client.peer().call_tool_once(params).await.map_err(said)? {
            CallToolResponse::Complete(result) => serde_json::to_value(result).map_err(said),
            other => Err(said(format!("the gate answered with something else than a result: {other:?}"))),
        }
    }
}
