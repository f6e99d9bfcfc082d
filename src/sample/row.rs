//! A trip as a line of CSV, in the format of the published files.

use chrono::DateTime;

use super::month::TaxiColour;
use super::trip::Trip;

/// Both clocks of a trip are printed from seconds since 1970, in New York's time of the day.
pub(super) fn write(
    line: &mut Vec<u8>,
    colour: TaxiColour,
    clock: &mut TimestampPrinter,
    pickup: i64,
    trip: &Trip,
    long: bool,
) {
    let mut row = RowWriter { line, clock };
    let meter = trip.meter.as_ref();
    let whole = |read: fn(&super::trip::Fare) -> i64| meter.map(read);
    row.whole(whole(|meter| meter.vendor));
    row.moment(pickup);
    row.moment(pickup + trip.seconds);
    if colour == TaxiColour::Yellow {
        row.whole(whole(|meter| meter.passengers));
        row.distance(trip.distance);
        row.whole(whole(|meter| meter.rate));
        row.flag(meter.map(|meter| meter.stored));
        row.whole(Some(trip.from));
        row.whole(Some(trip.to));
        row.whole(whole(|meter| meter.payment));
    } else {
        row.flag(meter.map(|meter| meter.stored));
        row.whole(whole(|meter| meter.rate));
        row.whole(Some(trip.from));
        row.whole(Some(trip.to));
        row.whole(whole(|meter| meter.passengers));
        row.distance(trip.distance);
    }
    for amount in [trip.fare, trip.extra, trip.mta_tax] {
        row.money(amount);
    }
    if long {
        row.long(trip.tip);
    } else {
        row.money(trip.tip);
    }
    row.money(trip.tolls);
    if colour == TaxiColour::Green {
        row.whole(None); // ehail_fee has been empty for years
    }
    if long {
        row.long(trip.improvement);
    } else {
        row.money(trip.improvement);
    }
    row.money(trip.total());
    if colour == TaxiColour::Green {
        row.whole(whole(|meter| meter.payment));
        row.whole(whole(|meter| meter.trip_type));
    }
    match trip.congestion {
        Some(amount) => row.money(amount),
        None => row.whole(None),
    }
    line.pop();
    line.extend_from_slice(colour.line_end());
}

/// Prints timestamps; caches the last day, because most trips start and end on the same day.
#[derive(Default)]
pub(super) struct TimestampPrinter {
    day: i64,
    text: String,
}

impl TimestampPrinter {
    fn print(&mut self, line: &mut Vec<u8>, moment: i64) {
        let day = moment.div_euclid(86_400);
        if self.text.is_empty() || day != self.day {
            self.day = day;
            self.text =
                DateTime::from_timestamp(day * 86_400, 0).map_or(String::new(), |at| at.date_naive().to_string());
        }
        let second = moment.rem_euclid(86_400);
        line.extend_from_slice(self.text.as_bytes());
        for (mark, number) in [(b' ', second / 3600), (b':', second / 60 % 60), (b':', second % 60)] {
            line.extend_from_slice(&[mark, b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]);
        }
    }
}

struct RowWriter<'a> {
    line: &'a mut Vec<u8>,
    clock: &'a mut TimestampPrinter,
}

impl RowWriter<'_> {
    fn moment(&mut self, moment: i64) {
        self.clock.print(self.line, moment);
        self.line.push(b',');
    }

    fn whole(&mut self, number: Option<i64>) {
        if let Some(number) = number {
            self.line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
        self.line.push(b',');
    }

    fn flag(&mut self, stored: Option<bool>) {
        if let Some(stored) = stored {
            self.line.push(if stored { b'Y' } else { b'N' });
        }
        self.line.push(b',');
    }

    /// Always two decimals and no zero before the point: `1.00`, `.83`, `.00`.
    fn distance(&mut self, hundredths: i64) {
        if hundredths >= 100 {
            self.line.extend_from_slice(itoa::Buffer::new().format(hundredths / 100).as_bytes());
        }
        let rest = hundredths % 100;
        self.line.extend_from_slice(&[b'.', b'0' + (rest / 10) as u8, b'0' + (rest % 10) as u8, b',']);
    }

    /// As short as can be: `8.5`, `-0.3`, `10`.
    fn money(&mut self, cents: i64) {
        if cents < 0 {
            self.line.push(b'-');
        }
        let cents = cents.unsigned_abs();
        self.line.extend_from_slice(itoa::Buffer::new().format(cents / 100).as_bytes());
        let (tens, ones) = ((cents / 10 % 10) as u8, (cents % 10) as u8);
        match (tens, ones) {
            (0, 0) => {}
            (_, 0) => self.line.extend_from_slice(&[b'.', b'0' + tens]),
            _ => self.line.extend_from_slice(&[b'.', b'0' + tens, b'0' + ones]),
        }
        self.line.push(b',');
    }

    /// With 17 digits, as some exporters write it: `0.29999999999999999`. It is the same number to any reader.
    fn long(&mut self, cents: i64) {
        let value = cents as f64 / 100.0;
        let decimals = if value.abs() < 1.0 {
            17
        } else if value.abs() < 10.0 {
            16
        } else {
            15
        };
        self.line.extend_from_slice(format!("{value:.decimals$},").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(print: impl Fn(&mut RowWriter)) -> String {
        let (mut line, mut clock) = (Vec::new(), TimestampPrinter::default());
        print(&mut RowWriter { line: &mut line, clock: &mut clock });
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn numbers_look_as_published() {
        assert_eq!(
            printed(|row| [0, 850, 930, -30, 1184, 605].map(|cents| row.money(cents)).into_iter().collect()),
            "0,8.5,9.3,-0.3,11.84,6.05,"
        );
        assert_eq!(
            printed(|row| [0, 83, 100, 1297].map(|miles| row.distance(miles)).into_iter().collect()),
            ".00,.83,1.00,12.97,"
        );
        assert_eq!(printed(|row| row.long(30)), "0.29999999999999999,");
        for cents in [0, 1, 30, 275, 612, 1395, -250] {
            let text = printed(|row| row.long(cents));
            assert_eq!(text.trim_end_matches(',').parse::<f64>().unwrap(), cents as f64 / 100.0);
        }
    }

    #[test]
    fn moments_cross_midnight() {
        let text =
            printed(|row| [1_585_699_442, 1_585_785_600, 0].map(|moment| row.moment(moment)).into_iter().collect());
        assert_eq!(text, "2020-04-01 00:04:02,2020-04-02 00:00:00,1970-01-01 00:00:00,");
    }
}
