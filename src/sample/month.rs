//! A synthetic month in the published format, including its irregularities.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use chrono::{Datelike, Months, NaiveDate, Weekday};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::random::SeededRng;
use super::row::{self, TimestampPrinter};
use super::trip::Trip;

/// Which taxis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaxiColour {
    /// Those of Manhattan.
    Yellow,
    /// Those of the other boroughs.
    Green,
}

const YELLOW: &str = "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,RatecodeID,\
store_and_fwd_flag,PULocationID,DOLocationID,payment_type,fare_amount,extra,mta_tax,tip_amount,tolls_amount,\
improvement_surcharge,total_amount,congestion_surcharge";
const GREEN: &str = "VendorID,lpep_pickup_datetime,lpep_dropoff_datetime,store_and_fwd_flag,RatecodeID,PULocationID,\
DOLocationID,passenger_count,trip_distance,fare_amount,extra,mta_tax,tip_amount,tolls_amount,ehail_fee,\
improvement_surcharge,total_amount,payment_type,trip_type,congestion_surcharge";

impl TaxiColour {
    /// The name in addresses and file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yellow => "yellow",
            Self::Green => "green",
        }
    }

    /// The published name of a month's file: `green_tripdata_2019-01.csv.gz`.
    pub fn file_name(self, year: i32, month: u32) -> String {
        format!("{}_tripdata_{year}-{month:02}.csv.gz", self.as_str())
    }

    fn header(self) -> &'static str {
        if self == Self::Yellow { YELLOW } else { GREEN }
    }

    pub(super) fn line_end(self) -> &'static [u8] {
        if self == Self::Yellow { b"\n" } else { b"\r\n" }
    }

    pub(super) fn congestion(self, random: &mut SeededRng) -> i64 {
        let (paying, amount) = if self == Self::Yellow { (920, 250) } else { (300, 275) };
        if random.per_mille(paying) { amount } else { 0 }
    }
}

/// The content of a file, counted while it was written, to compare with what was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonthFacts {
    /// Data rows, without header and blank line.
    pub rows: u64,
    /// The sum of `total_amount` in cents.
    pub total_cents: i64,
    /// Bytes of the CSV before compression.
    pub raw_bytes: u64,
    /// Pickups on each day of the month, the first day first; those outside the month are not counted.
    pub trips_per_day: Vec<u64>,
}

/// Writes a month of `rows` invented trips: gzip if the path ends in `.gz`, else plain CSV. The same arguments always
/// give the same rows, and no two rows are alike.
///
/// It has the irregularities of the published files: from 2020 on a last third without vendor, flags, passengers and
/// payment; refunds; trips without passengers or distance; a few pickups outside the month, one of them in 2009; no
/// congestion surcharge before February 2019; a blank second line in January, May and September; numbers with 17
/// digits; CRLF in green files.
///
/// # Errors
/// When the file cannot be written, or there is no such month.
pub fn write_month(
    path: &Path,
    colour: TaxiColour,
    year: i32,
    month: u32,
    rows: u64,
    seed: u64,
) -> io::Result<MonthFacts> {
    let first = NaiveDate::from_ymd_opt(year, month, 1).ok_or_else(|| no_month(year, month))?;
    let next = first.checked_add_months(Months::new(1)).ok_or_else(|| no_month(year, month))?;
    let random = SeededRng::new(seed ^ (year.unsigned_abs() as u64) << 40 ^ u64::from(month) << 32 ^ colour as u64);
    let file = BufWriter::with_capacity(1 << 16, File::create(path)?);
    if path.extension().is_some_and(|extension| extension == "gz") {
        let mut month = MonthWriter::new(colour, first, next, random, GzEncoder::new(file, Compression::fast()));
        month.write(rows)?;
        month.out.finish()?.into_inner()?.sync_all()?;
        Ok(month.facts)
    } else {
        let mut month = MonthWriter::new(colour, first, next, random, file);
        month.write(rows)?;
        month.out.flush()?;
        Ok(month.facts)
    }
}

fn no_month(year: i32, month: u32) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("there is no month {year}-{month}"))
}

/// Trips per thousand in each hour of the day.
const HOURS: [u64; 24] = [27, 18, 12, 9, 8, 10, 22, 38, 48, 47, 46, 48, 51, 51, 54, 56, 52, 59, 68, 68, 61, 58, 52, 37];

struct MonthWriter<W> {
    colour: TaxiColour,
    first: NaiveDate,
    next: NaiveDate,
    random: SeededRng,
    out: W,
    facts: MonthFacts,
    clock: TimestampPrinter,
    line: Vec<u8>,
    /// The pairs of zones of trips that started in this second, so that no two rows are equal.
    second: (i64, Vec<(i64, i64)>),
}

