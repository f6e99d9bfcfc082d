//! Public holidays of the countries whose rules are written here: those of the whole country, none of its parts.

use chrono::{Datelike, Days, Month, NaiveDate, Weekday};
use schemars::JsonSchema;
use serde::Deserialize;

use super::ConditionContext;
use super::dates::ConditionError;

/// Holds on national public holidays: for the United States the federal holidays, for the United Kingdom those of
/// England and Wales.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct PublicHoliday {
    /// The date to check; `{{ trigger.date }}` by default.
    date: Option<String>,
    /// The two-letter country code: `DE`, `FR`, `GB` or `US`.
    country: String,
    /// A region of the country; not supported yet.
    sub_division: Option<String>,
}

impl PublicHoliday {
    pub(super) fn check(&self) -> Result<(), ConditionError> {
        if !COUNTRIES.contains(&self.country.to_uppercase().as_str()) {
            let known = COUNTRIES.join("`, `");
            let message = format!("the holidays of `{}` are not supported; those of `{known}` are", self.country);
            return Err(("country", message));
        }
        match &self.sub_division {
            Some(part) => Err((
                "subDivision",
                format!(
                    "the holidays of the region `{part}` are not supported; remove it to use those of the whole country"
                ),
            )),
            None => Ok(()),
        }
    }

    pub(super) fn is_met(&self, context: &ConditionContext) -> Result<bool, String> {
        let date = context.date(self.date.as_deref())?.date_naive();
        Ok(is_holiday(&self.country, date))
    }
}

const COUNTRIES: [&str; 4] = ["DE", "FR", "GB", "US"];

/// Whether a day is a public holiday of a whole country; no day is in a country that is not known.
pub fn is_holiday(country: &str, day: NaiveDate) -> bool {
    match country.to_uppercase().as_str() {
        "DE" => is_german(day),
        "FR" => is_french(day),
        "GB" => is_english(day),
        "US" => is_american(day),
        _ => false,
    }
}

fn is_german(day: NaiveDate) -> bool {
    let fixed = [(1, 1), (5, 1), (10, 3), (12, 25), (12, 26)].contains(&(day.month(), day.day()));
    fixed || [-2, 1, 39, 50].contains(&after_easter(day)) || is(day, 2017, 10, 31)
}

fn is_french(day: NaiveDate) -> bool {
    let fixed = [(1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)];
    fixed.contains(&(day.month(), day.day())) || [1, 39, 50].contains(&after_easter(day))
}

/// Holidays of one year only, and those that were moved from their usual day.
const ENGLISH_EXCEPTIONS: [(i32, u32, u32); 9] = [
    (2002, 6, 3),
    (2002, 6, 4),
    (2011, 4, 29),
    (2012, 6, 4),
    (2012, 6, 5),
    (2022, 6, 2),
    (2022, 6, 3),
    (2022, 9, 19),
    (2023, 5, 8),
];

fn is_english(day: NaiveDate) -> bool {
    let date = (day.month(), day.day());
    let monday = day.weekday() == Weekday::Mon;
    // What falls on a weekend is made up for on the next working days.
    let new_year = date == (1, 1) || (monday && matches!(date, (1, 2 | 3)));
    let christmas = matches!(date, (12, 25 | 26))
        || (matches!(date, (12, 27 | 28)) && matches!(day.weekday(), Weekday::Mon | Weekday::Tue));
    let may = if day.year() == 2020 { date == (5, 8) } else { is_nth(day, Weekday::Mon, 5, 1) };
    let spring = is_last(day, Weekday::Mon, 5) && ![2002, 2012, 2022].contains(&day.year());
    let exceptional = ENGLISH_EXCEPTIONS.contains(&(day.year(), date.0, date.1));
    let summer = is_last(day, Weekday::Mon, 8);
    new_year || christmas || may || spring || exceptional || summer || [-2, 1].contains(&after_easter(day))
}

