//! Filters on dates.

use serde_json::Value;

use super::super::builtin::{Builtin, BuiltinCall, BuiltinResult};
use super::super::date::{Moment, Zone};

pub(super) const FILTERS: &[Builtin] = &[
    Builtin::new("date", &["format", "existingFormat", "timeZone", "locale"], 0, |call| write(call, read(call)?)),
    Builtin::new("dateAdd", &["amount", "unit", "format", "existingFormat", "timeZone", "locale"], 2, |call| {
        let amount = call.integer("amount")?.ok_or("`amount` is null")?;
        write(call, read(call)?.plus(amount, call.required_text("unit")?)?)
    }),
    Builtin::new("timestamp", &["existingFormat", "timeZone"], 0, |call| Ok(Value::from(read(call)?.time.timestamp()))),
    Builtin::new("timestampMicro", &["existingFormat", "timeZone"], 0, |call| {
        Ok(Value::from(read(call)?.time.timestamp_micros()))
    }),
    Builtin::new("timestampMilli", &["existingFormat", "timeZone"], 0, |call| {
        Ok(Value::from(read(call)?.time.timestamp_millis()))
    }),
    Builtin::new("timestampNano", &["existingFormat", "timeZone"], 0, |call| {
        let nanos = read(call)?.time.timestamp_nanos_opt();
        nanos.map(Value::from).ok_or_else(|| "the date is outside the range 1677 to 2262".to_owned())
    }),
];

/// How the input is written, and the zone. One that is in the place of `existingFormat` is taken as zone: Kestra
/// has the two the other way round there, and no pattern is the name of a zone.
fn hints<'c>(call: &'c BuiltinCall) -> Result<(Option<&'c str>, Zone), String> {
    let format = call.text("existingFormat")?;
    let misplaced = format.and_then(Zone::parse).filter(|_| call.argument("timeZone").is_none());
    if let Some(zone) = misplaced {
        return Ok((None, zone));
    }
    Ok((format, zone(call)?))
}

/// The argument `timeZone`; without it UTC.
pub(in super::super) fn zone(call: &BuiltinCall) -> Result<Zone, String> {
    match call.text("timeZone")? {
        None => Ok(Zone::UTC),
        Some(name) => Zone::parse(name)
            .ok_or_else(|| format!("there is no time zone `{name}`; write one such as `Europe/Paris` or `+02:00`")),
    }
}

fn read(call: &BuiltinCall) -> Result<Moment, String> {
    let (format, zone) = hints(call)?;
    Moment::read(call.input, format, zone)
}

fn write(call: &BuiltinCall, moment: Moment) -> BuiltinResult {
    english(call)?;
    let (_, zone) = hints(call)?;
    let format = call.text("format")?.unwrap_or("iso");
    moment.in_zone(zone).format(format).map(Value::String)
}

/// Names of months and days are English.
pub(in super::super) fn english(call: &BuiltinCall) -> Result<(), String> {
    match call.text("locale")?.filter(|locale| !locale.starts_with("en")) {
        Some(other) => Err(format!("the locale `{other}` is not supported, only English")),
        None => Ok(()),
    }
}
