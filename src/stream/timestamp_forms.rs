//! Dates and timestamps in forms that are seldom seen, and that the server reads whatever its settings: `20200131T100000Z`,
//! `2020/01/31`, `2020-Jan-31`, `2020-01-31 10:00 PM`.

use super::value::digits;

const MONTHS: [&[u8]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
/// No form is longer: the longest has a time with decimals and an offset.
const MAX_BYTES: usize = 64;

/// The text in the usual form, if it is in one of the others.
pub(super) fn usual(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() > MAX_BYTES || digits(text).0 < 4 {
        return None;
    }
    let (day, rest) = date(text)?;
    let mut usual = day;
    match rest {
        [] => {}
        [b' ' | b'T' | b't', clock @ ..] => {
            usual.push(b' ');
            usual.extend(time(clock)?);
        }
        _ => return None,
    }
    (usual != text).then_some(usual)
}

fn date(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (year, rest) = text.split_at_checked(4)?;
    let (month, day, rest) = match rest {
        // Eight digits and no more.
        [m1, m2, d1, d2, rest @ ..] if digits(text).0 == 8 => (vec![*m1, *m2], vec![*d1, *d2], rest),
        [mark @ (b'-' | b'/' | b'.'), rest @ ..] => {
            let (month, rest) = month(rest)?;
            let rest = rest.strip_prefix(&[*mark])?;
            let (count @ 1..=2, behind) = digits(rest) else { return None };
            (month, rest.get(..count)?.to_vec(), behind)
        }
        _ => return None,
    };
    Some(([year, b"-", month.as_slice(), b"-", day.as_slice()].concat(), rest))
}

/// A month as one or two digits.
fn month(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    if let (count @ 1..=2, rest) = digits(text) {
        return Some((text.get(..count)?.to_vec(), rest));
    }
    let (name, rest) = text.split_at_checked(3)?;
    let month = MONTHS.iter().position(|month| name.eq_ignore_ascii_case(month))? + 1;
    Some((format!("{month:02}").into_bytes(), rest))
}

fn time(text: &[u8]) -> Option<Vec<u8>> {
    let (count, rest) = digits(text);
    if let (6, [b'.' | b'+' | b'-' | b'Z' | b'z', ..] | []) = (count, rest) {
        let [h1, h2, m1, m2, s1, s2, ..] = text else { return None };
        return Some([&[*h1, *h2, b':', *m1, *m2, b':', *s1, *s2], rest].concat());
    }
    let end = text.len().checked_sub(2)?;
    let (clock, half) = text.split_at_checked(end)?;
    let is_afternoon = match half.to_ascii_lowercase().as_slice() {
        b"am" => false,
        b"pm" => true,
        _ => return (count > 0).then(|| text.to_vec()),
    };
    let clock = clock.trim_ascii_end();
    let (hours, rest) = clock.split_at_checked(count)?;
    let hours: u8 = std::str::from_utf8(hours).ok()?.parse().ok().filter(|hours| *hours <= 12)?;
    let hours = hours % 12 + if is_afternoon { 12 } else { 0 };
    // An offset does not be before the half of the day.
    let is_clock = rest.starts_with(b":") && rest.iter().all(|byte| byte.is_ascii_digit() || b":.".contains(byte));
    is_clock.then(|| [format!("{hours:02}").as_bytes(), rest].concat())
}
