//! The pipeline: one call, step by step, and nothing else.
//!
//! The order in which the layers are asked is written down here and nowhere else: admission, identity, admission,
//! catalog, idempotency, approval, policy, commit, upstream, commit. Each step either hands on evidence or ends the call with a
//! [`Refusal`]; the permit is made of all the evidence together. What cannot be decided is refused. Every call leaves its
//! trail in the audit log: with the two commits, or, when it was refused before them, at its conclusion.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use zeroize::Zeroizing;

use crate::admission::{Admission, Folder};
use crate::approval::Approvals;
use crate::call::{CorrelationId, Origin, Request, ToolAnswer};
use crate::catalog::{self, Catalog, Tool};
use crate::clock::Clock;
use crate::idempotency::{Idempotency, Seen};
use crate::identity::{self, Principal};
use crate::ledger::{Ceiling, Due};
use crate::permit::{self, Agreed, Layers, NotPermitted};
use crate::policy::{Answer, Policies};
use crate::refusal::{Code, Refusal};
use crate::store::Store;
use crate::task;
use crate::verdict::Obligations;

mod ask;
mod crowd;
mod end;
mod facts;
mod own;
mod refuse;
mod trail;

use ask::Held;
pub use crowd::Crowd;
use facts::StoreFacts;
use trail::Trail;

/// A credential as it came: the text after `Bearer `.
pub type Credential = Option<Zeroizing<String>>;

/// A call that was executed, now or before.
#[derive(Debug)]
pub struct Answered {
    /// The id of this call.
    pub correlation_id: CorrelationId,
    /// The generation of the policy set that was in force.
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
    /// The refusal is the kept answer of an earlier call.
    pub replayed: bool,
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

/// Where the doors are.
#[derive(Clone, Copy, Debug)]
pub struct Listening {
    /// The door for agents.
    pub agents: SocketAddr,
    /// The door for persons.
    pub owners: SocketAddr,
}

/// What the gate is made of.
pub struct Gate {
    /// The time.
    pub clock: Clock,
    /// The one writer.
    pub store: Store,
    /// How often.
    pub admission: Admission,
    /// Which tool.
    pub catalog: Catalog,
    /// Done already?
    pub idempotency: Idempotency,
    /// Has a person agreed?
    pub approvals: Approvals,
    /// May it?
    pub policies: Policies,
    /// What the host itself limits.
    pub ceilings: Vec<Ceiling>,
    /// How many calls at a time.
    pub crowd: Crowd,
    /// Refusals that anybody can provoke without end, folded.
    pub folder: Folder,
    /// Where its doors are, once they are open.
    pub listening: OnceLock<Listening>,
}

impl Gate {
    /// Who asks: the address's bucket, then the credential. Every request at every door begins here.
    ///
    /// # Errors
    /// `rate_limited`, `unauthenticated`, `store_unavailable`.
    pub async fn authenticate(
        &self,
        credential: Credential,
        address: Option<IpAddr>,
        origin: Origin,
    ) -> Result<Arc<Principal>, Box<Refused>> {
        let admitted = self.admission.address(address, origin.route());
        let found = admitted.map_err(Refusal::from).and_then(|()| {
            match identity::authenticate(&self.store, credential.as_deref().map_or("", String::as_str)) {
                Ok(Some(principal)) => Ok(Arc::new(principal)),
                Ok(None) => Err(refuse::unauthenticated(credential.is_some())),
                Err(error) => Err(refuse::store(&error)),
            }
        });
        match found {
            Ok(principal) => Ok(principal),
            Err(refusal) => Err(self.turn_away(address, refusal).await),
        }
    }

    /// The tools that this principal sees, by name, of one server when one is named, and the gate's own.
    ///
    /// # Errors
    /// `rate_limited`, `no_policy`, `overloaded`.
    pub async fn tools(
        &self,
        principal: &Arc<Principal>,
        origin: Origin,
        server: Option<&str>,
    ) -> Result<Vec<Arc<Tool>>, Box<Refused>> {
        let listed = async {
            let _admitted = self.admission.principal(principal, None, origin.route(), None)?;
            let set = self.policies.set()?;
            let mut tools = self.catalog.tools();
            tools.retain(|tool| tool.is_of(server));
            let seen = self.policies.visible(&set, principal, &tools).await?;
            let seen = tools.into_iter().zip(seen).filter_map(|(tool, seen)| seen.then_some(tool));
            Ok(seen.chain(own::tools()).collect())
        };
        match listed.await {
            Ok(tools) => Ok(tools),
            Err(refusal) => Err(self.refuse_question("tools/list", principal, origin, refusal).await),
        }
    }

    /// One call, to its end: it goes on when the caller leaves.
    ///
    /// # Errors
    /// A refusal, whatever layer it comes from.
    pub async fn call(self: &Arc<Self>, principal: Arc<Principal>, request: Request) -> Result<Answered, Box<Refused>> {
        let correlation_id = refuse::correlation_id()?;
        let gate = Arc::clone(self);
        let walked = task::spawn("call", async move {
            let mut trail = Trail::new(correlation_id, gate.clock.now(), &principal, &request);
            let walked = gate.walk(&mut trail, principal, request).await;
            // Refusals and replays are written down here.
            gate.conclude(trail, walked).await
        });
        walked.await.unwrap_or_else(|panic| {
            tracing::error!(%correlation_id, %panic, "a call ended in a panic");
            let refusal = refuse::unknown_outcome(None, "the gate failed while it handled the call");
            Err(Box::new(Refused { correlation_id, refusal, replayed: false }))
        })
    }

