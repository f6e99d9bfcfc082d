//! A bar chart of trips per day, for a terminal.

use chrono::{Datelike, NaiveDate};

/// Lines of the bars; title, axis and days take three more.
const HEIGHT: u64 = 7;
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A chart of at most ten lines, each at most `width` characters wide unless there are more days than that.
pub fn trips_per_day(counts: &[(NaiveDate, u64)], width: usize) -> String {
    let (Some((first, _)), Some(peak)) = (counts.first(), counts.iter().max_by_key(|(_, trips)| *trips)) else {
        return "no trips\n".to_owned();
    };
    let margin = grouped(peak.1).len() + 1;
    let column = if margin + 2 + counts.len() * 2 <= width { 2 } else { 1 };
    let mut chart =
        format!("{:margin$}  trips per day, {}, most on {}\n", "", first.format("%B %Y"), peak.0.format("%a %-d"));
    for level in (0..HEIGHT).rev() {
        let bars: String = counts.iter().map(|(_, trips)| bar(*trips, peak.1, level, column)).collect();
        let label = if level + 1 == HEIGHT { grouped(peak.1) } else { String::new() };
        chart.push_str(format!("{label:>margin$} │{bars}").trim_end());
        chart.push('\n');
    }
    chart.push_str(&format!("{:>margin$} └{}\n", "0", "─".repeat(counts.len() * column)));
    chart.push_str(&format!("{:margin$}  {}\n", "", days(counts, column)));
    chart
}

/// One day's share of one text line, with a gap where there is room for it.
fn bar(trips: u64, peak: u64, level: u64, column: usize) -> String {
    let mut eighths = (u128::from(trips) * u128::from(HEIGHT * 8)).div_ceil(u128::from(peak.max(1))) as u64;
    eighths = eighths.saturating_sub(level * 8).min(8);
    let block = BLOCKS.get(eighths as usize).copied().unwrap_or(' ');
    format!("{block:<column$}")
}

/// The number of each first, fifth, tenth … day below its column.
fn days(counts: &[(NaiveDate, u64)], column: usize) -> String {
    let mut line = String::new();
    for (index, (date, _)) in counts.iter().enumerate() {
        let place = index * column;
        if (index == 0 || date.day() % 5 == 0) && (line.is_empty() || line.len() < place) {
            line.push_str(&" ".repeat(place - line.len()));
            line.push_str(&date.day().to_string());
        }
    }
    line
}

/// `12345` as `12,345`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn april(count: impl Fn(u32) -> u64) -> Vec<(NaiveDate, u64)> {
        (1..=30).map(|day| (NaiveDate::from_ymd_opt(2020, 4, day).unwrap(), count(day))).collect()
    }

    #[test]
    fn the_chart_shows_what_is_high_and_what_is_low() {
        let chart = trips_per_day(&april(|day| if day == 15 { 1400 } else { u64::from(day) * 10 }), 80);
        let lines: Vec<_> = chart.lines().collect();
        assert_eq!(lines.len(), 10);
        assert_eq!(lines[0].trim(), "trips per day, April 2020, most on Wed 15");
        assert_eq!(lines[1].trim_start(), format!("1,400 │{}█", "  ".repeat(14)));
        assert!(lines[7].contains("│▁ ▁ ▂ "), "{chart}");
        assert_eq!(lines[9].split_whitespace().collect::<Vec<_>>(), ["1", "5", "10", "15", "20", "25", "30"]);
        assert!(lines.iter().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn narrow_terminals_empty_months_and_no_days_are_fine() {
        assert!(trips_per_day(&april(|_| 7), 40).lines().all(|line| line.chars().count() <= 50));
        assert!(trips_per_day(&april(|_| 0), 80).contains("│\n"));
        assert_eq!(trips_per_day(&[], 80), "no trips\n");
        let one = trips_per_day(&april(u64::from), 40);
        assert_eq!(one.lines().nth(8).unwrap().chars().filter(|c| *c == '─').count(), 30);
    }
}
