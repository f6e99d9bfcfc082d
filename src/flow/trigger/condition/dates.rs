//! Conditions on the moment.

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Weekday};
use schemars::JsonSchema;
use serde::Deserialize;

use super::ConditionContext;
use crate::flow::trigger::upstream::NaiveTimeText;
use crate::task::is_template;

/// What is wrong with which field.
pub(super) type ConditionError = (&'static str, String);

/// Holds between two times, both exclusive.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DateTimeBetween {
    /// The date to check; `{{ trigger.date }}` by default.
    date: Option<String>,
    /// The date must be later than this: `2024-01-01`, `2024-01-01T06:00:00Z`.
    after: Option<String>,
    /// The date must be earlier than this.
    before: Option<String>,
}

impl DateTimeBetween {
    pub(super) fn check(&self) -> Result<(), ConditionError> {
        for (field, text) in [("after", &self.after), ("before", &self.before)] {
            if let Some(text) = text.as_ref().filter(|text| !is_template(text)) {
                moment(text, UTC_OFFSET).map_err(|message| (field, message))?;
            }
        }
        Ok(())
    }

    pub(super) fn is_met(&self, context: &ConditionContext) -> Result<bool, String> {
        let date = context.date(self.date.as_deref())?;
        let bound =
            |text: &Option<String>| text.as_ref().map(|text| moment(&context.text(text)?, *date.offset())).transpose();
        let (after, before) = (bound(&self.after)?, bound(&self.before)?);
        Ok(after.is_none_or(|after| date > after) && before.is_none_or(|before| date < before))
    }
}

/// Holds on one day of the week.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct DayWeek {
    /// The date to check; `{{ trigger.date }}` by default.
    date: Option<String>,
    /// The day: `MONDAY` to `SUNDAY`.
    day_of_week: WeekdayName,
}

impl DayWeek {
    pub(super) fn is_met(&self, context: &ConditionContext) -> Result<bool, String> {
        Ok(context.date(self.date.as_deref())?.weekday() == self.day_of_week.weekday())
    }
}

/// Holds on one day of the week in each month, such as the first Monday.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct DayWeekInMonth {
    /// The date to check; `{{ trigger.date }}` by default.
    date: Option<String>,
    /// The day: `MONDAY` to `SUNDAY`.
    day_of_week: WeekdayName,
    /// Which occurrence in the month: `FIRST` to `FOURTH`, or `LAST`.
    day_in_month: WeekInMonth,
}

impl DayWeekInMonth {
    pub(super) fn is_met(&self, context: &ConditionContext) -> Result<bool, String> {
        let date = context.date(self.date.as_deref())?.date_naive();
        let is_last = (date + chrono::Days::new(7)).month() != date.month();
        let is_nth = match self.day_in_month {
            WeekInMonth::Last => is_last,
            nth => date.day0() / 7 == nth as u32,
        };
        Ok(is_nth && date.weekday() == self.day_of_week.weekday())
    }
}

/// Holds between two times of the day, both exclusive. If `after` is later than `before`, the period spans midnight.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TimeBetween {
    /// The date to check; `{{ trigger.date }}` by default.
    date: Option<String>,
    /// The time must be later than this: `09:00`, `09:00:00+02:00`. Without an offset, it is in the time zone of the
    /// trigger.
    after: Option<String>,
    /// The time must be earlier than this.
    before: Option<String>,
}

impl TimeBetween {
    pub(super) fn check(&self) -> Result<(), ConditionError> {
        for (field, text) in [("after", &self.after), ("before", &self.before)] {
            if let Some(text) = text.as_ref().filter(|text| !is_template(text)) {
                NaiveTimeText::parse(text).map_err(|message| (field, message))?;
            }
        }
        Ok(())
    }

    pub(super) fn is_met(&self, context: &ConditionContext) -> Result<bool, String> {
        let date = context.date(self.date.as_deref())?;
        let bound =
            |text: &Option<String>| text.as_ref().map(|text| NaiveTimeText::parse(&context.text(text)?)).transpose();
        let (after, before) = (bound(&self.after)?, bound(&self.before)?);
        let is_after = after.is_none_or(|after| after.of(date) > after.time);
        let is_before = before.is_none_or(|before| before.of(date) < before.time);
        let is_night = after.zip(before).is_some_and(|(after, before)| after.time > before.time);
        Ok(if is_night { is_after || is_before } else { is_after && is_before })
    }
}

/// Holds on Saturdays and Sundays.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Weekend {
    /// The date to check; `{{ trigger.date }}` by default.
    date: Option<String>,
}

impl Weekend {
    pub(super) fn is_met(&self, context: &ConditionContext) -> Result<bool, String> {
        Ok(matches!(context.date(self.date.as_deref())?.weekday(), Weekday::Sat | Weekday::Sun))
    }
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum WeekdayName {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl WeekdayName {
    fn weekday(self) -> Weekday {
        match self {
            Self::Monday => Weekday::Mon,
            Self::Tuesday => Weekday::Tue,
            Self::Wednesday => Weekday::Wed,
            Self::Thursday => Weekday::Thu,
            Self::Friday => Weekday::Fri,
            Self::Saturday => Weekday::Sat,
            Self::Sunday => Weekday::Sun,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum WeekInMonth {
    First,
    Second,
    Third,
    Fourth,
    Last,
}

/// An offset for texts whose moment does not matter.
const UTC_OFFSET: FixedOffset = match FixedOffset::east_opt(0) {
    Some(offset) => offset,
    None => panic!("zero is an offset"),
};

/// The moment of a text; where it names no offset, in this one.
pub(super) fn moment(text: &str, offset: FixedOffset) -> Result<DateTime<FixedOffset>, String> {
    let text = text.trim();
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(moment);
    }
    let day = text.parse::<NaiveDate>().map(|day| day.and_time(NaiveTime::MIN));
    let local = day.or_else(|_| text.parse::<NaiveDateTime>()).ok();
    local
        .and_then(|local| local.and_local_timezone(offset).earliest())
        .ok_or_else(|| format!("`{text}` is not a date or time such as 2024-01-31 or 2024-01-31T10:00:00Z"))
}
