//! `bigquery.load`: files and objects into a table.

mod fingerprint;
mod format;
mod idle;
mod ledger;
mod ledger_probe;
mod mode;
mod objects;
mod script;
mod source;
mod staged;

use std::collections::BTreeMap;
use std::time::Instant;

use gcp_bigquery_client::model::clustering::Clustering;
use gcp_bigquery_client::model::job_configuration::JobConfiguration;
use gcp_bigquery_client::model::job_configuration_load::JobConfigurationLoad;
use gcp_bigquery_client::model::table_schema::TableSchema;
use gcp_bigquery_client::model::time_partitioning::TimePartitioning;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use format::{AvroOptions, CsvOptions, LoadFormat, encoding_word};

use super::client::BigQueryClient;
use super::job::{JobRequest, text};
use super::name::BigQueryTableName;
use super::query::{CreateDisposition, PartitionPeriod, WriteDisposition, by_time, labels, word};
use super::schema;
use super::upload::LocalFile;
use crate::duration::DurationSpec;
use crate::gcp::google_task;
use crate::storage::is_uri;
use crate::stream::{self, ReadOptions};
use crate::task::{Capability, FieldConflict, Ledger, Task, TaskContext, TaskError};
use crate::tasks::appended::IfLoaded;
use crate::tasks::csv_fields::byte;
use crate::text::count;
use mode::LoadMode;
use source::LoadSource;
use staged::{Staged, local};

google_task! {
    /// Loads files into a table of BigQuery by a load job, which is free: CSV, NDJSON, Parquet, Avro or ORC, from
    /// Cloud Storage or from this machine.
    ///
    /// With `mode`, the rows go through a staging table: one transaction moves them into the table, checks their
    /// number and writes one row into the ledger `jitney_loads`; a load that the ledger already has changes nothing.
    /// Without it, this is a plain load job, controlled by `write_disposition`. A new attempt continues with the job
    /// of the previous one.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    pub struct BigQueryLoad {
        /// What to load: `gs://bucket/name`, which may contain one `*`, or a list of such addresses; or a file: an
        /// output of an earlier task or a path relative to the flow's folder.
        from: Value,
        /// The table, `dataset.table`; `dataset.table$202004` is one partition of it.
        #[serde(alias = "destinationTable", alias = "destination_table")]
        table: String,
        /// The format: `CSV`, `JSON` (one object per line), `PARQUET`, `AVRO` or `ORC`; by default by the extension.
        format: Option<LoadFormat>,
        /// The columns: a file such as `../sql/bigquery/green.json`, or a list of `{name, type, mode, description}`.
        schema: Option<Value>,
        /// Whether BigQuery detects the columns. By default it does if there is no `schema`.
        autodetect: Option<bool>,
        /// How rows get into the table: `append`, `truncate`, `{replace_partition: {column: value}}`, or `{merge:
        /// {key: [columns], on_match: ignore|update, set: {column: value}}}`. Requires a `schema`.
        mode: Option<LoadMode>,
        /// With `mode`: the file from which the object was created. Its rows are counted and checked beforehand, and
        /// the count is compared with those of the load job and of the table.
        file: Option<String>,
        /// With `mode`: a key computed from columns, `{name: unique_row_id, columns: [VendorID, …]}`, the MD5 of their
        /// text.
        row_id: Option<BigQueryRowId>,
        /// With `mode`: the table that the load job fills first. By default one with a unique name. It is deleted at
        /// the end.
        staging: Option<String>,
        /// With `mode`, what to do with a file that was loaded before: `skip` it, regardless of the content of the
        /// table; `load` it again; or `fail`. By default the table decides: a load whose rows are all in the table is
        /// skipped, one whose rows are gone is repeated, and an append that cannot determine this fails and reports
        /// what it found.
        if_loaded: Option<IfLoaded>,
        /// The same as `if_loaded: load`.
        #[serde(default)]
        force: bool,
        /// A description of the content, for a new table.
        #[serde(alias = "tableDescription")]
        table_description: Option<String>,
        /// Without `mode`, what to do with existing rows: `WRITE_APPEND` (Google's default), `WRITE_TRUNCATE` or
        /// `WRITE_EMPTY` (fail).
        #[serde(alias = "writeDisposition")]
        write_disposition: Option<WriteDisposition>,
        /// Whether a missing table is created: `CREATE_IF_NEEDED` (by default) or `CREATE_NEVER`.
        #[serde(alias = "createDisposition")]
        create_disposition: Option<CreateDisposition>,
        /// How the table may change: `ALLOW_FIELD_ADDITION`, `ALLOW_FIELD_RELAXATION`.
        #[serde(default, alias = "schemaUpdateOptions")]
        schema_update_options: Vec<String>,
        /// How a CSV file is read.
        #[serde(default, alias = "csvOptions")]
        csv_options: CsvOptions,
        /// How an Avro file is read.
        #[serde(default, alias = "avroOptions")]
        avro_options: AvroOptions,
        /// How many bad rows are skipped before the job fails.
        #[serde(default, alias = "maxBadRecords")]
        max_bad_records: u32,
        /// Whether columns that are not in the schema are ignored.
        #[serde(alias = "ignoreUnknownValues")]
        ignore_unknown_values: Option<bool>,
        /// The time column that a new table is partitioned by.
        #[serde(alias = "timePartitioningField")]
        time_partitioning_field: Option<String>,
        /// The time span of one partition: `DAY` (by default), `HOUR`, `MONTH` or `YEAR`.
        #[serde(alias = "timePartitioningType")]
        time_partitioning_type: Option<PartitionPeriod>,
        /// The lifetime of a partition of a new table.
        #[serde(alias = "timePartitioningExpiration")]
        time_partitioning_expiration: Option<DurationSpec>,
        /// The columns that a new table is clustered by, at most four.
        #[serde(default, alias = "clusteringFields")]
        clustering_fields: Vec<String>,
        /// Labels of the job and of a new table: lowercase letters, digits, dashes and underscores.
        #[serde(default)]
        labels: BTreeMap<String, String>,
    }
}

