//! Triggers: what a flow may say of them, and the moments that follow from it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::time::Instant;

use chrono::{DateTime, Duration, Utc};
use jitney::engine::schedule::{between, due, facts, next, previous};
use jitney::flow::expression::{Names, NoHost};
use jitney::flow::trigger::cron::zone;
use jitney::flow::trigger::{
    ConditionContext, CronTimes, TRIGGERS, Trigger, TriggerKind, UpstreamExecution, UpstreamStatus,
};
use jitney::flow::{Flow, parse};
use jitney::tasks::ALL;

fn flow(triggers: &str) -> Flow {
    let text = format!(
        "id: f\nnamespace: n\ninputs: [{{id: taxi, type: STRING, defaults: x}}, {{id: source, type: URI, defaults: x}}]\ntasks: [{{id: t, type: log, message: x}}]\ntriggers:\n{triggers}\n"
    );
    let parsed = parse("f.yaml", &text, ALL);
    let problems: Vec<String> = parsed.findings.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    parsed.flow.unwrap()
}

fn trigger(fields: &str) -> Trigger {
    flow(&format!("  - {{id: x, {fields}}}")).triggers.remove(0)
}

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// The moments of a trigger as its zone writes them.
fn moments(trigger: &Trigger, from: &str, to: &str) -> Vec<String> {
    let times = trigger.times().unwrap();
    between(trigger, at(from), at(to)).map(|moment| times.format_local(moment.unwrap())[..16].to_owned()).collect()
}

#[test]
fn every_type_of_trigger_has_a_documented_example_that_parses() {
    for kind in TRIGGERS {
        let read = flow(&kind.example.lines().map(|line| format!("  {line}\n")).collect::<String>());
        assert_eq!(read.triggers.len(), 1, "{}", kind.name);
        let schema = (kind.schema)().to_value();
        assert!(schema["description"].is_string(), "{}", kind.name);
        for (name, field) in schema["properties"].as_object().unwrap() {
            assert!(field["description"].is_string(), "{}: `{name}` has no documentation", kind.name);
        }
    }
}

#[test]
fn a_month_comes_at_its_first_day_in_the_schedules_own_zone() {
    let monthly = trigger("type: schedule, cron: '0 9 1 * *', timezone: America/New_York");
    assert_eq!(
        moments(&monthly, "2024-02-01T00:00:00Z", "2024-05-01T00:00:00Z"),
        ["2024-02-01T09:00", "2024-03-01T09:00", "2024-04-01T09:00"]
    );
    assert_eq!(next(&monthly, at("2024-03-01T14:00:00Z")).unwrap(), Some(at("2024-04-01T13:00:00Z")));
    assert_eq!(previous(&monthly, at("2024-04-01T13:00:00Z")).unwrap(), Some(at("2024-03-01T14:00:00Z")));
    let known = facts(monthly.times(), at("2024-04-01T13:00:00Z"));
    assert_eq!(known["date"], "2024-04-01T09:00:00.000-04:00");
    assert_eq!(known["previous"], "2024-03-01T09:00:00.000-05:00");
    assert_eq!(known["next"], "2024-05-01T09:00:00.000-04:00");
}

