//! Which partitions there are: the moments of a schedule between two ends, each with a name.

use chrono::{DateTime, Datelike, Utc};
use chrono_tz::Tz;

use super::period::Period;
use crate::engine::schedule;
use crate::flow::trigger::CronTimes;
use crate::flow::{Flow, Trigger};

/// The most partitions of one backfill.
const MAX_PARTITIONS: usize = 50_000;

/// The last year whose times are computed; of later ones the cron library says nothing.
const MAX_YEAR: i32 = 4999;
/// How many moments are looked at to know how far apart they are.
const SAMPLED: usize = 40;

/// What the partitions of a flow go by.
#[derive(Clone, Debug)]
pub enum PartitionSchedule<'a> {
    /// A schedule of the flow.
    Trigger(&'a Trigger, &'a CronTimes),
    /// A step that the user names.
    Every(Box<CronTimes>),
}

/// How finely partitions are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granularity {
    /// `2019-01`
    Month,
    /// `2019-01-31`
    Day,
    /// `2019-01-31T06:00`
    Minute,
    /// `2019-01-31T06:00:30`
    Second,
}

/// One moment of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionKey {
    /// The moment.
    pub date: DateTime<Utc>,
    /// Its name, unique among those of the same plan.
    pub label: String,
}

impl<'a> PartitionSchedule<'a> {
    /// The schedule of this id; without an id the flow's only one, and months where it has none.
    ///
    /// # Errors
    /// When several schedules are possible.
    pub fn find(flow: &'a Flow, trigger: Option<&str>, every: Option<&str>) -> Result<Self, String> {
        let schedules: Vec<(&Trigger, &CronTimes)> =
            flow.triggers.iter().filter_map(|trigger| Some((trigger, trigger.times()?))).collect();
        let ids: Vec<&str> = schedules.iter().map(|(trigger, _)| trigger.id.as_str()).collect();
        let known = || if ids.is_empty() { "it has none".to_owned() } else { format!("it has `{}`", ids.join("`, `")) };
        match (trigger, every, schedules.as_slice()) {
            (Some(_), Some(_), _) => Err("`trigger` and `every` cannot be combined".to_owned()),
            (Some(id), None, _) => schedules
                .iter()
                .find(|(trigger, _)| trigger.id == id)
                .map(|(trigger, times)| Self::Trigger(trigger, times))
                .ok_or_else(|| format!("the flow `{}` has no schedule `{id}`; {}", flow.id, known())),
            (None, Some(every), []) => Self::every(every),
            (None, Some(_), _) => Err(format!(
                "`every` is for a flow without a schedule, and the partitions of `{}` are the moments of its schedule; {}",
                flow.id,
                known()
            )),
            (None, None, [(trigger, times)]) => Ok(Self::Trigger(trigger, times)),
            (None, None, []) => Self::every("month"),
            (None, None, _) => {
                Err(format!("the flow `{}` has several schedules: choose one with --trigger; {}", flow.id, known()))
            }
        }
    }

    fn every(every: &str) -> Result<Self, String> {
        let cron = match every {
            "month" => "0 0 1 * *",
            "day" => "0 0 * * *",
            "hour" => "0 * * * *",
            other => return Err(format!("`{other}` is not a step; expected one of `month`, `day`, `hour`")),
        };
        let times = CronTimes::parse_expression(cron, false, Tz::UTC).map_err(|error| error.message)?;
        Ok(Self::Every(Box::new(times)))
    }

    /// The moments, conditions of the trigger aside.
    pub fn times(&self) -> &CronTimes {
        match self {
            Self::Trigger(_, times) => times,
            Self::Every(times) => times,
        }
    }