/// A key made from columns.
#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BigQueryRowId {
    /// The column of the key.
    #[serde(default = "unique_row_id")]
    name: String,
    /// The columns that it is computed from, in order.
    columns: Vec<String>,
}

fn unique_row_id() -> String {
    "unique_row_id".to_owned()
}

/// What is loaded: `rows_read = rows_loaded + rows_rejected + rows_skipped`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Outputs {
    /// The load job; absent if there was nothing to do.
    #[serde(rename = "jobId")]
    job_id: Option<String>,
    /// The table.
    table: String,
    /// The same as `table`, under Kestra's name.
    #[serde(rename = "destinationTable")]
    destination: String,
    /// The same as `rows_loaded`, under Kestra's name.
    rows: u64,
    /// Rows in the files.
    rows_read: u64,
    /// Rows that were added or changed in the table.
    rows_loaded: u64,
    /// Rejected rows.
    rows_rejected: u64,
    /// Rows that were already in the table.
    rows_skipped: u64,
    /// Whether the ledger already had this load, so that nothing was done.
    already_loaded: bool,
    /// The size of the files in bytes, as they are stored.
    bytes: u64,
    /// The duration in seconds.
    seconds: f64,
}

/// Where the rows come from.
enum From {
    /// Objects, by their addresses.
    Objects(Vec<String>),
    /// A file of this machine.
    File(LocalFile),
}

impl Task for BigQueryLoad {
    const NAME: &'static str = "bigquery.load";
    const CAPABILITIES: &'static [Capability] = &[Capability::UsesGoogle];
    const ALIASES: &'static [&'static str] =
        &["io.kestra.plugin.gcp.bigquery.LoadFromGcs", "io.kestra.plugin.gcp.bigquery.Load"];
    const FILES: &'static [&'static str] = &["from", "file", "schema", "service_account"];
    const DEFINITIONS: &'static [&'static str] = &["schema"];
    const EXAMPLE: &'static str = "\
- id: load
  type: bigquery.load
  from: gs://my-bucket/green/green_tripdata_2019-01.csv.gz
  table: zoomcamp.green_tripdata
  schema: ../sql/bigquery/green.json
  time_partitioning_field: lpep_pickup_datetime
  time_partitioning_type: MONTH
  mode: {replace_partition: {filename: green_tripdata_2019-01.csv}}
