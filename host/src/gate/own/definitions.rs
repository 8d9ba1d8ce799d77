//! How the gate's own tools look to a client (`Tool` of the MCP schema).

use super::Own;

/// Which, its name, its definition.
pub(super) const ALL: [(Own, &str, &str); 3] = [
    (Own::Approval, "gate__approval_status", APPROVAL),
    (Own::Spending, "gate__get_spend_status", SPENDING),
    (Own::History, "gate__get_transaction_history", HISTORY),
];

const APPROVAL: &str = r#"{
  "name": "gate__approval_status",
  "title": "How an approval stands",
  "description": "How an approval stands that one of your calls was told to wait for: pending, approved, rejected, expired or used. When it is approved, repeat exactly the same call; it is then executed once.",
  "inputSchema": {
    "type": "object",
    "properties": {
      "approval": {"type": "string", "description": "The approval's id, such as `appr_…`.", "minLength": 1, "maxLength": 64}
    },
    "required": ["approval"],
    "additionalProperties": false
  },
  "outputSchema": {
    "type": "object",
    "properties": {
      "id": {"type": "string"},
      "action": {"type": "string"},
      "agent": {"type": "string"},
      "status": {"type": "string", "enum": ["pending", "approved", "rejected", "expired", "used"]},
      "summary": {"type": "string"},
      "reason": {"type": ["string", "null"]},
      "created_at": {"type": "string"},
      "expires_at": {"type": "string"}
    },
    "required": ["id", "status", "expires_at"]
  },
  "annotations": {"readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false}
}"#;

const HISTORY: &str = r#"{
  "name": "gate__get_transaction_history",
  "title": "Your own calls",
  "description": "What became of your own tool calls at this gate, newest first: executed, refused and why, unknown. Use it to find out whether a call was made before you repeat it. When `next_cursor` is not null there can be more: call again with it as `cursor`, also when `events` is empty.",
  "inputSchema": {
    "type": "object",
    "properties": {
      "tool": {"type": "string", "description": "Only calls of the tool with this name.", "minLength": 1, "maxLength": 200},
      "code": {"type": "string", "description": "Only calls that were refused with this code, such as `denied`.", "minLength": 1, "maxLength": 64},
      "status": {"type": "string", "enum": ["STARTED", "COMPLETED", "FAILED", "UNKNOWN", "REPLAYED", "ACCESS_DENIED", "PENDING_CONFIRMATION", "CONFIRMED", "REJECTED", "EXPIRED"]},
      "since": {"type": "string", "description": "RFC 3339, or a span such as `24h`, which is so long ago.", "minLength": 1, "maxLength": 64},
      "until": {"type": "string", "description": "Before this time; written as `since` is.", "minLength": 1, "maxLength": 64},
      "cursor": {"type": "string", "description": "The `next_cursor` of the answer before.", "minLength": 1, "maxLength": 64},
      "limit": {"type": "integer", "minimum": 1, "maximum": 100, "description": "Events in the answer; 20 when it is left out."}
    },
    "additionalProperties": false
  },
  "outputSchema": {
    "type": "object",
    "properties": {
      "events": {"type": "array", "items": {"type": "object"}},
      "next_cursor": {"type": ["string", "null"]}
    },
    "required": ["events", "next_cursor"]
  },
  "annotations": {"readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false}
}"#;

const SPENDING: &str = r#"{
  "name": "gate__get_spend_status",
  "title": "Your own spending",
  "description": "What stands on your own account at this gate in the last so long: spent, and held for calls that have not ended or whose outcome is not known. Amounts are exact decimal numbers as text.",
  "inputSchema": {
    "type": "object",
    "properties": {
      "window": {"type": "string", "description": "How far back: a whole number and `ms`, `s`, `m`, `h` or `d`; the windows that are limited when it is left out.", "minLength": 1, "maxLength": 32}
    },
    "additionalProperties": false
  },
  "outputSchema": {
    "type": "object",
    "properties": {
      "spend": {
        "type": "array",
        "items": {
          "type": "object",
          "properties": {
            "account": {"type": "string"},
            "currency": {"type": "string"},
            "window": {"type": "string"},
            "limit": {"type": ["string", "null"]},
            "spent": {"type": "string"},
            "held": {"type": "string"}
          },
          "required": ["account", "currency", "window", "spent", "held"]
        }
      }
    },
    "required": ["spend"]
  },
  "annotations": {"readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false}
}"#;