#[test]
fn nicknames_seconds_and_both_sundays_are_understood() {
    let first = |fields: &str| {
        let trigger = trigger(&format!("type: io.kestra.plugin.core.trigger.Schedule, {fields}"));
        next(&trigger, at("2024-05-01T10:20:30Z")).unwrap().unwrap().format("%a %m-%d %H:%M:%S").to_string()
    };
    for (fields, expected) in [
        ("cron: '@hourly'", "Wed 05-01 11:00:00"),
        ("cron: '@daily'", "Thu 05-02 00:00:00"),
        ("cron: '@midnight'", "Thu 05-02 00:00:00"),
        ("cron: '@weekly'", "Sun 05-05 00:00:00"),
        ("cron: '@monthly'", "Sat 06-01 00:00:00"),
        ("cron: '@yearly'", "Wed 01-01 00:00:00"),
        ("cron: '@annually'", "Wed 01-01 00:00:00"),
        ("cron: '0 6 * * 0'", "Sun 05-05 06:00:00"),
        ("cron: '0 6 * * 7'", "Sun 05-05 06:00:00"),
        ("cron: '0 6 * * MON-FRI'", "Thu 05-02 06:00:00"),
        ("cron: '*/10 * * * * *', withSeconds: true", "Wed 05-01 10:20:40"),
        ("cron: '0 0 29 2 *'", "Tue 02-29 00:00:00"),
        ("cron: '0 0 L * *'", "Fri 05-31 00:00:00"),
        // A step may say no more than where it begins.
        ("cron: '0/10 * * * *'", "Wed 05-01 10:30:00"),
        ("cron: '5/15 * * * *'", "Wed 05-01 10:35:00"),
        ("cron: '3,25/30 * * * *'", "Wed 05-01 10:25:00"),
        ("cron: '0 1/4 * * *'", "Wed 05-01 13:00:00"),
        ("cron: '0 0 2/10 * *'", "Thu 05-02 00:00:00"),
        ("cron: '0 0 1 3/6 *'", "Sun 09-01 00:00:00"),
        ("cron: '0 0 1 MAR/6 *'", "Sun 09-01 00:00:00"),
        ("cron: '0 0 * * 5/2'", "Fri 05-03 00:00:00"),
        ("cron: '0 0 * * FRI/2'", "Fri 05-03 00:00:00"),
        ("cron: '10/20 * * * * *', withSeconds: true", "Wed 05-01 10:20:50"),
        ("cron: '0 0 ? * *'", "Thu 05-02 00:00:00"),
        ("cron: '0 0 15W 6 *'", "Fri 06-14 00:00:00"),
        ("cron: '0 0 * * MON#1'", "Mon 05-06 00:00:00"),
        ("cron: '0 0 * * 5L'", "Fri 05-31 00:00:00"),
        ("cron: '0 0 1 jan,dec sun'", "Sun 12-01 00:00:00"),
    ] {
        assert_eq!(first(fields), expected, "{fields}");
    }
}

#[test]
fn an_hour_that_a_clock_change_skips_or_repeats_runs_once() {
    let nightly = trigger("type: schedule, cron: '30 2 * * *', timezone: Europe/Paris");
    // On 31 March 2024 the clock went from 02:00 to 03:00: the first moment that exists is 03:00.
    assert_eq!(
        moments(&nightly, "2024-03-30T00:00:00Z", "2024-04-02T00:00:00Z"),
        ["2024-03-30T02:30", "2024-03-31T03:00", "2024-04-01T02:30"]
    );
    // On 27 October 2024 it went from 03:00 back to 02:00: of two the first.
    let autumn = moments(&nightly, "2024-10-26T00:00:00Z", "2024-10-29T00:00:00Z");
    assert_eq!(autumn, ["2024-10-26T02:30", "2024-10-27T02:30", "2024-10-28T02:30"]);
    // What repeats does so in real time.
    let hourly = trigger("type: schedule, cron: '0 * * * *', timezone: Europe/Paris");
    assert_eq!(moments(&hourly, "2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z").len(), 23);
    assert_eq!(moments(&hourly, "2024-10-26T22:00:00Z", "2024-10-27T23:00:00Z").len(), 25);
}

#[test]
fn five_years_of_months_days_and_hours_miss_and_repeat_nothing() {
    let (from, to) = (at("2019-01-01T00:00:00Z"), at("2024-01-01T00:00:00Z"));
    for name in [
        "UTC",
        "America/New_York",
        "Europe/Paris",
        "Asia/Tokyo",
        "Australia/Lord_Howe",
        "America/Sao_Paulo",
        "Asia/Kathmandu",
        "Africa/Casablanca",
        "Pacific/Apia",
        "America/St_Johns",
    ] {
        let times = |cron: &str| CronTimes::parse_expression(cron, false, zone(name).unwrap()).unwrap();
        for (cron, expected) in [("0 9 1 * *", 60), ("0 2 * * *", 1826), ("30 0 * * *", 1826)] {
            let times = times(cron);
            let forward: Vec<_> = times.between(from, to).collect();
            assert_eq!(forward.len(), expected, "{cron} in {name}");
            let mut backward = vec![times.previous(to).unwrap()];
            while backward.len() < expected {
                backward.push(times.previous(*backward.last().unwrap()).unwrap());
            }
            backward.reverse();
            assert_eq!(forward, backward, "{cron} in {name}: forward and backward differ");
        }
        let hours: Vec<_> = times("0 * * * *").between(from, to).collect();
        assert!(hours.windows(2).all(|pair| pair[1] - pair[0] <= Duration::minutes(90)), "{name}: an hour is missing");
        assert!(hours.windows(2).all(|pair| pair[0] < pair[1]), "{name}: an hour comes twice");
        assert!((hours.len() as i64 - 1826 * 24).abs() <= 10, "{name}: {} hours", hours.len());
    }
}

