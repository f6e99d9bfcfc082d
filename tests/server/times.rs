//! Schedules through the real scheduler, executor and journal, on a clock of the test's own.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use jitney::engine::clock::Clock;
use jitney::journal::TriggerKey;
use tokio_util::sync::CancellationToken;

use crate::server::world::{Server, World, logged, until};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A clock that is wherever somebody waits for.
struct FakeClock {
    now: Mutex<DateTime<Utc>>,
    end: DateTime<Utc>,
    arrived: CancellationToken,
}

impl Clock for FakeClock {
    fn now(&self) -> DateTime<Utc> {
        *self.now.lock().unwrap()
    }

    fn until(&self, moment: DateTime<Utc>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        // What the scheduler looks for every ten seconds is not worth a stop on the way.
        let step = self.now() + TimeDelta::hours(6);
        let next = if moment < self.now() + TimeDelta::seconds(11) { moment.max(step) } else { moment };
        *self.now.lock().unwrap() = next.min(self.end);
        if next >= self.end {
            self.arrived.cancel();
        }
        Box::pin(tokio::task::yield_now())
    }
}

/// The dates of a flow's executions, in the order of their dates.
fn dates(server: &Server, flow: &str) -> Vec<DateTime<Utc>> {
    let mut dates: Vec<_> =
        server.executions(flow).into_iter().filter_map(|execution| execution.trigger_date).collect();
    dates.sort();
    dates
}

const ZONES: [&str; 5] = ["UTC", "America/New_York", "Europe/Paris", "Asia/Kathmandu", "Australia/Lord_Howe"];

