//! When tools are not used.

use jiff::SignedDuration;
use serde_json::json;

use super::super::super::Failure;
use super::super::said;
use super::{Expected, Story, Who};
use crate::clock::{Clock, Timestamp};

/// Two zones without daylight saving, so that hours added to a clock are hours.
const NEAR: &str = "Asia/Tokyo";
const FAR: &str = "America/Phoenix";

impl Story<'_> {
    pub(super) async fn quiet_hours(&mut self) -> Result<(), Failure> {
        self.teller.chapter(
            "Some hours are quiet",
            "The gate goes by the clock of the zone that a window names, wherever it runs itself.",
        )?;
        let now = Clock::system().now();
        let (open, later) = (window(now, NEAR, -90, 90)?, window(now, FAR, 360, 540)?);
        let policy = format!(
            "\n[[policy]]\nname   = \"quiet-hours\"\nmodule = \"bundled:quiet-hours\"\n{}{}",
            setting(&open, NEAR, "market__create_listing"),
            setting(&later, FAR, "market__vote_deal"),
        );
        self.add_policy("adds `quiet-hours` to policies.toml", &policy).await?;
        let hours = format!(
            "no listings from {} to {} in {NEAR}, no votes from {} to {} in {FAR}",
            open.0, open.1, later.0, later.1
        );
        self.teller.sentence(&hours)?;
        let listing = json!({ "title": "Bicycle", "price": "80", "currency": "EUR" });
        self.call(Who::Trader, "market__create_listing", &listing, None, Expected::Told("denied")).await?;
        self.call(Who::Trader, "market__vote_deal", &json!({ "deal_id": "deal-1" }), None, Expected::Done).await?;
        Ok(())
    }
}

fn setting((from, to): &(String, String), zone: &str, tool: &str) -> String {
    format!(
        "\n[[policy.settings.windows]]\nfrom  = \"{from}\"\nto    = \"{to}\"\nzone  = \"{zone}\"\ntools = [\"{tool}\"]\n"
    )
}

/// A window of the clock in a zone, in minutes from now.
fn window(now: Timestamp, zone: &str, from: i64, to: i64) -> Result<(String, String), Failure> {
    let now = i64::try_from(now.0).map_err(said)?;
    let now = jiff::Timestamp::from_millisecond(now).map_err(said)?.in_tz(zone).map_err(said)?;
    let at = |minutes: i64| {
        let at = now.checked_add(SignedDuration::from_mins(minutes)).map_err(said)?;
        Ok::<_, Failure>(at.strftime("%H:%M").to_string())
    };
    Ok((at(from)?, at(to)?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_window_holds_now_at_any_time_of_any_day() {
        let minute = |text: &str| -> u32 {
            let (hour, minute) = text.split_once(':').unwrap();
            hour.parse::<u32>().unwrap() * 60 + minute.parse::<u32>().unwrap()
        };
        let holds = |(from, to): (String, String), now: u32| {
            let (from, to) = (minute(&from), minute(&to));
            if from < to { from <= now && now < to } else { from <= now || now < to }
        };
        // The night of a change of clocks in Europe, and the minutes around it.
        let start = Timestamp(1_792_886_400_000);
        for minutes in 0..3 * 24 * 60 {
            let now = start.plus(Duration::from_secs(minutes * 60 + 59));
            for zone in [NEAR, FAR] {
                let shown = minute(&window(now, zone, 0, 0).unwrap().0);
                assert!(holds(window(now, zone, -90, 90).unwrap(), shown), "{now} {zone}");
                assert!(!holds(window(now, zone, 360, 540).unwrap(), shown), "{now} {zone}");
            }
        }
    }
}
