//! Settings of a load that its other settings leave without effect.

use super::BigQueryLoad;
use super::format::LoadFormat;
use crate::task::FieldConflict;

impl BigQueryLoad {
    /// The fields that would have no effect.
    pub(super) fn idle(&self) -> Vec<FieldConflict> {
        let (format, mut conflicts) = (self.format(), Vec::new());
        let options = [
            (["csv_options", "csvOptions"], self.csv_options.are_given(), LoadFormat::Csv),
            (["avro_options", "avroOptions"], self.avro_options.use_avro_logical_types.is_some(), LoadFormat::Avro),
        ];
        for ([name, other], is_given, wanted) in options {
            if is_given && format != wanted {
                let message = format!("`{name}` does not apply to the format {format:?}; remove it, or set `format`");
                conflicts.push(FieldConflict::between([name, other, "format", "from"], message));
            }
        }
        for option in self.csv_options.longer_than_a_character() {
            let message = format!("`{option}` must be one character");
            conflicts.push(FieldConflict::between(["csv_options", "csvOptions"], message));
        }
        let by_mode =
            [("file", self.file.is_some()), ("row_id", self.row_id.is_some()), ("staging", self.staging.is_some())];
        for (name, _) in by_mode.into_iter().filter(|(_, is_given)| *is_given && self.mode.is_none()) {
            let message = format!("`{name}` requires `mode`; add `mode: append`, or remove it");
            conflicts.push(FieldConflict::between([name, "mode"], message));
        }
        if self.time_partitioning_expiration.is_some() && self.partitioning().is_none() {
            let message =
                "it is not specified how the table is partitioned; add `time_partitioning_type`, or remove it";
            conflicts
                .push(FieldConflict::between(["time_partitioning_expiration", "timePartitioningExpiration"], message));
        }
        conflicts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_without_effect_is_found_before_anything_runs() {
        let found = |more: serde_json::Value| -> Vec<&'static str> {
            let mut fields = serde_json::json!({"from": "gs://b/a.csv", "table": "d.t"});
            if let (Some(fields), serde_json::Value::Object(more)) = (fields.as_object_mut(), more) {
                fields.extend(more);
            }
            let load: BigQueryLoad = serde_json::from_value(fields).unwrap();
            load.idle().iter().map(|conflict| conflict.fields[0]).collect()
        };
        let cases = [
            (serde_json::json!({"csv_options": {"skip_leading_rows": 1, "field_delimiter": "\\t"}}), ""),
            (serde_json::json!({"csv_options": {"null_marker": "-"}, "format": "PARQUET"}), "csv_options"),
            (serde_json::json!({"csv_options": {"field_delimiter": "||"}}), "csv_options"),
            (serde_json::json!({"csv_options": {"quote": "''"}}), "csv_options"),
            (serde_json::json!({"avro_options": {"use_avro_logical_types": true}}), "avro_options"),
            (serde_json::json!({"avro_options": {"use_avro_logical_types": true}, "format": "AVRO"}), ""),
            (serde_json::json!({"file": "a.csv"}), "file"),
            (serde_json::json!({"row_id": {"columns": ["a"]}}), "row_id"),
            (serde_json::json!({"staging": "d.s"}), "staging"),
            (serde_json::json!({"staging": "d.s", "mode": "append"}), ""),
            (serde_json::json!({"time_partitioning_expiration": "P1D"}), "time_partitioning_expiration"),
        ];
        for (fields, name) in cases {
            let expected: Vec<&str> = if name.is_empty() { Vec::new() } else { vec![name] };
            assert_eq!(found(fields.clone()), expected, "{fields}");
        }
        let unknown = serde_json::json!({"from": "gs://b/a.csv", "table": "d.t", "csv_options": {"comment": "#"}});
        assert!(serde_json::from_value::<BigQueryLoad>(unknown).is_err());
    }
}
