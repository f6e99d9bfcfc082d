//! Which partitions there are between two ends: months, days and hours, in the time zones of schedules.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use jitney::engine::backfill::{Granularity, PartitionSchedule};
use jitney::flow::{Flow, parse};
use jitney::tasks;

fn flow(triggers: &str) -> Flow {
    let text = format!("id: f\nnamespace: n\ntasks:\n  - {{id: t, type: log, message: x}}\n{triggers}");
    let parsed = parse("f.yaml", &text, tasks::ALL);
    parsed.flow.unwrap_or_else(|| panic!("{:?}", parsed.findings))
}

fn schedule(cron: &str, zone: &str) -> Flow {
    flow(&format!("triggers:\n  - {{id: s, type: schedule, cron: '{cron}', timezone: {zone}}}\n"))
}

/// The partitions as `name = moment`.
fn slots(flow: &Flow, every: Option<&str>, from: &str, to: &str) -> Vec<String> {
    let slots = PartitionSchedule::find(flow, None, every).unwrap().keys(from, to).unwrap();
    slots.iter().map(|slot| format!("{} = {}", slot.label, slot.date.format("%Y-%m-%dT%H:%MZ"))).collect()
}

#[test]
fn both_ends_are_in_whatever_their_length() {
    let plain = flow("");
    let months = slots(&plain, None, "2019-11", "2020-02");
    assert_eq!(months.len(), 4);
    assert_eq!(
        (months[0].as_str(), months[3].as_str()),
        ("2019-11 = 2019-11-01T00:00Z", "2020-02 = 2020-02-01T00:00Z")
    );
    assert_eq!(slots(&plain, None, "2019", "2020").len(), 24);
    assert_eq!(slots(&plain, Some("day"), "2020-02", "2020-02").len(), 29);
    assert_eq!(slots(&plain, Some("day"), "2020-02-28", "2020-03-01").len(), 3);
    assert_eq!(slots(&plain, Some("hour"), "2020-02-28", "2020-02-28T02:00").len(), 3);
    assert_eq!(
        slots(&plain, Some("hour"), "2020-02-28T01:00", "2020-02-28T01:00"),
        ["2020-02-28T01:00 = 2020-02-28T01:00Z"]
    );
}

#[test]
fn an_hour_a_minute_and_a_second_are_as_long_as_they_are_written() {
    let often = schedule("0/10 * * * *", "UTC");
    let named = |from: &str, to: &str| {
        slots(&often, None, from, to).iter().map(|slot| slot[11..16].to_owned()).collect::<Vec<_>>()
    };
    let hour = ["00:00", "00:10", "00:20", "00:30", "00:40", "00:50"];
    for written in ["2026-01-01T00:00", "2026-01-01 00:00", "2026-01-01T00"] {
        assert_eq!(named(written, written), hour, "{written}");
    }
    assert_eq!(named("2026-01-01T00:10", "2026-01-01T00:30"), hour[1..4]);
    assert_eq!(named("2026-01-01T00:00", "2026-01-01T00:00:00"), hour[..1]);
    assert_eq!(named("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), hour[..1]);
    assert_eq!(named("2026-01-01T00:50", "2026-01-01T01").len(), 7);
}

#[test]
fn ends_are_read_in_the_zone_of_the_schedule() {
    // The first of January in Auckland begins on the last of December elsewhere.
    let auckland = schedule("0 0 1 * *", "Pacific/Auckland");
    assert_eq!(
        slots(&auckland, None, "2019-01", "2019-02"),
        ["2019-01 = 2018-12-31T11:00Z", "2019-02 = 2019-01-31T11:00Z"]
    );
    let late = schedule("30 23 L * *", "America/New_York");
    assert_eq!(slots(&late, None, "2019-01", "2019-01"), ["2019-01 = 2019-02-01T04:30Z"]);
    assert_eq!(slots(&late, None, "2019-01-31", "2019-01-31"), ["2019-01 = 2019-02-01T04:30Z"]);
}

#[test]
fn an_hour_that_comes_twice_has_two_names_and_one_that_never_comes_has_none() {
    let berlin = schedule("0 * * * *", "Europe/Berlin");
    let autumn = slots(&berlin, None, "2021-10-31", "2021-10-31");
    assert_eq!(autumn.len(), 25);
    assert_eq!(
        autumn[2..4],
        ["2021-10-31T02:00:00+02:00 = 2021-10-31T00:00Z", "2021-10-31T02:00:00+01:00 = 2021-10-31T01:00Z"]
    );
    assert_eq!(slots(&berlin, None, "2021-10-31T02:00", "2021-10-31T02:00").len(), 2, "both readings of the hour");
    assert_eq!(slots(&berlin, None, "2021-03-28", "2021-03-28").len(), 23);
}

#[test]
fn names_are_as_fine_as_the_schedule() {
    let granularity = |cron: &str| {
        let flow = schedule(cron, "UTC");
        PartitionSchedule::find(&flow, None, None).unwrap().granularity("2019-01-31T00:00:00Z".parse().unwrap())
    };
    assert_eq!(granularity("0 9 1 * *"), Granularity::Month);
    assert_eq!(granularity("@yearly"), Granularity::Month);
    assert_eq!(granularity("0 9 * * 1"), Granularity::Day);
    assert_eq!(granularity("*/15 * * * *"), Granularity::Minute);
}

#[test]
fn it_is_said_what_is_wrong_with_ends_and_schedules() {
    let plain = flow("");
    let error = |from: &str, to: &str| PartitionSchedule::find(&plain, None, None).unwrap().keys(from, to).unwrap_err();
    assert_eq!(
        error("2019-13", "2020"),
        "`2019-13` is not a month (2019-01), day (2019-01-31), hour (2019-01-31T06:00) or year (2019)"
    );
    assert_eq!(error("2019-02", "2019-01"), "the end 2019-01 is before the start 2019-02");
    assert_eq!(error("2019-01-02", "2019-01-03"), "the schedule has no moment from 2019-01-02 to 2019-01-03");
    let two =
        flow("triggers:\n  - {id: a, type: schedule, cron: '@daily'}\n  - {id: b, type: schedule, cron: '@daily'}\n");
    let error = |trigger| PartitionSchedule::find(&two, trigger, None).unwrap_err();
    assert_eq!(error(None), "the flow `f` has several schedules: choose one with --trigger; it has `a`, `b`");
    assert_eq!(error(Some("c")), "the flow `f` has no schedule `c`; it has `a`, `b`");
}