    /// The trigger, if the partitions go by one.
    pub fn trigger(&self) -> Option<&'a Trigger> {
        match self {
            Self::Trigger(trigger, _) => Some(trigger),
            Self::Every(_) => None,
        }
    }

    /// The partitions from one end to the other, both included, the earliest first.
    ///
    /// # Errors
    /// In plain words, when an end cannot be read, or there are no partitions or too many.
    pub fn keys(&self, from: &str, to: &str) -> Result<Vec<PartitionKey>, String> {
        let zone = self.times().zone();
        let begin = Period::read(from, zone)?.begin;
        let end = Period::read(to, zone)?.end;
        if end <= begin {
            return Err(format!("the end {to} is before the start {from}"));
        }
        let dates = self.between(begin, end)?;
        if dates.is_empty() {
            return Err(format!("the schedule has no moment from {from} to {to}"));
        }
        Ok(self.named(&dates))
    }

    /// The moments from `begin` on and before `end`.
    ///
    /// # Errors
    /// When a condition of the trigger cannot be decided, the end is too far away, or there are too many.
    pub fn between(&self, begin: DateTime<Utc>, end: DateTime<Utc>) -> Result<Vec<DateTime<Utc>>, String> {
        if end.year() > MAX_YEAR {
            return Err(format!("the period ends after the year {MAX_YEAR}; choose a shorter one"));
        }
        let dates: Vec<DateTime<Utc>> = match self {
            Self::Trigger(trigger, _) => {
                schedule::between(trigger, begin, end).take(MAX_PARTITIONS + 1).collect::<Result<_, _>>()?
            }
            Self::Every(times) => times.between(begin, end).take(MAX_PARTITIONS + 1).collect(),
        };
        if dates.len() > MAX_PARTITIONS {
            return Err(format!("there are more than {MAX_PARTITIONS} partitions; choose a shorter period"));
        }
        Ok(dates)
    }

    /// Names for moments.
    pub fn named(&self, dates: &[DateTime<Utc>]) -> Vec<PartitionKey> {
        let (zone, granularity) = (self.times().zone(), self.granularity(dates.first().copied().unwrap_or_default()));
        let name = |date: DateTime<Utc>, format| date.with_timezone(&zone).format(format).to_string();
        let plain: Vec<String> = dates.iter().map(|date| name(*date, granularity.format())).collect();
        let is_alone = |index: usize| {
            let other = |place: Option<usize>| place.and_then(|place| plain.get(place)) == plain.get(index);
            !other(index.checked_sub(1)) && !other(Some(index + 1))
        };
        let key = |(index, date): (usize, &DateTime<Utc>)| {
            // An hour that a clock change repeats has two moments of one name.
            let label = if is_alone(index) { plain[index].clone() } else { name(*date, "%Y-%m-%dT%H:%M:%S%:z") };
            PartitionKey { date: *date, label }
        };
        dates.iter().enumerate().map(key).collect()
    }

    /// How finely the partitions must be named to tell them apart.
    pub fn granularity(&self, from: DateTime<Utc>) -> Granularity {
        let zone = self.times().zone();
        let far = DateTime::<Utc>::MAX_UTC;
        let looked_at: Vec<_> =
            self.times().between(from, far).take(SAMPLED).map(|moment| moment.with_timezone(&zone)).collect();
        let differ = |granularity: Granularity| {
            let mut names: Vec<String> =
                looked_at.iter().map(|date| date.format(granularity.format()).to_string()).collect();
            names.dedup();
            names.len() == looked_at.len()
        };
        [Granularity::Month, Granularity::Day].into_iter().find(|granularity| differ(*granularity)).unwrap_or_else(
            || {
                let is_even = looked_at.iter().all(|date| date.format("%S").to_string() == "00");
                if is_even { Granularity::Minute } else { Granularity::Second }
            },
        )
    }
}

impl Granularity {
    fn format(self) -> &'static str {
        match self {
            Self::Month => "%Y-%m",
            Self::Day => "%Y-%m-%d",
            Self::Minute => "%Y-%m-%dT%H:%M",
            Self::Second => "%Y-%m-%dT%H:%M:%S",
        }
    }
}