#[test]
fn conditions_filter_the_moments_of_a_schedule() {
    let all = |cron: &str, conditions: &str| {
        let trigger = trigger(&format!("type: schedule, cron: '{cron}', timezone: America/New_York, {conditions}"));
        moments(&trigger, "2024-07-01T04:00:00Z", "2024-08-01T04:00:00Z")
            .iter()
            .map(|moment| moment[8..].to_owned())
            .collect::<Vec<_>>()
    };
    let daily = |conditions: &str| {
        all("0 9 * * *", conditions).iter().map(|day| day[..2].to_owned()).collect::<Vec<_>>().join(" ")
    };
    let prefix = "io.kestra.plugin.core.condition";
    assert_eq!(daily(&format!("conditions: [{{type: {prefix}.DayWeek, dayOfWeek: MONDAY}}]")), "01 08 15 22 29");
    assert_eq!(
        daily("conditions: [{type: io.kestra.core.models.conditions.types.WeekendCondition}]"),
        "06 07 13 14 20 21 27 28"
    );
    assert_eq!(
        daily(&format!("conditions: [{{type: {prefix}.DayWeekInMonth, dayOfWeek: TUESDAY, dayInMonth: SECOND}}]")),
        "09"
    );
    assert_eq!(daily("conditions: [{type: day_week_in_month, dayOfWeek: WEDNESDAY, dayInMonth: LAST}]"), "31");
    assert_eq!(daily("conditions: [{type: public_holiday, country: US}]"), "04");
    assert_eq!(
        daily("conditions: [{type: date_time_between, after: '2024-07-29', before: '2024-07-31T00:00:00Z'}]"),
        "29 30"
    );
    assert_eq!(daily("when: \"{{ (trigger.date | date('d') | number) % 10 == 3 }}\""), "03 13 23");
    let first_workday = "conditions: [{type: not, conditions: [{type: weekend}, {type: public_holiday, country: us}]}, {type: or, conditions: [{type: day_week, dayOfWeek: THURSDAY}, {type: day_week, dayOfWeek: SATURDAY}]}]";
    assert_eq!(daily(first_workday), "11 18 25");
    let office = all("0 * 2 * *", "conditions: [{type: time_between, after: '08:30', before: '11:00:00-04:00'}]");
    assert_eq!(office, ["02T09:00", "02T10:00"]);
    let night = all("0 */6 2 * *", "conditions: [{type: time_between, after: '17:00', before: '05:00'}]");
    assert_eq!(night, ["02T00:00", "02T18:00"]);
}