impl<W: Write> MonthWriter<W> {
    fn new(colour: TaxiColour, first: NaiveDate, next: NaiveDate, random: SeededRng, out: W) -> Self {
        let days = (next - first).num_days().unsigned_abs() as usize;
        let facts = MonthFacts { rows: 0, total_cents: 0, raw_bytes: 0, trips_per_day: vec![0; days] };
        let second = (i64::MIN, Vec::new());
        Self { colour, first, next, random, out, facts, clock: TimestampPrinter::default(), line: Vec::new(), second }
    }

    fn write(&mut self, rows: u64) -> io::Result<()> {
        self.line.extend_from_slice(self.colour.header().as_bytes());
        self.line.extend_from_slice(self.colour.line_end());
        if self.first.month() % 4 == 1 {
            self.line.extend_from_slice(self.colour.line_end());
        }
        self.put()?;
        let strays = self.strays(rows);
        let unmetered = if self.first.year() >= 2020 { (rows - strays.len() as u64) / 3 } else { 0 };
        for &pickup in &strays {
            self.trip(pickup, true)?;
        }
        let days = self.first.iter_days().take(self.facts.trips_per_day.len());
        let weights: Vec<u64> = days.map(|day| self.weight(day)).collect();
        self.pass(rows - strays.len() as u64 - unmetered, &weights, true)?;
        self.pass(unmetered, &weights, false)?;
        self.put()
    }

    /// Pickups outside the month: clocks that were never set, and trips around midnight of the first and the last day.
    fn strays(&mut self, rows: u64) -> Vec<i64> {
        if rows < 100 {
            return Vec::new();
        }
        let (first, next) = (midnight(self.first), midnight(self.next));
        let never_set = NaiveDate::from_ymd_opt(2009, 1, 1).map(|day| midnight(day) + 1871);
        let around = 1 + rows.min(4_000_000) / 100_000;
        let before = (0..around).map(|nth| first - 1 - 7 * nth as i64);
        let after = (0..around).map(|nth| next + 11 * nth as i64);
        never_set.into_iter().chain(before).chain(after).collect()
    }

    /// Writes trips from the first second of the month to the last.
    fn pass(&mut self, rows: u64, weights: &[u64], metered: bool) -> io::Result<()> {
        self.second = (i64::MIN, Vec::new());
        for (day, trips) in self.first.iter_days().zip(shares(rows, weights)) {
            for (hour, trips) in (0..).zip(shares(trips, &HOURS)) {
                let start = midnight(day) + hour * 3600;
                for nth in 0..trips {
                    // Evenly spread with some jitter, in ascending order.
                    let place = nth * 3600 + self.random.below(3600);
                    self.trip(start + (place / trips) as i64, metered)?;
                }
            }
        }
        Ok(())
    }

    /// The weight of a day: by day of the week, with some random variation and occasional bad weather.
    fn weight(&mut self, day: NaiveDate) -> u64 {
        let usual = match day.weekday() {
            Weekday::Sun => 70,
            Weekday::Mon => 82,
            Weekday::Tue => 92,
            Weekday::Wed => 98,
            Weekday::Thu => 106,
            Weekday::Fri => 122,
            Weekday::Sat => 112,
        };
        let weather = if self.random.per_mille(60) { 55 } else { 94 + self.random.below(13) };
        usual * weather
    }

    fn trip(&mut self, pickup: i64, metered: bool) -> io::Result<()> {
        let hour = pickup.rem_euclid(86_400) / 3600;
        let congestion = (self.first.year(), self.first.month()) >= (2019, 2);
        let mut trip = Trip::invent(&mut self.random, self.colour, hour, metered, congestion);
        if self.second.0 != pickup {
            self.second = (pickup, std::mem::take(&mut self.second.1));
            self.second.1.clear();
        }
        while self.second.1.contains(&(trip.from, trip.to)) {
            (trip.from, trip.to) = (self.random.between(1, 265), self.random.between(1, 265));
        }
        self.second.1.push((trip.from, trip.to));
        let long = self.random.per_mille(20);
        row::write(&mut self.line, self.colour, &mut self.clock, pickup, &trip, long);
        self.count(pickup, trip.total());
        if self.line.len() > 1 << 16 { self.put() } else { Ok(()) }
    }

    fn count(&mut self, pickup: i64, total: i64) {
        self.facts.rows += 1;
        self.facts.total_cents += total;
        let day = (pickup - midnight(self.first)).div_euclid(86_400);
        if let Some(trips) = usize::try_from(day).ok().and_then(|day| self.facts.trips_per_day.get_mut(day)) {
            *trips += 1;
        }
    }

    fn put(&mut self) -> io::Result<()> {
        self.facts.raw_bytes += self.line.len() as u64;
        self.out.write_all(&self.line)?;
        self.line.clear();
        Ok(())
    }
}

