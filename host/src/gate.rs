//! The pipeline.

use std::net::IpAddr;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::call::{CorrelationId, Request, ToolAnswer};
use crate::catalog::Tool;
use crate::identity::Principal;
use crate::refusal::{Code, Refusal};

/// The gate.
pub struct Gate {}

/// A credential as it came: the text after `Bearer `.
pub type Credential = Option<Zeroizing<String>>;

/// A call that was executed, now or before.
#[derive(Debug)]
pub struct Answered {
    /// The id of this call; of the first one in a replay's audit entry.
    pub correlation_id: CorrelationId,
    /// The policy set that decided.
    pub generation: u64,
    /// What the tool said.
    pub answer: ToolAnswer,
    /// The tool was not called again.
    pub replayed: bool,
}

/// A call that was refused.
#[derive(Debug)]
pub struct Refused {
    /// The id of this call.
    pub correlation_id: CorrelationId,
    /// Why.
    pub refusal: Refusal,
}

/// Whether the gate can do its work (`/readyz`).
#[derive(Clone, Debug, serde::Serialize)]
pub struct Readiness {
    /// Calls can be decided and made durable.
    pub ready: bool,
    /// Something is wrong, but calls are decided.
    pub degraded: bool,
    /// What is wrong: sentences.
    pub reasons: Vec<String>,
}

impl Gate {
    /// Who asks. Takes a token from the address's bucket; once for each HTTP request.
    ///
    /// # Errors
    /// A refusal: `unauthenticated`, `rate_limited`.
    pub async fn authenticate(
        self: &Arc<Self>,
        _credential: Credential,
        _address: Option<IpAddr>,
    ) -> Result<Arc<Principal>, Box<Refused>> {
        Err(self.refuse(Code::Unauthenticated))
    }

    /// One call, to its end: it goes on when the caller leaves.
    ///
    /// # Errors
    /// A refusal, whatever layer it comes from.
    pub async fn call(
        self: &Arc<Self>,
        _principal: Arc<Principal>,
        _request: Request,
    ) -> Result<Answered, Box<Refused>> {
        Err(self.refuse(Code::NoPolicy))
    }

    /// The tools that this principal sees, by name.
    ///
    /// # Errors
    /// A refusal: `rate_limited`, `no_policy`.
    pub async fn tools(self: &Arc<Self>, _principal: &Arc<Principal>) -> Result<Vec<Arc<Tool>>, Box<Refused>> {
        Err(self.refuse(Code::NoPolicy))
    }

    /// Whether the gate can do its work.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        Readiness { ready: false, degraded: false, reasons: vec![] }
    }

    fn refuse(&self, code: Code) -> Box<Refused> {
        let correlation_id = CorrelationId::random().unwrap_or_else(|_| std::process::abort());
        Box::new(Refused { correlation_id, refusal: Refusal::new(code, "not yet") })
    }
}
