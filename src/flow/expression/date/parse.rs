//! Parses a time from a text.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime};

use super::format::{DAYS, MONTHS};
use super::pattern::{Pattern, PatternPiece};
use super::{MIDNIGHT, Moment, Zone};

/// A time in ISO 8601, with a zone, an offset or neither, or a lone date; a space may stand for the `T`.
pub(super) fn iso(text: &str, zone: Zone) -> Option<Moment> {
    let (text, named) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((time, name)) => (time, Some(Zone::parse(name)?)),
        None => (text, None),
    };
    let text = text.replacen(' ', "T", 1);
    for format in ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z"] {
        if let Ok(time) = DateTime::parse_from_str(&text, format) {
            return Some(Moment::new(time.to_utc(), named.unwrap_or(fixed(*time.offset()))));
        }
    }
    let zone = named.unwrap_or(zone);
    let local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok())
        .or_else(|| Some(NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?.and_time(MIDNIGHT)))?;
    Some(Moment::new(zone.moment(local)?, zone))
}

fn fixed(offset: FixedOffset) -> Zone {
    if offset.local_minus_utc() == 0 { Zone::UTC } else { Zone::Fixed(offset) }
}

#[derive(Default)]
struct ParsedFields {
    year: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    ordinal: Option<u32>,
    hour: Option<u32>,
    afternoon: Option<bool>,
    minute: u32,
    second: u32,
    nanos: u32,
    zone: Option<Zone>,
}

/// A time in the form of a pattern. What the pattern does not name is the earliest it can be.
pub(super) fn by_pattern(text: &str, pattern: &Pattern, zone: Zone) -> Option<Moment> {
    let (mut fields, mut rest) = (ParsedFields::default(), text);
    for piece in &pattern.pieces {
        rest = match piece {
            PatternPiece::Text(text) => rest.strip_prefix(text.as_str())?,
            PatternPiece::Field(letter, count) => fields.field(rest, *letter, *count)?,
            PatternPiece::Fraction => match rest.strip_prefix('.') {
                Some(fraction) => fields.fraction(fraction, 1, 9)?,
                None => rest,
            },
            PatternPiece::Gmt => match rest.strip_prefix("GMT") {
                Some(rest) => fields.zone(Zone::UTC, rest),
                None => fields.offset(rest)?,
            },
            PatternPiece::Week => return None,
        };
    }
    if rest.is_empty() { fields.moment(zone) } else { None }
}

impl ParsedFields {
    fn field<'t>(&mut self, text: &'t str, letter: char, count: usize) -> Option<&'t str> {
        match (letter, count) {
            ('M' | 'L', 3..) => {
                let (month, rest) = name(text, &MONTHS, count)?;
                self.month = Some(month + 1);
                return Some(rest);
            }
            ('E', _) => return Some(name(text, &DAYS, count)?.1),
            ('a', _) => {
                self.afternoon = Some(name(text, &["AM", "PM"], 4)?.0 == 1);
                return text.get(2..);
            }
            ('S', _) => return self.fraction(text, count, count),
            ('X', _) if text.starts_with('Z') => return Some(self.zone(Zone::UTC, &text[1..])),
            ('X' | 'x' | 'Z', _) => return self.offset(text),
            ('V' | 'z', _) => {
                let end = text.find(|c: char| !c.is_alphanumeric() && !"/_+-:".contains(c)).unwrap_or(text.len());
                let zone = Zone::parse(&text[..end])?;
                return Some(self.zone(zone, &text[end..]));
            }
            _ => {}
        }
        let (number, rest) = digits(text, if count == 1 { 1 } else { count }, if count == 1 { 9 } else { count })?;
        match letter {
            'y' | 'u' | 'Y' if count == 2 => self.year = Some(2000 + i32::try_from(number).ok()?),
            'y' | 'u' => self.year = Some(i32::try_from(number).ok()?),
            'M' | 'L' => self.month = Some(number),
            'd' => self.day = Some(number),
            'D' => self.ordinal = Some(number),
            'H' => self.hour = Some(number),
            'k' => self.hour = Some(number % 24),
            'h' | 'K' => {
                self.hour = Some(number % 12);
                self.afternoon.get_or_insert(false);
            }
            'm' => self.minute = number,
            's' => self.second = number,
            'n' => self.nanos = number,
            _ => return None,
        }
        Some(rest)
    }

    fn zone<'t>(&mut self, zone: Zone, rest: &'t str) -> &'t str {
        self.zone = Some(zone);
        rest
    }

    /// `+02`, `+0200`, `+02:00`
    fn offset<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let sign = match text.chars().next()? {
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        let (hours, rest) = digits(&text[1..], 2, 2)?;
        let (minutes, rest) = digits(rest.strip_prefix(':').unwrap_or(rest), 2, 2).unwrap_or((0, rest));
        let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
        let offset = FixedOffset::east_opt(sign * seconds)?;
        Some(self.zone(fixed(offset), rest))
    }

    fn fraction<'t>(&mut self, text: &'t str, min: usize, max: usize) -> Option<&'t str> {
        let (number, rest) = digits(text, min, max)?;
        let places = u32::try_from(text.len() - rest.len()).ok()?;
        self.nanos = number.checked_mul(10_u32.checked_pow(9_u32.checked_sub(places)?)?)?;
        Some(rest)
    }

    fn moment(&self, zone: Zone) -> Option<Moment> {
        let year = self.year.unwrap_or(1970);
        let date = match self.ordinal {
            Some(ordinal) => NaiveDate::from_yo_opt(year, ordinal)?,
            None => NaiveDate::from_ymd_opt(year, self.month.unwrap_or(1), self.day.unwrap_or(1))?,
        };
        let hour = self.hour.unwrap_or(0) + if self.afternoon == Some(true) { 12 } else { 0 };
        let time = NaiveTime::from_hms_nano_opt(hour, self.minute, self.second, self.nanos)?;
        let zone = self.zone.unwrap_or(zone);
        Some(Moment::new(zone.moment(date.and_time(time))?, zone))
    }
}

/// Between `least` and `most` digits.
fn digits(text: &str, min: usize, max: usize) -> Option<(u32, &str)> {
    let count = text.bytes().take(max).take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(count)?;
    (count >= min).then(|| Some((digits.parse().ok()?, rest)))?
}

/// One of the names, cut to three letters unless `count` is four.
fn name<'t>(text: &'t str, names: &[&str], count: usize) -> Option<(u32, &'t str)> {
    names.iter().enumerate().find_map(|(index, name)| {
        let name = if count == 4 { name } else { name.get(..3)? };
        let begin = text.get(..name.len())?;
        let found = begin.eq_ignore_ascii_case(name).then(|| &text[name.len()..])?;
        Some((u32::try_from(index).ok()?, found))
    })
}
