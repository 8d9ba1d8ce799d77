//! The settings: windows.

use portcullis_guest::{Glob, Problem};
use serde::Deserialize;

use crate::time::{Day, Moment, TimeOfDay};
use crate::zone::Zone;

/// Windows of one policy: the gate answers at most so many questions about local time for one call.
const WINDOWS_MAX: usize = 64;

/// The settings of `quiet-hours`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    windows: Vec<Window>,
}

/// One window.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Window {
    pub(crate) from: TimeOfDay,
    /// The first minute that is not quiet any more; where it is not after `from`, on the next day.
    pub(crate) to: TimeOfDay,
    pub(crate) zone: Zone,
    /// All where there are none.
    tools: Option<Vec<Glob>>,
    /// The days on which it starts; all where there are none.
    days: Option<Vec<Day>>,
    #[serde(default)]
    pub(crate) action: Action,
}

/// What happens in a window.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// The call is refused.
    #[default]
    Deny,
    /// A person is asked.
    Ask,
}

impl Settings {
    pub(crate) fn check(self) -> Result<Vec<Window>, Vec<Problem>> {
        let mut problems = Vec::new();
        if self.windows.is_empty() {
            problems.push(Problem::new("/windows", "no hour is quiet; add a window, or leave the policy out"));
        }
        if self.windows.len() > WINDOWS_MAX {
            let count = self.windows.len();
            problems.push(Problem::new("/windows", format!("there are {count} windows; use at most {WINDOWS_MAX}")));
        }
        for (index, window) in self.windows.iter().enumerate() {
            let mut problem = |rest: &str, message: &str| {
                problems.push(Problem::new(format!("/windows/{index}{rest}"), message));
            };
            if window.tools.as_ref().is_some_and(Vec::is_empty) {
                problem("/tools", "the window matches no tool; name one, or leave `tools` out for all");
            }
            if window.days.as_ref().is_some_and(Vec::is_empty) {
                problem("/days", "the window starts on no day; name one, or leave `days` out for every day");
            }
        }
        if problems.is_empty() { Ok(self.windows) } else { Err(problems) }
    }
}

impl Window {
    pub(crate) fn is_about(&self, tool: &str) -> bool {
        self.tools.as_ref().is_none_or(|tools| Glob::any(tools, tool))
    }

    /// When the window ends, if it is open: it started today, or yesterday and goes on over midnight.
    pub(crate) fn end(&self, now: Moment) -> Option<Moment> {
        let starts = |day: Day| self.days.as_ref().is_none_or(|days| days.contains(&day));
        let over_midnight = self.to <= self.from;
        let day = if starts(now.day) && now.time >= self.from && (over_midnight || now.time < self.to) {
            if over_midnight { now.day.after() } else { now.day }
        } else if over_midnight && starts(now.day.before()) && now.time < self.to {
            now.day
        } else {
            return None;
        };
        Some(Moment { day, time: self.to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    const DAY: usize = 24 * 60;

    fn window(from: usize, to: usize, days: &[&str]) -> Window {
        let clock = |minute: usize| format!("{:02}:{:02}", minute / 60, minute % 60);
        let json = serde_json::json!({"from": clock(from), "to": clock(to), "zone": "UTC", "days": days});
        serde_json::from_value(json).unwrap()
    }

    /// Every minute of a week, against windows that are laid out on the week minute by minute.
    #[test]
    fn a_window_is_open_from_its_start_for_its_length_and_never_else() {
        let times = [0, 1, 419, 420, 720, 1320, 1439];
        let days: [&[&str]; 5] = [&DAYS, &["mon"], &["sun"], &["fri", "sat"], &["wed", "sun"]];
        for (from, to, days) in
            times.iter().flat_map(|from| times.iter().flat_map(move |to| days.map(|days| (*from, *to, days))))
        {
            let length = if from < to { to - from } else { DAY - from + to };
            let mut open = vec![false; 7 * DAY];
            for start in DAYS.iter().enumerate().filter(|(_, day)| days.contains(day)).map(|(i, _)| i * DAY + from) {
                (start..start + length).for_each(|minute| open[minute % (7 * DAY)] = true);
            }
            let window = window(from, to, days);
            for (minute, open) in open.iter().enumerate() {
                let part = |number: usize| u8::try_from(number).unwrap();
                let clock = minute % DAY;
                let now = Moment::new(part(minute / DAY + 1), part(clock / 60), part(clock % 60)).unwrap();
                assert_eq!(window.end(now).is_some(), *open, "{from} to {to} on {days:?}, at {minute}");
            }
        }
    }
}
