//! Numbers in human-readable form.

use std::time::Duration;

/// `670.4 kB`, `110.2 MB`: powers of 1000.
pub(super) fn bytes(number: u64) -> String {
    let mut value = number as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return if unit == "B" { format!("{number} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// `0.8 s`, `2 min 05 s`
pub(super) fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    match whole {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([bytes(999), bytes(670_357), bytes(110_200_000)], ["999 B", "670.4 kB", "110.2 MB"]);
        assert_eq!(seconds(Duration::from_millis(800)), "0.8 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 min 05 s");
        assert_eq!(seconds(Duration::from_secs(3725)), "1 h 02 min");
    }
}
