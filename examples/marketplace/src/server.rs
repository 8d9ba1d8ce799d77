//! The MCP side: lists the tools, calls them, turns outcomes into results.

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorCode, ErrorData, Implementation,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, SubscriptionFilter, Tool,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{RoleServer, ServerHandler};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::descriptions::Descriptions;
use crate::exact::{ExactArguments, Open};
use crate::file::{StateError, StateFile};
use crate::market::{Failure, State};
use crate::tools;

/// The server.
pub(crate) struct Marketplace {
    file: Option<Arc<StateFile>>,
    descriptions: Option<Descriptions>,
    open: Open,
}

impl Marketplace {
    pub(crate) fn new(file: Option<Arc<StateFile>>, descriptions: Option<Descriptions>, open: Open) -> Self {
        Self { file, descriptions, open }
    }
}

/// One call: what it answers, or why not.
fn call(file: Option<&StateFile>, tool: &str, arguments: &RawValue) -> Result<Result<Value, Failure>, StateError> {
    match file {
        Some(file) => file.update(|state| state.call(tool, arguments)),
        None => Ok(State::default().call(tool, arguments)),
    }
}

impl ServerHandler for Marketplace {
    fn get_info(&self) -> ServerConfig {
        let tools = ServerCapabilities::builder().enable_tools();
        let capabilities = match self.descriptions {
            Some(_) => tools.enable_tool_list_changed().build(),
            None => tools.build(),
        };
        let mut info = ServerConfig::new(capabilities);
        info.server_info = Implementation::new("marketplace", env!("CARGO_PKG_VERSION"));
        info
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut all = tools::all();
        if let Some(descriptions) = &self.descriptions {
            descriptions.describe(&mut all).map_err(internal)?;
        }
        Ok(ListToolsResult::with_all_items(all))
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        // What was not advertised is taken out of it again.
        self.descriptions.as_ref().map(|_| requested.clone())
    }

    async fn listen(&self, client: SubscriptionContext) -> Result<(), ErrorData> {
        let Some(descriptions) = &self.descriptions else { return Ok(()) };
        loop {
            tokio::select! {
                () = client.cancelled() => return Ok(()),
                () = self.open.ended() => return Ok(()),
                () = descriptions.changed() => client.sink().notify_tool_list_changed().await.map_err(internal)?,
            }
        }
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::all().into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = match context.extensions.get::<ExactArguments>() {
            Some(ExactArguments(text)) => text.clone(),
            None => RawValue::from_string("{}".to_owned()).map_err(internal)?.into(),
        };
        let (file, tool) = (self.file.clone(), request.name.clone());
        // Waits for the file's lock and for the disk: not on a thread that others need.
        let called = tokio::task::spawn_blocking(move || call(file.as_deref(), &tool, &arguments));
        let result = match called.await.map_err(internal)? {
            Ok(Ok(answer)) => CallToolResult::structured(answer),
            Ok(Err(Failure::Tool(sentence))) => CallToolResult::error(vec![ContentBlock::text(sentence)]),
            Ok(Err(Failure::UnknownTool)) => {
                return Err(ErrorData::invalid_params(format!("there is no tool `{}`", request.name), None));
            }
            Ok(Err(Failure::Arguments(error))) => {
                let text = format!("the arguments of `{}` do not fit: {error}", request.name);
                return Err(ErrorData::invalid_params(text, None));
            }
            Err(error) => return Err(internal(error)),
        };
        Ok(result.into())
    }
}

fn internal(error: impl std::fmt::Display) -> ErrorData {
    ErrorData::new(ErrorCode::INTERNAL_ERROR, format!("the marketplace could not do it: {error}"), None)
}
