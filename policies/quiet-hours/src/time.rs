//! Wall time, to the minute: the seconds do not matter, as windows begin and end with a minute.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// A time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimeOfDay {
    hour: u8,
    minute: u8,
}

impl TimeOfDay {
    fn new(hour: u8, minute: u8) -> Option<Self> {
        (hour < 24 && minute < 60).then_some(Self { hour, minute })
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text == "24:00" {
            return Err("`24:00` is the `00:00` of the next day; write that".to_owned());
        }
        let two = |digits: &str| {
            let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
            if plain { digits.parse::<u8>().ok() } else { None }
        };
        text.split_once(':')
            .and_then(|(hour, minute)| Self::new(two(hour)?, two(minute)?))
            .ok_or_else(|| format!("`{text}` is not a time of day; write `07:00` or `22:30`"))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    const WEEK: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    /// From 1 (Monday) to 7 (Sunday), as in ISO 8601.
    fn from_iso(weekday: u8) -> Option<Self> {
        Self::WEEK.get(usize::from(weekday).checked_sub(1)?).copied()
    }

    /// The day before.
    pub(crate) fn before(self) -> Self {
        self.step(6)
    }

    /// The day after.
    pub(crate) fn after(self) -> Self {
        self.step(1)
    }

    fn step(self, days: usize) -> Self {
        Self::WEEK.into_iter().cycle().skip_while(|day| *day != self).nth(days).unwrap_or(self)
    }
}

/// What a clock with the day on it shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) day: Day,
    pub(crate) time: TimeOfDay,
}

impl Moment {
    /// From a weekday as in ISO 8601, an hour and a minute; none when they are none.
    pub(crate) fn new(weekday: u8, hour: u8, minute: u8) -> Option<Self> {
        Some(Self { day: Day::from_iso(weekday)?, time: TimeOfDay::new(hour, minute)? })
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {:?}", self.time, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_has_two_digits_and_two() {
        for good in ["00:00", "07:00", "23:59"] {
            assert_eq!(TimeOfDay::parse(good).unwrap().to_string(), good);
        }
        for bad in ["", ":", "7:00", "07:0", "24:00", "23:60", "07:00:00", "0700", " 7:00", "+7:00", "٠٧:٠٠", "07h00"]
        {
            assert!(TimeOfDay::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn days_are_those_of_iso_8601() {
        for (weekday, name) in (1..).zip(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]) {
            let day = Day::from_iso(weekday).unwrap();
            assert_eq!(format!("{day:?}"), name);
            let before = if weekday == 1 { 7 } else { weekday - 1 };
            assert_eq!(Some(day.before()), Day::from_iso(before));
            assert_eq!(day.before().after(), day);
        }
        assert!(Day::from_iso(0).is_none() && Day::from_iso(8).is_none());
        assert!(Moment::new(1, 24, 0).is_none() && Moment::new(1, 0, 60).is_none());
    }
}
