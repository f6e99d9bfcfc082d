//! Dates: reading, moving and writing them by Java's patterns.

use super::assert_table;

#[test]
fn written_by_patterns() {
    assert_table(&[
        ("{{ trigger.date | date('yyyy-MM') }}", r#""2019-03""#),
        ("{{ execution.startDate | date('yyyy-MM-dd HH:mm:ss.SSSSSS') }}", r#""2024-05-06 07:08:09.123000""#),
        (
            "{{ '2024-03-05T15:04:09Z' | date('y yy M MM d dd H h hh a m s S') }}",
            r#""2024 24 3 03 5 05 15 3 03 PM 4 9 0""#,
        ),
        ("{{ '2024-03-05' | date('E EEE EEEE MMM MMMM MMMMM') }}", r#""Tue Tue Tuesday Mar March M""#),
        ("{{ '2024-03-05' | date('Q QQ QQQ QQQQ D DDD') }}", r#""1 01 Q1 1st quarter 65 065""#),
        ("{{ '2024-12-31' | date('YYYY w ww') }}", r#""2025 1 01""#),
        ("{{ '2024-03-05' | date(\"yyyy'year'MM''dd\") }}", r#""2024year03'05""#),
        ("{{ '2024-03-05T00:30:00Z' | date('K k H') }}", r#""0 24 0""#),
        ("{{ '2024-03-05T00:00:00.5Z' | date('A n G') }}", r#""500 500000000 AD""#),
        (
            "{{ '2024-07-01T12:00:00Z' | date('X XX XXX x xx xxx Z ZZZZ z VV') }}",
            r#""Z Z Z +00 +0000 +00:00 +0000 GMT UTC UTC""#,
        ),
        (
            "{{ '2024-07-01T12:00:00Z' | date('HH X XX XXX Z ZZZZ z VV', timeZone='America/New_York') }}",
            r#""08 -04 -0400 -04:00 -0400 GMT-04:00 EDT America/New_York""#,
        ),
        ("{{ '2024-07-01T12:00:00Z' | date('HH:mm X XXX', timeZone='Asia/Kolkata') }}", r#""17:30 +0530 +05:30""#),
        ("{{ '2024-07-01T12:00:00Z' | date('HH XXX VV', timeZone='+02:00') }}", r#""14 +02:00 +02:00""#),
        ("{{ '2024-07-01' | date('yyyy/MM/dd, EEE') }}", r#""2024/07/01, Mon""#),
    ]);
}

#[test]
fn written_by_names() {
    assert_table(&[
        (
            "{{ '2013-09-08T16:19:12.123456+01:00' | date(timeZone='Europe/Paris') }}",
            r#""2013-09-08T17:19:12.123456+02:00""#,
        ),
        ("{{ '2013-09-08T16:19:12.5Z' | date('iso') }}", r#""2013-09-08T16:19:12.500000Z""#),
        ("{{ '2013-09-08T16:19:12.5Z' | date('iso_milli') }}", r#""2013-09-08T16:19:12.500Z""#),
        ("{{ '2013-09-08T16:19:12.5Z' | date('iso_sec') }}", r#""2013-09-08T16:19:12Z""#),
        ("{{ '2013-09-08T16:19:12.5Z' | date('sql') }}", r#""2013-09-08 16:19:12.500000""#),
        ("{{ '2013-09-08T16:19:12.5Z' | date('sql_milli') }}", r#""2013-09-08 16:19:12.500""#),
        ("{{ '2013-09-08T16:19:12.5Z' | date('sql_sec') }}", r#""2013-09-08 16:19:12""#),
        ("{{ '2013-09-08T16:19:12.5Z' | date('iso_date_time') }}", r#""2013-09-08T16:19:12.5Z[UTC]""#),
        (
            "{{ '2013-09-08T16:19:12Z' | date('iso_zoned_date_time', timeZone='+02:00') }}",
            r#""2013-09-08T18:19:12+02:00""#,
        ),
        ("{{ '2013-09-08T16:19:12Z' | date('iso_date') }}", r#""2013-09-08Z""#),
        ("{{ '2013-09-08T16:19:12Z' | date('iso_time') }}", r#""16:19:12Z""#),
        ("{{ '2013-09-08T16:19:12Z' | date('iso_local_date') }}", r#""2013-09-08""#),
        ("{{ '2013-09-08T16:19:12Z' | date('iso_local_time') }}", r#""16:19:12""#),
        ("{{ '2013-09-08T16:19:12.25Z' | date('iso_local_date_time') }}", r#""2013-09-08T16:19:12.25""#),
        ("{{ '2013-09-08T16:19:12Z' | date('iso_instant', timeZone='Europe/Paris') }}", r#""2013-09-08T16:19:12Z""#),
        ("{{ '2013-09-08T16:19:12Z' | date('iso_ordinal_date') }}", r#""2013-251Z""#),
        ("{{ '2013-09-08T16:19:12Z' | date('iso_week_date') }}", r#""2013-W36-7Z""#),
        ("{{ '2013-09-08T16:19:12Z' | date('rfc_1123_date_time') }}", r#""Sun, 8 Sep 2013 16:19:12 GMT""#),
    ]);
}

#[test]
fn read_from_texts_and_numbers() {
    assert_table(&[
        ("{{ 'July 24, 2001' | date('yyyy-MM-dd', existingFormat='MMMM dd, yyyy') }}", r#""2001-07-24""#),
        ("{{ '2013-09-08T17:19:12' | date(timeZone='Europe/Paris') }}", r#""2013-09-08T17:19:12.000000+02:00""#),
        ("{{ '2013-09-08' | date(timeZone='Europe/Paris') }}", r#""2013-09-08T00:00:00.000000+02:00""#),
        (
            "{{ 'Tue, 08 Feb 2022 19:38:26 GMT' | date(existingFormat='rfc_1123_date_time', timeZone='Europe/Paris') }}",
            r#""2022-02-08T20:38:26.000000+01:00""#,
        ),
        ("{{ '20240305' | date('dd.MM.yyyy', 'yyyyMMdd') }}", r#""05.03.2024""#),
        ("{{ '03/05/24 3:07 PM' | date('sql_sec', 'MM/dd/yy h:mm a') }}", r#""2024-03-05 15:07:00""#),
        ("{{ '2024-03-05 15:07:01.25' | date('SSS') }}", r#""250""#),
        ("{{ '2024-03-05T15:07' | date('HH:mm') }}", r#""15:07""#),
        ("{{ '2024-03-05T15:07:00+0200' | date('HH:mm') }}", r#""13:07""#),
        ("{{ '2024-03-05T15:07:00+01:00[Europe/Paris]' | date('HH:mm') }}", r#""14:07""#),
        ("{{ '2024-03-05T15:07:00Z' | date('HH:mm', 'Europe/Paris') }}", r#""16:07""#),
        ("{{ 1378653552 | date('iso_sec') }}", r#""2013-09-08T15:19:12Z""#),
        ("{{ '2024-065' | date('MM-dd', 'yyyy-DDD') }}", r#""03-05""#),
        ("{{ '2024-03-05 10:00:00 +05:30' | date('HH:mm', 'yyyy-MM-dd HH:mm:ss XXX') }}", r#""04:30""#),
        ("{{ '2024-03-31T02:30:00' | date('HH:mm', timeZone='Europe/Paris') }}", r#""03:30""#),
    ]);
}

#[test]
fn moved() {
    assert_table(&[
        (
            "{{ '2013-09-08T16:19:12.123456+01:00' | dateAdd(-1, 'DAYS', timeZone='Europe/Paris') }}",
            r#""2013-09-07T17:19:12.123456+02:00""#,
        ),
        ("{{ '2024-01-31' | dateAdd(1, 'MONTHS') | date('yyyy-MM-dd') }}", r#""2024-02-29""#),
        ("{{ '2024-02-29' | dateAdd(1, 'YEARS', 'yyyy-MM-dd') }}", r#""2025-02-28""#),
        ("{{ '2024-03-05' | dateAdd(2, 'WEEKS', format='yyyy-MM-dd') }}", r#""2024-03-19""#),
        ("{{ '2024-03-05T23:00:00Z' | dateAdd(90, 'MINUTES', 'iso_sec') }}", r#""2024-03-06T00:30:00Z""#),
        ("{{ '2024-03-05T23:00:00Z' | dateAdd(-3600, 'SECONDS', 'HH') }}", r#""22""#),
        ("{{ '2024-03-05T23:00:00Z' | dateAdd(1, 'HOURS', 'dd HH') }}", r#""06 00""#),
        ("{{ '2024-03-05T00:00:00Z' | dateAdd(1500, 'MILLIS', 'ss.SSS') }}", r#""01.500""#),
        ("{{ '2024-03-05' | dateAdd(1, 'days', 'dd') }}", r#""06""#),
        (
            "{{ '2024-03-30T12:00:00' | dateAdd(1, 'DAYS', 'dd HH:mm XXX', timeZone='Europe/Paris') }}",
            r#""31 12:00 +02:00""#,
        ),
        ("{{ trigger.date | dateAdd(-1, 'MONTHS') | date('yyyy-MM') }}", r#""2019-02""#),
    ]);
}

#[test]
fn as_numbers() {
    assert_table(&[
        ("{{ '2013-09-08T16:19:12.123456+01:00' | timestamp }}", "1378653552"),
        ("{{ '2013-09-08T16:19:12.123456+01:00' | timestampMilli }}", "1378653552123"),
        ("{{ '2013-09-08T16:19:12.123456+01:00' | timestampMicro }}", "1378653552123456"),
        ("{{ '2013-09-08T16:19:12.123456+01:00' | timestampNano }}", "1378653552123456000"),
        ("{{ '2013-09-08' | timestamp(timeZone='Europe/Paris') }}", "1378591200"),
        ("{{ (trigger.date | timestamp) > (trigger.date | dateAdd(-1, 'DAYS') | timestamp) }}", "true"),
    ]);
}