    async fn walk(&self, trail: &mut Trail, principal: Arc<Principal>, request: Request) -> Result<Ended, Refusal> {
        // How many at a time, and how often: a place in the crowd, and a token from each of the principal's buckets.
        let bytes = request.arguments.as_ref().map_or(0, |arguments| arguments.canonical().len());
        let _place = self.crowd.enter(&principal.id, bytes)?;
        let route = request.origin.route();
        let admitted = self.admission.principal(&principal, Some(&request.tool), route, request.address)?;

        // A gate without policies answers nothing else.
        let set = self.policies.set()?;
        trail.generation = set.generation();

        // The gate's own tools ask no server, and no policy.
        if let Some(own) = own::find(&request.tool) {
            return self.call_own(trail, own, principal, request).await;
        }

        // Which tool. One that is hidden from the principal does not exist.
        let found = self.catalog.find(&request.tool).filter(|found| found.tool().is_of(request.server.as_deref()));
        let found = found.ok_or_else(|| catalog::unknown_tool(&request.tool))?;
        let shown = self.policies.visible(&set, &principal, &[Arc::clone(found.tool())]).await?;
        if shown != [true] {
            return Err(catalog::unknown_tool(&request.tool));
        }
        // One whose definition is not the accepted one cannot be called.
        let resolved = found.usable()?;
        // Its schema is checked here: what comes out is a call whose arguments are the tool's.
        let call = resolved.tool.call(trail.id, trail.time, principal, request)?;
        let call = Arc::new(self.idempotency.with_key(call)?);
        trail.know(&call);

        // Has it been done.
        let fresh = match self.idempotency.look(&self.store, &call).map_err(|error| refuse::store(&error))? {
            Seen::Fresh(fresh) => fresh,
            seen => return end::seen(seen),
        };

        // Whether a person has agreed to it already; and whether it was done then.
        let held = match self.held(&call)? {
            Held::By(held) => held,
            Held::Done(seen) => return end::seen(seen),
        };

        // May it: every policy that applies, each in a fresh sandbox. What a policy asks that nobody has answered yet is
        // asked here.
        let facts = StoreFacts::new(self.store.clone(), Arc::clone(&call.principal), trail.time);
        let judged = self.policies.judge(&set, &call, held, Arc::new(facts)).await;
        trail.decisions = judged.decisions;
        let allowed = match judged.outcome? {
            Answer::Allowed(allowed) => allowed,
            Answer::Asked(asked) => return self.ask(trail, asked).await,
        };
        let call = Arc::clone(allowed.call());
        trail.agreed(allowed.approval());

        // The first commit: key, money, approval and STARTED in one durable group. Only this makes a permit.
        let agreed = Agreed { admitted, fresh, allowed };
        let started = |due: &[Due], obligations: &Obligations| trail.started(due, obligations);
        let layers = Layers {
            idempotency: &self.idempotency,
            approvals: &self.approvals,
            ceilings: &self.ceilings,
            store: &self.store,
        };
        let (permit, begun) = match permit::obtain(agreed, started, layers).await {
            Ok(permitted) => permitted,
            Err(NotPermitted::Ask(asked)) => return self.ask(trail, *asked).await,
            Err(NotPermitted::Approval(id)) => return Err(ask::gone(&id)),
            Err(NotPermitted::Seen(seen)) => return end::seen(seen),
            Err(NotPermitted::Due(error)) => return Err(refuse::due(&error)),
            Err(NotPermitted::Reserve(error)) => return Err(refuse::reserve(&error)),
        };

        // The real tool. The permit is spent.
        let outcome = resolved.upstream.call(permit).await;

        // The second commit: money, answer and COMPLETED, FAILED or UNKNOWN in one durable group.
        self.end(trail, &call, begun, outcome).await
    }

    /// Names in the configuration that no tool has, now that all servers have said which they have: a spending cap with a
    /// misspelt tool caps nothing.
    fn misspelt(&self) -> Vec<String> {
        let tools = self.catalog.tools();
        let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
        let mut found = Vec::new();
        if let Ok(set) = self.policies.set() {
            for policy in set.idle(&names) {
                let patterns = policy.tools.join("`, `");
                found.push(format!("policy `{}` is never asked: no tool is called `{patterns}`", policy.name));
            }
            found.extend(set.unheeded(&names));
        }
        for name in self.catalog.configured().filter(|name| !names.contains(name)) {
            found.push(format!("[[tool]] `{name}` has no effect: no tool is called so"));
        }
        found
    }

    /// Whether the gate can do its work: the store writes, there are policies, and every server was tried.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let mut reasons = Vec::new();
        if let Err(error) = self.store.health() {
            reasons.push(format!("the store does not work: {error}"));
        }
        if let Some(why) = self.policies.why() {
            reasons.push(why);
        }
        let servers = self.catalog.problems();
        if servers.is_none() {
            reasons.push("servers are still being started".into());
        }
        let ready = reasons.is_empty();
        let mut problems = servers.unwrap_or_default();
        // The last good set decides; that the directory holds another is no reason to be shut.
        problems.extend(self.policies.differs().filter(|_| self.policies.set().is_ok()));
        if ready && problems.is_empty() {
            problems = self.misspelt();
        }
        let degraded = !problems.is_empty();
        reasons.extend(problems);
        Readiness { ready, degraded, reasons }
    }
}

/// How a call ended that was not refused, and how an earlier one did that this one repeats.
#[derive(Debug)]
enum Ended {
    /// The tool answered.
    Answered(ToolAnswer),
    /// The tool answered before: the first call's id.
    Replayed(String, ToolAnswer),
    /// It got a permit and came to nothing, which is written down already.
    Refused(Refusal),
    /// The same, before: the first call's id.
    RefusedBefore(String, Refusal),
    /// It waits for a person, which is written down already.
    Asked(Refusal),
}

fn refusal(code: Code, message: impl Into<String>) -> Refusal {
    Refusal::new(code, message)
}