";
    const LEDGER: Option<Ledger> = Some(ledger_probe::LEDGER);
    type Outputs = Outputs;

    fn conflicts(&self) -> Vec<FieldConflict> {
        let both = self.force && self.if_loaded.is_some_and(|action| action != IfLoaded::Load);
        let forced = both.then(|| {
            FieldConflict::between(["if_loaded", "force"], "`force: true` means `if_loaded: load`; remove one of them")
        });
        let plain = (self.mode.is_none() && (self.force || self.if_loaded.is_some())).then(|| {
            let field = if self.force { "force" } else { "if_loaded" };
            FieldConflict::between(
                [field, "mode"],
                "without `mode` there is no ledger; add `mode: append`, or remove it",
            )
        });
        let encoding = self.csv_options.encoding.as_ref().filter(|encoding| {
            let word = encoding_word(encoding);
            word.is_none_or(|word| self.mode.is_some() && word.starts_with("UTF-16"))
        });
        let encoding = encoding.map(|encoding| {
            let possible = if self.mode.is_some() { "" } else { ", UTF-16LE, UTF-16BE" };
            let message = format!(
                "BigQuery does not read {} here, but UTF-8, ISO-8859-1{possible}; `polars.transform` with `encoding` makes \
                 UTF-8 of it",
                encoding.name()
            );
            FieldConflict::between(["csv_options", "csvOptions"], message)
        });
        forced.into_iter().chain(plain).chain(encoding).chain(self.idle()).collect()
    }

    async fn run(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let loaded = self.load(context).await?;
        if loaded.rows_read == 0 && !loaded.already_loaded {
            context.warn(format!("there are no rows to load into {}", loaded.table));
        }
        Ok(loaded)
    }
}

impl BigQueryLoad {
    async fn load(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let began = Instant::now();
        let from = self.source(context)?;
        let schema = self.schema.as_ref().map(|given| schema::read(context, given)).transpose()?;
        // Before Google is asked for anything.
        self.file.iter().try_for_each(|file| context.input_file("file", file).map(drop))?;
        let mut bigquery = BigQueryClient::open(context, &self.login(), self.location.as_deref()).await?;
        let main = BigQueryTableName::parse(&self.table, &bigquery.project)?;
        let Some(mode) = &self.mode else {
            let (job, rows, bad) = self.load_job(&bigquery, &main, schema, &from, None).await?;
            context.info(format!("{job}: {} into {main}", count(rows, "row")));
            return Ok(self.plain(&main, &from, (job, rows, bad), began));
        };
        self.check_mode(&main)?;
        let Some(schema) = &schema else {
            return Err(TaskError::permanent("`mode` requires a `schema`, the columns of the table")
                .help("for example `schema: ../sql/bigquery/green.json`"));
        };
        bigquery.use_location_of(&main).await?;
        Staged { load: self, bigquery: &bigquery, mode, main: &main, schema, from: &from, began }.run().await
    }
}

impl BigQueryClient<'_> {
    /// Learns where the dataset is, and that it is there.
    async fn use_location_of(&mut self, main: &BigQueryTableName) -> Result<(), TaskError> {
        let dataset = self.dataset(&main.project, &main.dataset).await?;
        let place = dataset["location"].as_str().unwrap_or_default();
        if let Some(location) = self.location.as_deref().filter(|location| !location.eq_ignore_ascii_case(place)) {
            return Err(TaskError::permanent(format!(
                "dataset {}.{} is in {place}, but `location` is {location}",
                main.project, main.dataset
            ))
            .help(format!(
                "set `location: {place}`; the bucket must be there, too. Data cannot be moved: for {location}, create \
                 a new dataset with `bigquery.create_dataset`"
            )));
        }
        self.location = Some(place.to_owned()).filter(|place| !place.is_empty());
        Ok(())
    }
}

impl BigQueryLoad {
    fn source(&self, context: &TaskContext) -> Result<From, TaskError> {
        let wrong = || {
            TaskError::permanent("`from` must be gs://bucket/name, a list of such addresses, or one file")
                .help("to load several files of this machine, upload them first with `gcs.upload`")
        };
        let list = match &self.from {
            // A template that gives a list gives it as JSON.
            Value::String(text) if text.trim_start().starts_with('[') => {
                serde_json::from_str(text).map_err(|_| wrong())?
            }
            Value::String(text) => vec![Value::from(text.trim())],
            Value::Array(list) => list.clone(),
            _ => return Err(wrong()),
        };
        let texts: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
        let remote = texts.iter().filter(|text| text.starts_with("gs://")).count();
        match (texts.as_slice(), remote) {
            _ if texts.is_empty() || texts.len() != list.len() => Err(wrong()),
            (all, count) if count == all.len() => {
                Ok(From::Objects(all.iter().map(|text| (*text).to_owned()).collect()))
            }
            ([one], 0) if is_uri(one) || !one.contains("://") || one.starts_with("file://") => {
                Ok(From::File(local(context.input_file("from", one)?)?))
            }
            _ => Err(wrong()),
        }
    }

