//! A stretch of time as a user writes it: the year `2019`, the month `2019-01`, the day `2019-01-31`, the hour
//! `2019-01-31T06` or `2019-01-31T06:00`, the minute `2019-01-31T06:30`, the second `2019-01-31T06:00:00`.

use chrono::{DateTime, Duration, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

/// From the first moment of a stretch to the first one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its first moment.
    pub begin: DateTime<Utc>,
    /// The first moment after it.
    pub end: DateTime<Utc>,
}

impl Period {
    /// Reads a stretch of time as it is called in a zone. A moment with an offset of its own is that moment.
    ///
    /// # Errors
    /// A description of the error.
    pub fn read(text: &str, zone: Tz) -> Result<Self, String> {
        let text = text.trim();
        if let Some(begin) = DateTime::parse_from_rfc3339(text).ok().map(|moment| moment.to_utc()) {
            return Ok(Self { begin, end: begin + Duration::seconds(1) });
        }
        let wrong =
            || format!("`{text}` is not a month (2019-01), day (2019-01-31), hour (2019-01-31T06:00) or year (2019)");
        let (first, after) = local(text).ok_or_else(wrong)?;
        // A period holds both readings of a time that comes twice.
        let begin = moment(zone, first, chrono::LocalResult::earliest).ok_or_else(wrong)?;
        let end = moment(zone, after, chrono::LocalResult::latest).ok_or_else(wrong)?;
        Ok(Self { begin, end })
    }
}

fn local(text: &str) -> Option<(NaiveDateTime, NaiveDateTime)> {
    let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN);
    let is_year = text.len() == 4 && text.chars().all(|letter| letter.is_ascii_digit());
    let months =
        |first: NaiveDate, count| Some((midnight(first), midnight(first.checked_add_months(Months::new(count))?)));
    if is_year {
        return months(format!("{text}-01-01").parse().ok()?, 12);
    }
    if text.len() == 7 {
        return months(format!("{text}-01").parse().ok()?, 1);
    }
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Some((midnight(day), midnight(day.succ_opt()?)));
    }
    let text = text.replace(' ', "T");
    let read = |format: &str, length: Duration| {
        let first = NaiveDateTime::parse_from_str(&text, format).ok()?;
        Some((first, first.checked_add_signed(length)?))
    };
    if text.len() == "2019-01-31T06".len() {
        let hour = NaiveDateTime::parse_from_str(&format!("{text}:00"), "%Y-%m-%dT%H:%M").ok()?;
        return Some((hour, hour.checked_add_signed(Duration::hours(1))?));
    }
    // An hour is written with its minutes, as schedules by the hour name their partitions.
    let length = if text.ends_with(":00") { Duration::hours(1) } else { Duration::minutes(1) };
    read("%Y-%m-%dT%H:%M", length).or_else(|| read("%Y-%m-%dT%H:%M:%S%.f", Duration::seconds(1)))
}

/// The moment of a local time; of one that a clock change skips, the first one after the gap.
fn moment(
    zone: Tz,
    local: NaiveDateTime,
    choose: impl Fn(chrono::LocalResult<DateTime<Tz>>) -> Option<DateTime<Tz>>,
) -> Option<DateTime<Utc>> {
    let skipped = || {
        // No zone changes by more than three hours: a time that is skipped exists three hours earlier.
        let hours = Duration::hours(3);
        let before = zone.from_local_datetime(&local.checked_sub_signed(hours)?).earliest()?;
        before.checked_add_signed(hours)
    };
    choose(zone.from_local_datetime(&local)).or_else(skipped).map(|moment| moment.to_utc())
}