/// The start of a day in seconds since 1970, in local time.
fn midnight(day: NaiveDate) -> i64 {
    day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp()
}

/// Divides `total` by weight, without remainder.
fn shares(total: u64, weights: &[u64]) -> Vec<u64> {
    let sum = weights.iter().sum::<u64>().max(1);
    let upto = |weight: u64| (u128::from(total) * u128::from(weight) / u128::from(sum)) as u64;
    let mut done = 0;
    let mut share = |weight: &u64| {
        let before = upto(done);
        done += weight;
        upto(done) - before
    };
    weights.iter().map(&mut share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::io::Read;

    fn month(colour: TaxiColour, year: i32, month: u32, rows: u64) -> (MonthFacts, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(colour.file_name(year, month));
        let facts = write_month(&path, colour, year, month, rows, 7).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(File::open(&path).unwrap()).read_to_string(&mut text).unwrap();
        (facts, text)
    }

    fn column(text: &str, name: &str) -> Vec<String> {
        let mut lines = text.lines().filter(|line| !line.is_empty());
        let index = lines.next().unwrap().split(',').position(|column| column == name).unwrap();
        lines.map(|line| line.split(',').nth(index).unwrap().to_owned()).collect()
    }

    #[test]
    fn the_facts_are_what_is_in_the_file() {
        for (colour, columns) in [(TaxiColour::Yellow, 18), (TaxiColour::Green, 20)] {
            let (facts, text) = month(colour, 2020, 4, 30_000);
            let rows: Vec<_> = text.lines().skip(1).collect();
            assert_eq!((facts.rows, facts.raw_bytes), (30_000, text.len() as u64));
            assert_eq!(rows.len(), 30_000);
            assert!(rows.iter().all(|row| row.split(',').count() == columns));
            assert_eq!(rows.iter().collect::<HashSet<_>>().len(), rows.len(), "no two rows should be alike");
            let cents = |text: &String| (text.parse::<f64>().unwrap() * 100.0).round() as i64;
            assert_eq!(column(&text, "total_amount").iter().map(cents).sum::<i64>(), facts.total_cents);
            let pickups = column(
                &text,
                if colour == TaxiColour::Yellow { "tpep_pickup_datetime" } else { "lpep_pickup_datetime" },
            );
            for (day, trips) in (1..).zip(&facts.trips_per_day) {
                let date = format!("2020-04-{day:02} ");
                assert_eq!(pickups.iter().filter(|pickup| pickup.starts_with(&date)).count() as u64, *trips, "{date}");
            }
        }
    }

    #[test]
    fn the_oddities_of_published_files_are_in() {
        let (facts, text) = month(TaxiColour::Green, 2020, 5, 30_000);
        assert!(text.contains("\r\n\r\n2,") || text.contains("\r\n\r\n1,"), "a blank second line, and CRLF");
        let count =
            |name: &str, matches: fn(&str) -> bool| column(&text, name).iter().filter(|text| matches(text)).count();
        assert!((9_900..10_001).contains(&count("VendorID", str::is_empty)));
        assert_eq!(count("VendorID", str::is_empty), count("payment_type", str::is_empty));
        assert_eq!(count("ehail_fee", str::is_empty), 30_000);
        assert_eq!(count("lpep_pickup_datetime", |text| text.starts_with("2009-")), 1);
        assert!(facts.trips_per_day.iter().sum::<u64>() < facts.rows);
        assert!(count("fare_amount", |text| text.starts_with('-')) > 10);
        assert!(count("passenger_count", |text| text == "0") > 10);
        assert!(count("trip_distance", |text| text == ".00") > 10);
        assert!(count("improvement_surcharge", |text| text.len() > 16) > 10);
        let (_, before) = month(TaxiColour::Yellow, 2019, 1, 1000);
        assert!(column(&before, "congestion_surcharge").iter().all(String::is_empty));
        assert!(!column(&before, "VendorID").contains(&String::new()) && !before.contains('\r'));
    }

    #[test]
    fn a_month_is_the_same_every_time_and_of_any_length() {
        assert_eq!(month(TaxiColour::Green, 2021, 2, 500), month(TaxiColour::Green, 2021, 2, 500));
        assert_ne!(month(TaxiColour::Green, 2021, 2, 500).1, month(TaxiColour::Green, 2021, 3, 500).1);
        for rows in [0, 1, 99, 100] {
            assert_eq!(month(TaxiColour::Yellow, 2019, 2, rows).1.lines().count() as u64, rows + 1);
        }
        assert!(write_month(Path::new("unused"), TaxiColour::Green, 2020, 13, 1, 1).is_err());
    }
}
