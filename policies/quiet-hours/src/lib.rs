//! When tools are not used: windows of local wall time, by the day on which they start.
//!
//! The gate says what a clock on a wall in the zone shows at the time of the call, so daylight saving needs no care
//! here: a window goes by what the clock shows.

mod settings;
mod time;
mod zone;

use std::collections::BTreeMap;

use portcullis_guest::{Call, Context, Denial, Policy, Problem, Question, Verdict, ZonedTime, quoted};

pub use settings::Settings;
use settings::{Action, Window};
use time::Moment;

/// The policy.
pub struct QuietHours(Vec<Window>);

impl Policy for QuietHours {
    const NAME: &'static str = "quiet-hours";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Refuses calls, or asks a person about them, in windows of local time.";
    const SCHEMA: &'static str = include_str!("../settings.schema.json");
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, Vec<Problem>> {
        settings.check().map(Self)
    }

    fn evaluate(&self, call: &Call, context: &Context) -> Result<Verdict, Denial> {
        let mut zones = BTreeMap::new();
        let mut asking = Vec::new();
        for window in self.0.iter().filter(|window| window.is_about(&call.tool.name)) {
            let zone = window.zone.as_str();
            let now = match zones.get(zone) {
                Some(now) => *now,
                None => *zones.entry(zone).or_insert(now(zone, context)?),
            };
            let Some(end) = window.end(now) else { continue };
            let quiet = format!("from {} to {} in {zone}, where it is {now}", window.from, window.to);
            match window.action {
                Action::Deny => return Err(self.refusal(&quiet, end, window, &call.tool.name)),
                Action::Ask => asking.push(quiet),
            }
        }
        if asking.is_empty() {
            return Ok(Verdict::pass());
        }
        // Sentences of a known length: a question has room for some.
        let more = asking.len().saturating_sub(SHOWN_MAX);
        let mut hours = asking.into_iter().take(SHOWN_MAX).collect::<Vec<_>>().join("; ");
        if more > 0 {
            hours.push_str(&format!("; and {more} more windows"));
        }
        let (who, tool) = (quoted(&call.principal.name), quoted(&call.tool.name));
        Ok(Verdict::Ask(Question::new(format!("{who} wants to use {tool} in quiet hours: {hours}"))))
    }
}

impl QuietHours {
    fn refusal(&self, quiet: &str, end: Moment, window: &Window, tool: &str) -> Denial {
        let until = match self.quiet_until(end, window, tool) {
            Some(end) => format!("try again there from {end}"),
            None => "the windows leave no time for it, ask the gate's owner".to_owned(),
        };
        Denial::new(format!("{} is not used {quiet}; {until}", quoted(tool)))
    }

    /// When no window of the zone refuses the tool any more: where one ends, the next may begin. None when there is no
    /// such time in a week.
    fn quiet_until(&self, mut end: Moment, of: &Window, tool: &str) -> Option<Moment> {
        let refusing =
            |window: &&Window| matches!(window.action, Action::Deny) && window.zone == of.zone && window.is_about(tool);
        // Each window ends at most once a day: after more steps than that the week has come round.
        for _ in 0..=7 * self.0.len() {
            match self.0.iter().filter(refusing).find_map(|window| window.end(end)) {
                Some(later) => end = later,
                None => return Some(end),
            }
        }
        None
    }
}

/// Windows that one question tells of.
const SHOWN_MAX: usize = 8;

/// What the clock in a zone shows. A zone that the gate does not know refuses: the hours may be quiet there.
fn now(zone: &str, context: &Context) -> Result<Moment, Denial> {
    let ZonedTime { weekday, hour, minute, .. } = context.local_time(zone).map_err(|denial| {
        Denial::new(format!("the gate cannot tell whether the hours are quiet: {}", denial.reason))
    })?;
    Moment::new(weekday, hour, minute)
        .ok_or_else(|| Denial::new(format!("the gate's time in `{zone}` is none: day {weekday}, {hour}:{minute}")))
}

portcullis_guest::export!(QuietHours);