fn monthly(zone: &str) -> String {
    let head = "tasks:\n  - {id: p, type: probe, says: \"{{ trigger.date }}\"}\n";
    format!(
        "{head}triggers:\n  - {{id: monthly, type: schedule, cron: \"30 2 1 * *\", timezone: {zone}, \
         allowConcurrent: true}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn five_years_of_schedules_run_in_every_zone_across_two_crashes() {
    let world = World::new();
    let ids: Vec<String> = (0..ZONES.len()).map(|number| format!("monthly_{number}")).collect();
    ids.iter().zip(ZONES).for_each(|(id, zone)| world.write(id, &monthly(zone)));
    let (begin, end) = (at("2019-01-15T00:00:00Z"), at("2024-01-15T00:00:00Z"));
    let mut now = begin;
    for stop in [at("2020-10-25T01:30:00Z"), at("2022-03-01T02:30:00Z"), end] {
        let server = world.server();
        let (arrived, now_) = (CancellationToken::new(), Mutex::new(now));
        let journey = Arc::new(FakeClock { now: now_, end: stop, arrived: arrived.clone() });
        server.scheduler.run(journey, arrived).await;
        server.scheduler.turn(stop).unwrap();
        now = stop;
    }
    let server = world.server();
    until("all have ended", || ids.iter().all(|id| server.executions(id).iter().all(|e| e.ended.is_some()))).await;
    for (id, zone) in ids.iter().zip(ZONES) {
        let zone: Tz = zone.parse().unwrap();
        let months = (0..60).map(|month| (2019 + (month + 1) / 12, (month + 1) % 12 + 1));
        let expected: Vec<DateTime<Utc>> = months
            .map(|(year, month)| zone.with_ymd_and_hms(year, month as u32, 1, 2, 30, 0).unwrap().to_utc())
            .collect();
        assert_eq!(dates(&server, id), expected, "{zone}");
        assert_eq!(server.states(id).into_iter().collect::<Vec<_>>(), [("SUCCESS".to_owned(), 60)]);
    }
    let first = &server.executions("monthly_1")[0].id;
    let state = server.executor.journal().state(first).unwrap().unwrap();
    let said = state.tasks.values().next().unwrap().outputs["said"].as_str().unwrap().to_owned();
    assert_eq!(said, "2019-02-01T02:30:00.000-05:00", "the date is seen in the schedule's zone");
}

fn scheduled(fields: &str) -> String {
    format!("tasks:\n  - {{id: p, type: probe}}\ntriggers:\n  - {{id: t, type: schedule, {fields}}}\n")
}

/// The hours of the executions that a schedule starts when a server comes back after some hours.
async fn hours_after_absence(fields: &str) -> Vec<String> {
    let world = World::new();
    world.write("missed", &scheduled(&format!("cron: \"0 * * * *\", {fields}")));
    let first = world.server();
    first.scheduler.turn(at("2024-05-01T09:30:00Z")).unwrap();
    drop(first);
    let back = world.server();
    let mut now = at("2024-05-01T14:20:00Z");
    back.scheduler.turn(now).unwrap();
    for _ in 0..10 {
        until("it has ended", || back.executions("missed").iter().all(|execution| execution.ended.is_some())).await;
        now += TimeDelta::seconds(1);
        back.scheduler.turn(now).unwrap();
    }
    dates(&back, "missed").iter().map(|date| date.format("%H:%M").to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn missed_times_are_recovered_as_configured() {
    assert_eq!(hours_after_absence("recoverMissedSchedules: ALL").await, ["10:00", "11:00", "12:00", "13:00", "14:00"]);
    assert_eq!(hours_after_absence("recoverMissedSchedules: LAST").await, ["14:00"]);
    assert!(hours_after_absence("recoverMissedSchedules: NONE").await.is_empty());
    assert_eq!(hours_after_absence("lateMaximumDelay: PT2H").await, ["13:00", "14:00"]);
    assert!(hours_after_absence("disabled: true").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_runs_one_at_a_time_and_catches_up_in_order() {
    let world = World::new();
    let text = scheduled("cron: \"0 * * * *\"").replace("type: probe}", "type: probe, millis: 100}");
    world.write("alone", &text);
    let server = world.server();
    server.scheduler.turn(at("2024-05-01T00:30:00Z")).unwrap();
    let mut now = at("2024-05-01T04:00:00Z");
    while server.executions("alone").len() < 4 {
        server.scheduler.turn(now).unwrap();
        now += TimeDelta::seconds(1);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    until("all have ended", || server.executions("alone").iter().all(|execution| execution.ended.is_some())).await;
    let executions = server.executions("alone");
    assert!(executions.windows(2).all(|pair| pair[1].started >= pair[0].ended), "one at a time");
    let hours: Vec<String> =
        executions.iter().map(|execution| execution.trigger_date.unwrap().format("%H").to_string()).collect();
    assert_eq!(hours, ["01", "02", "03", "04"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_start_only_one_execution_for_a_date() {
    let world = World::new();
    world.write("twice", &scheduled("cron: \"0 * * * *\", allowConcurrent: true"));
    let (one, two) = (world.server(), world.server());
    let start = at("2024-05-01T00:30:00Z");
    one.scheduler.turn(start).unwrap();
    two.scheduler.turn(start).unwrap();
    for hour in 1..6 {
        one.scheduler.turn(start + TimeDelta::hours(hour)).unwrap();
        two.scheduler.turn(start + TimeDelta::hours(hour)).unwrap();
    }
    assert_eq!(dates(&one, "twice").len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_can_be_disabled_and_disables_itself_after_a_failure() {
    let world = World::new();
    world.write("switch", &scheduled("cron: \"0 * * * *\""));
    let fails =
        scheduled("cron: \"0 * * * *\", stopAfter: [FAILED]").replace("type: probe}", "type: probe, fails: true}");
    world.write("stops", &fails);
    let server = world.server();
    let start = at("2024-05-01T00:30:00Z");
    server.scheduler.turn(start).unwrap();
    let key = TriggerKey { namespace: "n".into(), flow: "switch".into(), trigger: "t".into() };
    assert!(server.scheduler.set_disabled(&key, true, start).unwrap());
    server.scheduler.turn(start + TimeDelta::hours(3)).unwrap();
    assert!(server.executions("switch").is_empty());
    assert!(server.scheduler.set_disabled(&key, false, start + TimeDelta::hours(3)).unwrap());
    until("both have run", || {
        server.scheduler.turn(start + TimeDelta::hours(4)).unwrap();
        server.executions("switch").len() == 1 && server.states("stops").contains_key("FAILED")
    })
    .await;
    server.scheduler.turn(start + TimeDelta::hours(5)).unwrap();
    server.scheduler.turn(start + TimeDelta::hours(9)).unwrap();
    assert_eq!(dates(&server, "switch")[0], at("2024-05-01T04:00:00Z"), "the time in between is not made up for");
    assert_eq!(server.executions("stops").len(), 1);
    assert!(server.scheduler.triggers().iter().any(|trigger| trigger.flow == "stops" && trigger.disabled));
    drop(server);
    let again = world.server();
    again.scheduler.turn(start + TimeDelta::hours(20)).unwrap();
    assert_eq!(again.executions("stops").len(), 1, "a restart does not switch it on");
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_inputs_of_a_trigger_are_reported_once() {
    let world = World::new();
    let text = "inputs:\n  - {id: month, type: INT}\ntasks:\n  - {id: p, type: probe}\ntriggers:\n  - id: t\n    \
                type: schedule\n    cron: \"0 * * * *\"\n    inputs: {month: \"{{ trigger.date | date('MMM') }}\"}\n";
    world.write("unfit", text);
    let server = world.server();
    let start = at("2024-05-01T00:30:00Z");
    server.scheduler.turn(start).unwrap();
    server.scheduler.turn(start + TimeDelta::minutes(45)).unwrap();
    server.scheduler.turn(start + TimeDelta::minutes(50)).unwrap();
    let problems = logged("unfit");
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("trigger t: no execution for 2024-05-01 01:00:00 UTC"), "{problems:?}");
    assert!(server.executions("unfit").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_missed_times_are_recovered_in_small_batches() {
    let world = World::new();
    world.write("hourly", &scheduled("cron: \"0 * * * *\", allowConcurrent: true"));
    let server = world.server();
    let start = at("2024-05-01T00:30:00Z");
    server.scheduler.turn(start).unwrap();
    let now = start + TimeDelta::hours(120);
    let mut steps = 0;
    while server.scheduler.turn(now).unwrap().is_some_and(|next| next <= now) {
        steps += 1;
        assert!(server.executions("hourly").len() <= 25 * steps, "others had to wait for all of it");
    }
    assert_eq!(dates(&server, "hourly").len(), 120);
}
