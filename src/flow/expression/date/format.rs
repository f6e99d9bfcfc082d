//! Writes a time by a pattern, in English.

use std::fmt::Write;

use chrono::{Datelike, Days, Timelike};

use super::pattern::{Pattern, PatternPiece};
use super::{Moment, Zone};

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The time as the pattern says.
pub(super) fn by_pattern(moment: &Moment, pattern: &Pattern) -> String {
    let mut out = String::new();
    for piece in &pattern.pieces {
        match piece {
            PatternPiece::Text(text) => out.push_str(text),
            PatternPiece::Field(letter, count) => field(moment, *letter, *count, &mut out),
            PatternPiece::Fraction => fraction(moment, &mut out),
            PatternPiece::Week => {
                let (week, day) = (moment.local().iso_week(), moment.local().weekday().number_from_monday());
                append(&mut out, format_args!("{:04}-W{:02}-{day}", week.year(), week.week()));
            }
            PatternPiece::Gmt if moment.offset().local_minus_utc() == 0 => out.push_str("GMT"),
            PatternPiece::Gmt => offset(moment, "", false, &mut out),
        }
    }
    // Java names a zone in brackets only where it has a name.
    if matches!(moment.zone, Zone::Fixed(_)) { out.replace(&format!("[{}]", moment.zone_id()), "") } else { out }
}

fn append(out: &mut String, text: std::fmt::Arguments) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}

fn field(moment: &Moment, letter: char, count: usize, out: &mut String) {
    let local = moment.local();
    let number = match letter {
        'y' | 'u' if count == 2 => i64::from(local.year().rem_euclid(100)),
        'y' | 'u' => i64::from(local.year()),
        'Y' if count == 2 => i64::from(week(moment).0.rem_euclid(100)),
        'Y' => i64::from(week(moment).0),
        'w' => i64::from(week(moment).1),
        'M' | 'L' | 'Q' | 'q' | 'E' | 'a' | 'G' if count > 2 || "EaG".contains(letter) => {
            return word(moment, letter, count, out);
        }
        'M' | 'L' => i64::from(local.month()),
        'Q' | 'q' => i64::from(local.month0() / 3 + 1),
        'd' => i64::from(local.day()),
        'D' => i64::from(local.ordinal()),
        'H' => i64::from(local.hour()),
        'k' => i64::from(if local.hour() == 0 { 24 } else { local.hour() }),
        'K' => i64::from(local.hour() % 12),
        'h' => i64::from(local.hour12().1),
        'm' => i64::from(local.minute()),
        's' => i64::from(local.second()),
        'n' => i64::from(local.nanosecond()),
        'A' => i64::from(local.num_seconds_from_midnight()) * 1000 + i64::from(local.nanosecond() / 1_000_000),
        'S' => {
            let digits = format!("{:09}", local.nanosecond() % 1_000_000_000);
            return out.push_str(digits.get(..count).unwrap_or(&digits));
        }
        _ => return zone(moment, letter, count, out),
    };
    append(out, format_args!("{number:0count$}"));
}

fn word(moment: &Moment, letter: char, count: usize, out: &mut String) {
    let local = moment.local();
    let quarter = local.month0() / 3 + 1;
    let whole = match letter {
        'M' | 'L' => MONTHS.get(local.month0() as usize).copied().unwrap_or_default(),
        'E' => DAYS.get(local.weekday().num_days_from_monday() as usize).copied().unwrap_or_default(),
        'a' => return out.push_str(if local.hour() < 12 { "AM" } else { "PM" }),
        'G' if count == 4 => return out.push_str(if local.year() > 0 { "Anno Domini" } else { "Before Christ" }),
        'G' => return out.push_str(if local.year() > 0 { "AD" } else { "BC" }),
        _ if count == 3 => return append(out, format_args!("Q{quarter}")),
        _ => {
            let ordinals = ["1st", "2nd", "3rd", "4th"];
            let ordinal = ordinals.get(local.month0() as usize / 3).copied().unwrap_or_default();
            return append(out, format_args!("{ordinal} quarter"));
        }
    };
    out.push_str(if count == 4 { whole } else { whole.get(..if count == 5 { 1 } else { 3 }).unwrap_or(whole) });
}

fn zone(moment: &Moment, letter: char, count: usize, out: &mut String) {
    let is_utc = moment.offset().local_minus_utc() == 0;
    match (letter, count) {
        ('V', _) => out.push_str(&moment.zone_id()),
        ('z', _) => out.push_str(&moment.zone_name()),
        ('X', _) if is_utc => out.push('Z'),
        ('Z', 4) if is_utc => out.push_str("GMT"),
        ('Z', 4) => {
            out.push_str("GMT");
            offset(moment, ":", false, out);
        }
        ('Z', 5) if is_utc => out.push('Z'),
        ('X' | 'x', 1) => offset(moment, "", true, out),
        ('X' | 'x', 2 | 4) | ('Z', 1..=3) => offset(moment, "", false, out),
        _ => offset(moment, ":", false, out),
    }
}

/// `+02:00`, with or without its colon; `short` leaves out minutes that are zero.
fn offset(moment: &Moment, colon: &str, short: bool, out: &mut String) {
    let seconds = moment.offset().local_minus_utc();
    let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
    let sign = if seconds < 0 { '-' } else { '+' };
    append(out, format_args!("{sign}{hours:02}"));
    if !short || minutes != 0 {
        append(out, format_args!("{colon}{minutes:02}"));
    }
}

fn fraction(moment: &Moment, out: &mut String) {
    let nanos = moment.local().nanosecond() % 1_000_000_000;
    if nanos > 0 {
        append(out, format_args!(".{}", format!("{nanos:09}").trim_end_matches('0')));
    }
}

/// The year and number of the week as the United States count: it begins on Sunday, the first holds 1 January.
fn week(moment: &Moment) -> (i32, u32) {
    let date = moment.local().date();
    let to_saturday = 6 - u64::from(date.weekday().num_days_from_sunday());
    let saturday = date.checked_add_days(Days::new(to_saturday)).unwrap_or(date);
    (saturday.year(), saturday.ordinal0() / 7 + 1)
}