fn is_american(day: NaiveDate) -> bool {
    let fixed = |day: NaiveDate| {
        let june = day.year() >= 2021 && (day.month(), day.day()) == (6, 19);
        june || [(1, 1), (7, 4), (11, 11), (12, 25)].contains(&(day.month(), day.day()))
    };
    // What falls on a Saturday is kept on the Friday before, what falls on a Sunday on the Monday after.
    let observed_day = match day.weekday() {
        Weekday::Fri => day.checked_add_days(Days::new(1)),
        Weekday::Mon => day.checked_sub_days(Days::new(1)),
        _ => None,
    };
    fixed(day)
        || observed_day.is_some_and(fixed)
        || is_nth(day, Weekday::Mon, 1, 3)
        || is_nth(day, Weekday::Mon, 2, 3)
        || is_last(day, Weekday::Mon, 5)
        || is_nth(day, Weekday::Mon, 9, 1)
        || is_nth(day, Weekday::Mon, 10, 2)
        || is_nth(day, Weekday::Thu, 11, 4)
}

fn is(day: NaiveDate, year: i32, month: u32, of_month: u32) -> bool {
    (day.year(), day.month(), day.day()) == (year, month, of_month)
}

/// Whether this is the month's nth such day of the week.
fn is_nth(day: NaiveDate, weekday: Weekday, month: u32, nth: u32) -> bool {
    day.month() == month && day.weekday() == weekday && day.day0() / 7 + 1 == nth
}

/// Whether this is the month's last such day of the week.
fn is_last(day: NaiveDate, weekday: Weekday, month: u32) -> bool {
    let length = u8::try_from(month).ok().and_then(|month| Month::try_from(month).ok());
    let length = length.and_then(|month| month.num_days(day.year())).unwrap_or(31);
    day.month() == month && day.weekday() == weekday && day.day() + 7 > u32::from(length)
}

/// How many days a day is after Easter Sunday of its year.
fn after_easter(day: NaiveDate) -> i64 {
    easter(day.year()).map_or(i64::MIN, |easter| (day - easter).num_days())
}

/// Easter Sunday by the Gregorian computus: the Sunday after the first full moon of spring.
fn easter(year: i32) -> Option<NaiveDate> {
    let golden = year.rem_euclid(19);
    let (century, of_century) = (year.div_euclid(100), year.rem_euclid(100));
    // How far the moon's cycle has drifted since the calendar began.
    let drift = (century - (century + 8) / 25 + 1) / 3;
    let moon = (19 * golden + century - century / 4 - drift + 15).rem_euclid(30);
    let to_sunday = (32 + 2 * (century % 4) + 2 * (of_century / 4) - moon - of_century % 4).rem_euclid(7);
    let late = (golden + 11 * moon + 22 * to_sunday) / 451;
    let days = u64::try_from(moon + to_sunday - 7 * late).ok()?;
    NaiveDate::from_ymd_opt(year, 3, 22)?.checked_add_days(Days::new(days))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_has_the_holidays_of_its_calendar() {
        let days = |country: &str, year: i32| -> String {
            let first = NaiveDate::from_yo_opt(year, 1).unwrap();
            let days = first.iter_days().take_while(|day| day.year() == year).filter(|day| is_holiday(country, *day));
            days.map(|day| day.format("%m%d ").to_string()).collect()
        };
        assert_eq!(days("US", 2022), "0101 0117 0221 0530 0619 0620 0704 0905 1010 1111 1124 1225 1226 ");
        assert_eq!(days("US", 2021), "0101 0118 0215 0531 0618 0619 0704 0705 0906 1011 1111 1125 1224 1225 1231 ");
        assert_eq!(days("GB", 2022), "0101 0103 0415 0418 0502 0602 0603 0829 0919 1225 1226 1227 ");
        assert_eq!(days("de", 2024), "0101 0329 0401 0501 0509 0520 1003 1225 1226 ");
        assert_eq!(days("FR", 2024), "0101 0401 0501 0508 0509 0520 0714 0815 1101 1111 1225 ");
        assert_eq!(days("XX", 2024), "");
    }
}
