//! One synthetic taxi trip: plausible, with the irregularities of published trips.

use super::month::TaxiColour;
use super::random::SeededRng;

/// A trip. Money is in cents, distance in hundredths of a mile, time in seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Trip {
    /// None if only the fare was recorded: vendor, flags, passengers and payment are then missing.
    pub(super) meter: Option<Fare>,
    pub(super) seconds: i64,
    pub(super) distance: i64,
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) fare: i64,
    pub(super) extra: i64,
    pub(super) mta_tax: i64,
    pub(super) tip: i64,
    pub(super) tolls: i64,
    pub(super) improvement: i64,
    /// None where the column is empty.
    pub(super) congestion: Option<i64>,
}

/// The fields recorded by a working meter.
#[derive(Clone, Debug, Default)]
pub(super) struct Fare {
    pub(super) vendor: i64,
    pub(super) stored: bool,
    pub(super) rate: i64,
    pub(super) passengers: i64,
    pub(super) payment: i64,
    pub(super) trip_type: i64,
}

const CARD: i64 = 1;
const CASH: i64 = 2;
const DISPUTE: i64 = 4;
/// The zones in which most trips start.
const BUSY: [i64; 24] =
    [7, 41, 42, 43, 48, 74, 75, 79, 90, 95, 100, 107, 132, 138, 142, 161, 162, 166, 170, 186, 230, 236, 237, 244];

impl Trip {
    /// Generates a trip that starts in this hour of the day. `congestion` is whether the surcharge exists yet.
    pub(super) fn invent(
        random: &mut SeededRng,
        colour: TaxiColour,
        hour: i64,
        metered: bool,
        congestion: bool,
    ) -> Self {
        let mut trip = Self { from: zone(random), to: zone(random), improvement: 30, ..Self::default() };
        trip.distance = distance(random);
        let per_mile = random.between(180, 420);
        trip.seconds = 60 + trip.distance * per_mile / 100 + random.between(0, 119);
        trip.fare = metered_fare(trip.distance, trip.seconds);
        trip.extra = match hour {
            20..=23 | 0..=5 => 50,
            16..=19 => 100,
            _ => 0,
        };
        trip.mta_tax = 50;
        trip.tolls = if trip.distance > 900 && random.per_mille(350) { 612 } else { 0 };
        trip.congestion = congestion.then(|| colour.congestion(random));
        if metered {
            trip.pay(random);
        } else {
            trip.fare += random.between(0, 49);
            trip.tip = random.pick(&[0, 0, 275, 612, 1395], 0);
            trip.congestion = None;
        }
        trip
    }

    fn pay(&mut self, random: &mut SeededRng) {
        let card = random.per_mille(680);
        let mut meter = Fare {
            vendor: if random.per_mille(330) { 1 } else { 2 },
            stored: random.per_mille(7),
            rate: 1,
            passengers: random.pick(&[1, 1, 1, 1, 1, 1, 2, 2, 3, 4, 5, 6], 1),
            payment: if card { CARD } else { CASH },
            trip_type: 1,
        };
        if meter.vendor == 1 && random.per_mille(60) {
            meter.passengers = 0;
        }
        if card {
            let due = self.total();
            self.tip = due * random.pick(&[0, 10, 15, 20, 20, 20, 25], 0) / 100;
        }
        match random.below(1000) {
            0..4 => self.refund(&mut meter),
            4..24 => self.agree(random, &mut meter),
            _ => {}
        }
        self.meter = Some(meter);
    }

    /// A refund is a separate row with negated amounts.
    fn refund(&mut self, meter: &mut Fare) {
        meter.payment = DISPUTE;
        for amount in [&mut self.fare, &mut self.extra, &mut self.mta_tax, &mut self.improvement, &mut self.tolls] {
            *amount = -*amount;
        }
        self.tip = 0;
        self.congestion = self.congestion.map(|amount| -amount);
    }

    /// A price agreed beforehand: no meter, often no distance.
    fn agree(&mut self, random: &mut SeededRng, meter: &mut Fare) {
        (meter.rate, meter.trip_type) = (5, 2);
        (self.fare, self.extra, self.mta_tax, self.improvement) = (random.between(8, 90) * 100, 0, 0, 0);
        if random.per_mille(500) {
            self.distance = 0;
        }
    }

    /// The sum of the parts.
    pub(super) fn total(&self) -> i64 {
        let fixed = self.fare + self.extra + self.mta_tax + self.tip + self.tolls + self.improvement;
        fixed + self.congestion.unwrap_or(0)
    }
}

fn zone(random: &mut SeededRng) -> i64 {
    if random.per_mille(600) { random.pick(&BUSY, 74) } else { random.between(1, 265) }
}

/// Mostly one to three miles, sometimes fifteen. Integers only, so that every machine computes the same.
fn distance(random: &mut SeededRng) -> i64 {
    let (near, far) = (random.between(0, 1000), random.between(0, 1000));
    40 + near * near / 3500 + (far * far / 1000) * (far * far / 1000) * (far * far / 1000) / 800_000
}

/// Fifty cents for each fifth of a mile or minute, in steps.
fn metered_fare(distance: i64, seconds: i64) -> i64 {
    250 + (distance / 20 + seconds / 180) * 50
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trips_are_plausible() {
        let mut random = SeededRng::new(1);
        let trips: Vec<_> = (0..20_000).map(|_| Trip::invent(&mut random, TaxiColour::Green, 9, true, true)).collect();
        let mean = trips.iter().map(|trip| trip.distance).sum::<i64>() / trips.len() as i64;
        assert!((150..450).contains(&mean), "a mean trip of {mean} hundredths of a mile");
        assert!(trips.iter().all(|trip| (1..=265).contains(&trip.from) && (60..7200).contains(&trip.seconds)));
        assert!(trips.iter().any(|trip| trip.total() < 0), "there should be refunds");
        assert!(trips.iter().any(|trip| trip.meter.as_ref().unwrap().passengers == 0));
    }
}
