//! What the ledger keeps of a load's settings.

use std::fmt;

use serde_json::Value;

use super::mode::{BigQueryMerge, LoadMode};
use super::{BigQueryLoad, BigQueryRowId};
use crate::fingerprint::{Fingerprint, FingerprintBuilder};
use crate::stream::Encoding;

impl BigQueryLoad {
    /// What decides which rows come into the table.
    pub(super) fn fingerprint(&self, mode: &LoadMode, schema: &Value) -> Fingerprint {
        let former = format!("{mode:?} {:?} {schema}", self.former_definition());
        let options = &self.csv_options;
        let csv = FingerprintBuilder::default()
            .with_some("skip_leading_rows", options.skip_leading_rows)
            .with_some("field_delimiter", options.field_delimiter.as_ref())
            .with_some("quote", options.quote.as_ref())
            .with_some("null_marker", options.null_marker.as_ref())
            .with_some("allow_jagged_rows", options.allow_jagged_rows)
            .with_some("allow_quoted_newlines", options.allow_quoted_newlines)
            .with_some("encoding", options.encoding.as_ref().map(Encoding::name));
        let avro_types = self.avro_options.use_avro_logical_types;
        FingerprintBuilder::default()
            .with_some("row_id", self.row_id.as_ref())
            .with_some("format", Some(self.format()))
            .with_part("csv_options", csv)
            .with_part("avro_options", FingerprintBuilder::default().with_some("use_avro_logical_types", avro_types))
            .with("max_bad_records", &self.max_bad_records, &0)
            .with_some("ignore_unknown_values", self.ignore_unknown_values)
            .with("mode", mode, &LoadMode::Append)
            .with_some("schema", Some(schema))
            .fingerprint(&former)
    }

    /// What earlier versions hashed, by its `Debug`. What it is made from must not change.
    fn former_definition(&self) -> impl std::fmt::Debug + '_ {
        (
            &self.row_id,
            self.format(),
            &self.csv_options,
            &self.avro_options,
            self.max_bad_records,
            self.ignore_unknown_values,
        )
    }
}

/// Under its former name, which is in the hashes that ledgers hold.
impl fmt::Debug for BigQueryMerge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, on_match, set } = self;
        f.debug_struct("Merge").field("key", key).field("on_match", on_match).field("set", set).finish()
    }
}

/// Under its former name, which is in the hashes that ledgers hold.
impl fmt::Debug for BigQueryRowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowId").field("name", &self.name).field("columns", &self.columns).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ledgers hold these: another value here means that loaded files are loaded again.
    #[test]
    fn fingerprints_are_those_that_ledgers_hold() {
        let fingerprint = |settings: Value, mode: Value, schema: Value| {
            let load: BigQueryLoad = serde_json::from_value(settings).unwrap();
            let mode: LoadMode = serde_json::from_value(mode).unwrap();
            load.fingerprint(&mode, &schema).known().map(str::to_owned)
        };
        let schema = serde_json::json!([{"name": "id", "type": "INT64", "mode": "NULLABLE"}]);
        let plain = serde_json::json!({"from": "gs://b/a.csv", "table": "d.t"});
        let plain = fingerprint(plain, "append".into(), schema.clone());
        let all = serde_json::json!({
            "from": "gs://b/a.csv", "table": "d.t", "format": "CSV", "row_id": {"columns": ["id"]}, "max_bad_records": 3,
            "ignore_unknown_values": true, "avro_options": {"use_avro_logical_types": true},
            "csv_options": {
                "skip_leading_rows": 2, "field_delimiter": ";", "quote": "'", "null_marker": "-",
                "allow_jagged_rows": true, "allow_quoted_newlines": true, "encoding": "ISO-8859-1",
            },
        });
        let mode = serde_json::json!({"merge": {"key": ["id"], "on_match": "update", "set": {"file": "a"}}});
        assert_eq!(
            [plain, fingerprint(all, mode, schema)],
            [
                [
                    "8c919ed3dfac9fb3ade72178223671a7c303cd454beaa44383f035262427ed78",
                    "27b353a489b0e6f1fc2eb01d6c1fe876696d1f03b9735f241ece7246ca7adcd6"
                ],
                [
                    "e7b3029c54f8326a6dd2de392bb4b324968a55ac04362f072d798e0d403c3601",
                    "605b2881ee5125b4cac0ebff2cbd2f52b71170390ab0882287718ab2b3864afb"
                ],
            ]
        );
    }
}