#[test]
fn a_condition_that_never_holds_ends_the_search() {
    let never =
        trigger("type: schedule, cron: '* * * * *', conditions: [{type: date_time_between, before: '2000-01-01'}]");
    let began = Instant::now();
    assert_eq!(next(&never, at("2024-01-01T00:00:00Z")).unwrap(), None);
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn missed_moments_are_recovered_as_the_flow_says() {
    let missed = |fields: &str| {
        let hourly = trigger(&format!("type: schedule, cron: '0 * * * *', {fields}"));
        let due = due(&hourly, at("2024-05-01T06:00:00Z"), at("2024-05-01T10:00:20Z"), Duration::minutes(1)).unwrap();
        due.iter().map(|moment| moment.format("%H").to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(missed("disabled: false"), "07 08 09 10");
    assert_eq!(missed("recoverMissedSchedules: LAST"), "10");
    assert_eq!(missed("recoverMissedSchedules: NONE"), "10");
    assert_eq!(missed("lateMaximumDelay: PT90M"), "09 10");
    let nothing = trigger("type: schedule, cron: '0 * * * *', recoverMissedSchedules: NONE");
    let (last, now) = (at("2024-05-01T06:00:00Z"), at("2024-05-01T09:30:00Z"));
    assert!(due(&nothing, last, now, Duration::minutes(1)).unwrap().is_empty());
}

#[test]
fn a_flow_trigger_looks_at_the_execution_that_has_ended() {
    let prefix = "io.kestra.plugin.core.condition";
    let after = trigger(&format!(
        "type: io.kestra.plugin.core.trigger.Flow, conditions: [{{type: {prefix}.ExecutionFlow, namespace: n, flowId: load}}, \
         {{type: {prefix}.ExecutionStatusCondition, in: [SUCCESS]}}, {{type: execution_labels, labels: {{team: data}}}}, \
         {{type: {prefix}.ExecutionNamespace, namespace: n, prefix: true}}, {{type: expression, expression: \"{{{{ trigger.state == 'SUCCESS' }}}}\"}}]"
    ));
    let names = Names::from_iter([("trigger".to_owned(), serde_json::json!({"state": "SUCCESS"}))]);
    let holds = |namespace: &str, flow: &str, status: UpstreamStatus, team: &str| {
        let labels = serde_json::json!({"team": team}).as_object().unwrap().clone();
        let upstream = UpstreamExecution { namespace: namespace.into(), flow: flow.into(), status, labels };
        let date = at("2024-05-01T00:00:00Z").fixed_offset();
        after.is_met(&ConditionContext { date, upstream: Some(&upstream), names: &names, host: &NoHost }).unwrap()
    };
    assert!(holds("n", "load", UpstreamStatus::Success, "data"));
    assert!(!holds("n", "load", UpstreamStatus::Failed, "data"));
    assert!(!holds("n", "other", UpstreamStatus::Success, "data"));
    assert!(!holds("n", "load", UpstreamStatus::Success, "sales"));
}

#[test]
fn files_arrive_in_buckets_by_kestras_words_and_what_it_does_more_is_refused_with_its_place() {
    let kestra = trigger(
        "type: io.kestra.plugin.gcp.gcs.Trigger, from: 'gs://b/in/', interval: PT30S, regExp: '.*csv', action: NONE, \
         listingType: DIRECTORY, serviceAccount: k, projectId: p",
    );
    let TriggerKind::File(arrival) = kestra.on else { panic!("another kind") };
    assert_eq!((arrival.folder_and_pattern(), arrival.interval().as_secs()), (("gs://b/in", "*"), 30));
    assert_eq!(arrival.service_account.as_deref(), Some("k"));
    let text = "id: f\nnamespace: n\ntasks: [{id: t, type: log, message: x}]\ntriggers:\n  - id: x\n    \
                type: io.kestra.plugin.gcp.gcs.Trigger\n    from: gs://b/in\n    action: MOVE\n    moveDirectory: gs://b/old\n    \
                regExp: '(.csv'\n";
    let findings: Vec<String> = parse("f.yaml", text, ALL).findings.iter().map(ToString::to_string).collect();
    let all = findings.join("\n");
    assert_eq!(findings.len(), 2, "{all}");
    assert!(all.contains("f.yaml:8:13") && all.contains("a task such as `gcs.delete`"), "{all}");
    assert!(all.contains("f.yaml:9:5") && all.contains("unknown field `moveDirectory`"), "{all}");
    let text = text.replace("action: MOVE\n    moveDirectory: gs://b/old", "interval: 1m");
    let findings: Vec<String> = parse("f.yaml", &text, ALL).findings.iter().map(ToString::to_string).collect();
    assert!(findings[0].contains("f.yaml:9:13") && findings[0].contains("is not a regular expression"), "{findings:?}");
}

#[test]
fn a_webhooks_key_is_not_empty_and_a_short_one_is_warned_of() {
    let findings = |key: &str| {
        let text = format!(
            "id: f\nnamespace: n\ntasks: [{{id: t, type: log, message: x}}]\ntriggers:\n  - id: x\n    type: webhook\n    key: '{key}'\n"
        );
        parse("f.yaml", &text, ALL).findings
    };
    for (key, is_error, words) in
        [("", true, "the key is empty"), ("a b", true, "part of a URL"), ("a", false, "easy to guess")]
    {
        let found = findings(key);
        assert_eq!((found.len(), found[0].is_error(), found[0].line), (1, is_error, 7), "{found:?}");
        assert!(found[0].message.contains(words), "{found:?}");
    }
    assert!(findings("4wjtkzwVGBM9yKnj").is_empty());
}

#[test]
fn ten_thousand_schedules_are_cheap_to_advance() {
    let zones = ["UTC", "America/New_York", "Europe/Paris", "Asia/Tokyo"];
    let schedules: Vec<CronTimes> = (0..10_000)
        .map(|index| {
            CronTimes::parse_expression(
                &format!("{} {} {} * *", index % 60, index % 24, index % 28 + 1),
                false,
                zone(zones[index % 4]).unwrap(),
            )
            .unwrap()
        })
        .collect();
    let began = Instant::now();
    let now = at("2024-05-01T10:20:30Z");
    assert!(schedules.iter().all(|times| times.next(now).is_some()));
    let took = began.elapsed();
    assert!(took.as_millis() < 3000, "{took:?}");
}
