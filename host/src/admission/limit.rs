//! A limit: what it counts, for whom, and how much.

use globset::{GlobBuilder, GlobMatcher};
use serde::Deserialize;

use super::rate::{BadRate, Rate};

/// What an agent in quarantine may do at most where no limit on every request says so.
const QUARANTINED: Rate = Rate::per_minute(60);

/// A way into the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// Redeeming a claim link.
    Claim,
    /// MCP, over HTTP or stdio.
    Mcp,
    /// Plain HTTP.
    Rest,
}

/// Who has a bucket of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// Each principal.
    #[default]
    Agent,
    /// Each address: one of IPv4, a /64 of IPv6, which is what one customer gets.
    Address,
}

/// A pattern for tools' names: `*` stands for any characters, and everything else of `globset`'s syntax means the same.
#[derive(Clone, Debug)]
pub struct ToolGlob(GlobMatcher);

impl ToolGlob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When it is none, such as `[`.
    pub fn parse(pattern: &str) -> Result<Self, globset::Error> {
        Ok(Self(GlobBuilder::new(pattern).literal_separator(false).backslash_escape(true).build()?.compile_matcher()))
    }

    /// Whether the name fits.
    #[must_use]
    pub fn fits(&self, tool: &str) -> bool {
        self.0.is_match(tool)
    }
}

/// A limit that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// A pattern is none.
    #[error("the limit `{limit}` has `{pattern}` among its tools, which is not a pattern")]
    Pattern {
        /// The limit's name.
        limit: String,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: globset::Error,
    },
    /// A rate is none.
    #[error("the limit `{limit}` has a bad rate")]
    Rate {
        /// The limit's name.
        limit: String,
        /// What is wrong with it.
        #[source]
        source: BadRate,
    },
    /// It would never count anything.
    #[error(
        "the limit `{limit}` would count nothing: a claim is made by nobody yet and calls no tool; \
         use `per = \"address\"` without `tools`"
    )]
    Claim {
        /// The limit's name.
        limit: String,
    },
    /// An address is not quarantined.
    #[error("the limit `{limit}` has a rate for quarantined agents, but counts by address; use `per = \"agent\"`")]
    Quarantined {
        /// The limit's name.
        limit: String,
    },
}

/// A token bucket for each agent or address.
#[derive(Clone, Debug)]
pub struct Limit {
    /// Its name, which whoever is refused is told.
    pub name: String,
    /// Which tools it counts calls of; empty: every request.
    pub tools: Vec<ToolGlob>,
    /// Which way in it counts; none: all.
    pub route: Option<Route>,
    /// How much, and as much at once.
    pub rate: Rate,
    /// For whom.
    pub per: Per,
    /// How much for an agent in quarantine; none: as for the others, or 60/min at most where it counts every request.
    pub quarantined: Option<Rate>,
}

impl Limit {
    /// A limit from what the configuration says.
    ///
    /// # Errors
    /// When a pattern or a rate is none, or the limit could never count anything.
    pub fn parse(
        name: &str,
        tools: &[String],
        route: Option<Route>,
        rate: &str,
        per: Per,
        quarantined: Option<&str>,
    ) -> Result<Self, LimitError> {
        let limit = || name.to_owned();
        let read = |rate: &str| rate.parse().map_err(|source| LimitError::Rate { limit: limit(), source });
        if route == Some(Route::Claim) && (per == Per::Agent || !tools.is_empty()) {
            return Err(LimitError::Claim { limit: limit() });
        }
        if per == Per::Address && quarantined.is_some() {
            return Err(LimitError::Quarantined { limit: limit() });
        }
        let tools = tools.iter().map(|pattern| {
            let bad = |source| LimitError::Pattern { limit: limit(), pattern: pattern.clone(), source };
            ToolGlob::parse(pattern).map_err(bad)
        });
        Ok(Self {
            name: limit(),
            tools: tools.collect::<Result<_, _>>()?,
            route,
            rate: read(rate)?,
            per,
            quarantined: quarantined.map(read).transpose()?,
        })
    }

    /// What holds where the configuration has no limit on every request: 6000/min for each agent (60/min in quarantine)
    /// and 12000/min for each address.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        let limit = |name: &str, per, rate, quarantined| Self {
            name: name.to_owned(),
            tools: Vec::new(),
            route: None,
            rate: Rate::per_minute(rate),
            per,
            quarantined,
        };
        vec![
            limit("default.agent", Per::Agent, 6_000, Some(QUARANTINED)),
            limit("default.address", Per::Address, 12_000, None),
        ]
    }

    /// These limits, and each default that none of them takes the place of: a limit on some tools or one way in leaves the
    /// rest of an agent's requests uncounted. An agent in quarantine is held to a rate of its own in any case.
    pub(super) fn with_defaults(mut limits: Vec<Self>) -> Vec<Self> {
        for limit in limits.iter_mut().filter(|limit| limit.per == Per::Agent && limit.on_every_request()) {
            limit.quarantined.get_or_insert(limit.rate.slower(QUARANTINED));
        }
        let mut missing = Self::defaults();
        missing.retain(|default| !limits.iter().any(|limit| limit.per == default.per && limit.on_every_request()));
        limits.append(&mut missing);
        limits
    }

    fn on_every_request(&self) -> bool {
        self.tools.is_empty() && self.route.is_none()
    }

    pub(super) fn on_route(&self, route: Route) -> bool {
        self.route.is_none_or(|only| only == route)
    }

    pub(super) fn on_tool(&self, tool: Option<&str>) -> bool {
        self.tools.is_empty() || tool.is_some_and(|tool| self.tools.iter().any(|glob| glob.fits(tool)))
    }
}