    fn check_mode(&self, main: &BigQueryTableName) -> Result<(), TaskError> {
        let clash = match () {
            () if main.table.contains('$') => "a partition after `$`",
            () if self.write_disposition.is_some() => "`write_disposition`",
            () if self.autodetect == Some(true) => "`autodetect`",
            () if !self.schema_update_options.is_empty() => "`schema_update_options`",
            () => return Ok(()),
        };
        Err(TaskError::permanent(format!("`mode` and {clash} cannot be combined"))
            .help("`mode` determines how rows get into the table; remove one of them"))
    }

    /// Runs the load job. Gives its id, the rows that it brought, and those that did not fit.
    async fn load_job(
        &self,
        bigquery: &BigQueryClient<'_>,
        table: &BigQueryTableName,
        schema: Option<TableSchema>,
        from: &From,
        staged: Option<&LoadSource>,
    ) -> Result<(String, u64, u64), TaskError> {
        let configuration = JobConfiguration {
            labels: labels(&self.labels),
            load: Some(self.configuration(table, schema, from, staged.is_some())),
            ..JobConfiguration::default()
        };
        let (name, file) = match from {
            From::Objects(uris) => (uris.join(", "), None),
            From::File(file) => (file.path.file_name().unwrap_or_default().to_string_lossy().into_owned(), Some(file)),
        };
        let sum = staged.map(|source| source.sha256.as_str()).unwrap_or_default();
        let identity = format!("{} {name} {sum}", JobRequest::identity(&configuration)?);
        let what = format!("loading {name} into {table}");
        let job = bigquery.run(&JobRequest { what, configuration, identity, file }).await?;
        let counts = job.statistics.and_then(|all| all.load).unwrap_or_default();
        let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0);
        let id = job.job_reference.map(|own| text(&own.job_id).to_owned()).unwrap_or_default();
        let rows = number(&counts.output_rows);
        bigquery.context.progress.add_rows(rows);
        Ok((id, rows, number(&counts.bad_records)))
    }

    fn configuration(
        &self,
        table: &BigQueryTableName,
        schema: Option<TableSchema>,
        from: &From,
        staged: bool,
    ) -> JobConfigurationLoad {
        let csv = (self.format() == LoadFormat::Csv).then_some(&self.csv_options);
        let some = |list: &Vec<String>| (!list.is_empty() && !staged).then(|| list.clone());
        let skipped = csv.and_then(|csv| csv.skip_leading_rows.or(staged.then_some(1)));
        JobConfigurationLoad {
            autodetect: self.autodetect.or(schema.is_none().then_some(true)),
            schema,
            destination_table: Some(table.reference()),
            source_format: word(self.format()),
            source_uris: match from {
                From::Objects(uris) => Some(uris.clone()),
                From::File(_) => None,
            },
            write_disposition: if staged {
                word(WriteDisposition::WriteTruncate)
            } else {
                self.write_disposition.and_then(word)
            },
            create_disposition: self.create_disposition.filter(|_| !staged).and_then(word),
            schema_update_options: some(&self.schema_update_options),
            max_bad_records: (self.max_bad_records > 0)
                .then(|| i32::try_from(self.max_bad_records).unwrap_or(i32::MAX)),
            ignore_unknown_values: self.ignore_unknown_values,
            time_partitioning: self.partitioning().filter(|_| !staged),
            clustering: some(&self.clustering_fields).map(|fields| Clustering { fields: Some(fields) }),
            skip_leading_rows: skipped.and_then(|rows| i32::try_from(rows).ok()),
            field_delimiter: csv.and_then(|csv| csv.field_delimiter.clone()),
            quote: csv.and_then(|csv| csv.quote.clone()),
            null_marker: csv.and_then(|csv| csv.null_marker.clone()),
            allow_jagged_rows: csv.and_then(|csv| csv.allow_jagged_rows),
            allow_quoted_newlines: csv.and_then(|csv| csv.allow_quoted_newlines),
            encoding: csv.and_then(|csv| encoding_word(csv.encoding.as_ref()?)).map(str::to_owned),
            use_avro_logical_types: self.avro_options.use_avro_logical_types,
            ..JobConfigurationLoad::default()
        }
    }

    fn partitioning(&self) -> Option<TimePartitioning> {
        let by = by_time(self.time_partitioning_field.as_ref(), self.time_partitioning_type)?;
        Some(TimePartitioning {
            expiration_ms: self.time_partitioning_expiration.map(|span| span.0.as_millis().to_string()),
            ..by
        })
    }

    /// The format of what is loaded.
    fn format(&self) -> LoadFormat {
        let first = match &self.from {
            Value::Array(list) => list.first().and_then(Value::as_str).unwrap_or_default(),
            other => other.as_str().unwrap_or_default(),
        };
        let name = first.trim_end_matches(['"', ']', ' ']).to_ascii_lowercase();
        let by_name = match name.rsplit('.').next() {
            Some("avro") => LoadFormat::Avro,
            Some("orc") => LoadFormat::Orc,
            _ => match stream::FileFormat::of(&name) {
                stream::FileFormat::Csv | stream::FileFormat::Excel => LoadFormat::Csv,
                stream::FileFormat::Ndjson | stream::FileFormat::Json => LoadFormat::Json,
                stream::FileFormat::Parquet => LoadFormat::Parquet,
            },
        };
        self.format.unwrap_or(by_name)
    }

    /// Lines before the rows of a CSV file, in a load through a staging table.
    fn skipped_rows(&self) -> u32 {
        if self.format() == LoadFormat::Csv { self.csv_options.skip_leading_rows.unwrap_or(1) } else { 1 }
    }

    /// How the file is read here; none for what is not read here.
    fn reading(&self, name: &str) -> Result<Option<ReadOptions>, TaskError> {
        let format = match self.format() {
            // Rows that lack columns are bad rows here.
            LoadFormat::Csv if self.csv_options.allow_jagged_rows == Some(true) => return Ok(None),
            LoadFormat::Csv if self.skipped_rows() == 1 => stream::FileFormat::Csv,
            LoadFormat::Json => stream::FileFormat::Ndjson,
            LoadFormat::Parquet => stream::FileFormat::Parquet,
            LoadFormat::Csv | LoadFormat::Avro | LoadFormat::Orc => return Ok(None),
        };
        let quote = self.quote().map(|quote| byte("quote", quote)).transpose()?;
        Ok(Some(ReadOptions {
            name: Some(name.to_owned()),
            format: Some(format),
            delimiter: byte("field_delimiter", self.delimiter())?,
            quote,
            escape: quote.unwrap_or(b'"'),
            null_strings: self.csv_options.null_marker.iter().cloned().collect(),
            encoding: self.csv_options.encoding.clone().filter(|_| format == stream::FileFormat::Csv),
            ..ReadOptions::default()
        }))
    }

    fn delimiter(&self) -> char {
        match self.csv_options.field_delimiter.as_deref() {
            None | Some("") => ',',
            Some("\\t" | "tab") => '\t',
            Some(other) => other.chars().next().unwrap_or(','),
        }
    }

    /// The quoting character; none where quotes have no meaning, as an empty `quote` says.
    fn quote(&self) -> Option<char> {
        self.csv_options.quote.as_deref().unwrap_or("\"").chars().next()
    }

    /// The fields of a header.
    fn split(&self, line: &str) -> Vec<String> {
        let delimiter = u8::try_from(self.delimiter()).unwrap_or(b',');
        let mut builder = csv::ReaderBuilder::new();
        builder.has_headers(false).delimiter(delimiter).quoting(self.quote().is_some());
        let mut reader = builder.from_reader(line.as_bytes());
        let record = reader.records().next().and_then(Result::ok).unwrap_or_default();
        record.iter().map(|name| name.trim().to_owned()).collect()
    }

    fn plain(&self, table: &BigQueryTableName, from: &From, job: (String, u64, u64), began: Instant) -> Outputs {
        let (id, rows, bad) = job;
        Outputs {
            job_id: Some(id),
            table: table.to_string(),
            destination: table.to_string(),
            rows,
            rows_read: rows + bad,
            rows_loaded: rows,
            rows_rejected: bad,
            bytes: if let From::File(file) = from { file.bytes } else { 0 },
            seconds: began.elapsed().as_secs_f64(),
            ..Outputs::default()
        }
    }
}
