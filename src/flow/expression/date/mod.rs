//! Points in time: parsing, arithmetic, and formatting by Java patterns.

mod format;
mod parse;
mod pattern;

use std::str::FromStr;

use chrono::offset::Offset;
use chrono::{DateTime, Days, Duration, FixedOffset, Months, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::{OffsetName, Tz};
use serde_json::Value;

use super::value::{kind, shorten};
use pattern::Pattern;

/// A time zone: a name of the tz database, or an offset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Zone {
    Named(Tz),
    Fixed(FixedOffset),
}

impl Zone {
    pub(super) const UTC: Self = Self::Named(Tz::UTC);

    /// `Europe/Paris`, `UTC`, `Z`, `+02:00`
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "Z" {
            return Some(Self::UTC);
        }
        let named = Tz::from_str(text).ok().map(Self::Named);
        named.or_else(|| FixedOffset::from_str(text).ok().map(Self::Fixed))
    }

    /// The moment of a local time. One that a clock change skips or repeats is taken at its earliest reading.
    fn moment(self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        // No zone changes by more than three hours: an hour that is skipped exists three hours earlier.
        let hours = Duration::hours(3);
        let found = match self {
            Self::Named(zone) => {
                let skipped = || {
                    let before = zone.from_local_datetime(&local.checked_sub_signed(hours)?).earliest()?;
                    before.checked_add_signed(hours)
                };
                zone.from_local_datetime(&local).earliest().or_else(skipped)?.to_utc()
            }
            Self::Fixed(offset) => offset.from_local_datetime(&local).earliest()?.to_utc(),
        };
        Some(found)
    }
}

/// A point in time and the zone it is seen from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) time: DateTime<Utc>,
    zone: Zone,
}

impl Moment {
    pub(super) fn new(time: DateTime<Utc>, zone: Zone) -> Self {
        Self { time, zone }
    }

    /// The time that a value means: seconds since 1970, or a text, by `format` if there is one. A text without a zone
    /// is read in `zone`.
    pub(super) fn read(value: &Value, format: Option<&str>, zone: Zone) -> Result<Self, String> {
        match value {
            Value::String(text) => {
                let found = match format {
                    Some(format) => parse::by_pattern(text.trim(), &Pattern::find(format)?, zone),
                    None => parse::iso(text.trim(), zone),
                };
                found.ok_or_else(|| match format {
                    Some(format) => format!("`{}` is not a date in the format `{format}`", shorten(text)),
                    None => format!("`{}` is not a date such as 2024-01-31 or 2024-01-31T10:00:00Z; give the format of other dates in `existingFormat`", shorten(text)),
                })
            }
            Value::Number(number) => {
                let time = number.as_i64().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
                time.map(|time| Self::new(time, zone))
                    .ok_or_else(|| format!("`{number}` is not a number of seconds since 1970"))
            }
            other => Err(format!("{} is not a date", kind(other))),
        }
    }

    /// The same point in time seen from another zone.
    pub(super) fn in_zone(self, zone: Zone) -> Self {
        Self { zone, ..self }
    }

    /// The time by a Java pattern or the name of a format.
    pub(super) fn format(&self, format: &str) -> Result<String, String> {
        let moment = if format == "iso_instant" { self.in_zone(Zone::UTC) } else { *self };
        Ok(format::by_pattern(&moment, &Pattern::find(format)?))
    }

    fn local(&self) -> NaiveDateTime {
        self.time.naive_utc().checked_add_offset(self.offset()).unwrap_or_else(|| self.time.naive_utc())
    }

    fn offset(&self) -> FixedOffset {
        match self.zone {
            Zone::Named(zone) => zone.offset_from_utc_datetime(&self.time.naive_utc()).fix(),
            Zone::Fixed(offset) => offset,
        }
    }

    /// `Europe/Paris` or `+02:00`
    fn zone_id(&self) -> String {
        match self.zone {
            Zone::Named(zone) => zone.name().to_owned(),
            Zone::Fixed(offset) => offset.to_string(),
        }
    }

    /// `CET` or `+02:00`
    fn zone_name(&self) -> String {
        match self.zone {
            Zone::Named(zone) => {
                let offset = zone.offset_from_utc_datetime(&self.time.naive_utc());
                offset.abbreviation().map_or_else(|| self.zone_id(), str::to_owned)
            }
            Zone::Fixed(offset) => offset.to_string(),
        }
    }

    /// Moves the time. Days and longer follow the calendar, shorter units the clock.
    pub(super) fn plus(&self, amount: i64, unit: &str) -> Result<Self, String> {
        let exact = |unit: fn(i64) -> Option<Duration>| self.time.checked_add_signed(unit(amount)?);
        let months = |each: i64| self.months(amount.checked_mul(each)?);
        let time = match unit.to_ascii_uppercase().as_str() {
            "NANOS" => exact(|amount| Some(Duration::nanoseconds(amount))),
            "MICROS" => exact(|amount| Some(Duration::microseconds(amount))),
            "MILLIS" => exact(Duration::try_milliseconds),
            "SECONDS" => exact(Duration::try_seconds),
            "MINUTES" => exact(Duration::try_minutes),
            "HOURS" => exact(Duration::try_hours),
            "HALF_DAYS" => exact(|amount| Duration::try_hours(amount.checked_mul(12)?)),
            "DAYS" => self.days(amount),
            "WEEKS" => amount.checked_mul(7).and_then(|days| self.days(days)),
            "MONTHS" => months(1),
            "YEARS" => months(12),
            "DECADES" => months(120),
            "CENTURIES" => months(1200),
            _ => {
                return Err(format!(
                    "there is no unit `{unit}`; there is `YEARS`, `MONTHS`, `WEEKS`, `DAYS`, `HOURS`, `MINUTES`, `SECONDS`, `MILLIS`"
                ));
            }
        };
        time.map(|time| Self { time, ..*self })
            .ok_or_else(|| format!("adding {amount} {unit} leaves the supported range of dates"))
    }

    fn days(&self, days: i64) -> Option<DateTime<Utc>> {
        let (local, by) = (self.local(), Days::new(days.unsigned_abs()));
        let moved = if days < 0 { local.checked_sub_days(by) } else { local.checked_add_days(by) };
        self.zone.moment(moved?)
    }

    fn months(&self, months: i64) -> Option<DateTime<Utc>> {
        let (local, by) = (self.local(), Months::new(u32::try_from(months.unsigned_abs()).ok()?));
        let moved = if months < 0 { local.checked_sub_months(by) } else { local.checked_add_months(by) };
        self.zone.moment(moved?)
    }
}

const MIDNIGHT: NaiveTime = NaiveTime::MIN;
