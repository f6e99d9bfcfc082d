//! A load through a staging table: the load job fills it, and one transaction moves its rows and writes the ledger. The
//! counts of file, load job and table must agree.

use std::time::{Instant, SystemTime};

use gcp_bigquery_client::model::clustering::Clustering;
use gcp_bigquery_client::model::table::Table;
use gcp_bigquery_client::model::table_field_schema::TableFieldSchema;
use gcp_bigquery_client::model::table_schema::TableSchema;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::client::{BigQueryClient, path};
use super::super::name::BigQueryTableName;
use super::super::query::{by_time, labels};
use super::super::schema;
use super::super::upload::LocalFile;
use super::ledger::{CommittedLoad, LoadLookup, LoadSelector};
use super::mode::LoadMode;
use super::script::{LedgerEntry, LoadScript};
use super::source::{LoadSource, find};
use super::{BigQueryLoad, From, Outputs};
use crate::fingerprint::Fingerprint;
use crate::task::{Level, TaskError};
use crate::tasks::appended::{AppendDecision, IfLoaded, PriorLoad, PriorRows};
use crate::tasks::counts::Counts;
use crate::tasks::file_address::{NotedAddress, noted_address};
use crate::text::{self, hex};

/// A staging table that nobody deletes is gone after a day.
const STAGE_LIFE_MS: u128 = 24 * 60 * 60 * 1000;

/// What is known of a load before it is done.
enum LoadStatus {
    /// It has been done; its result.
    Done(Outputs),
    /// It is to be done, with a word about it once it is.
    New(Option<(Level, String)>),
}

/// A load through a staging table.
pub(super) struct Staged<'a> {
    pub(super) load: &'a BigQueryLoad,
    pub(super) bigquery: &'a BigQueryClient<'a>,
    pub(super) mode: &'a LoadMode,
    pub(super) main: &'a BigQueryTableName,
    pub(super) schema: &'a TableSchema,
    pub(super) from: &'a From,
    pub(super) began: Instant,
}

/// What tells a load from others.
struct LoadKey {
    partition: String,
    definition: Fingerprint,
}

impl Staged<'_> {
    /// # Errors
    /// When something does not fit, Google refuses, or the counts differ.
    pub(super) async fn run(&self) -> Result<Outputs, TaskError> {
        let constant = self.mode.constant()?;
        let expected = self.expected(constant.as_ref())?;
        let source = match self.from {
            From::File(file) => LoadSource::of_file(self.load, self.bigquery, file, &expected).await?,
            From::Objects(uris) => LoadSource::of_objects(self.load, self.bigquery, uris, &expected).await?,
        };
        self.ensure_table().await?;
        self.bigquery.ensure_ledger(self.main).await?;
        let key = self.key(&source, constant.as_ref());
        let stage = self.stage(&key);
        let script = |staged| LoadScript {
            main: self.main,
            stage: &stage,
            fields: schema::fields(self.schema),
            mode: self.mode,
            constant: constant.as_ref(),
            row_id: self.load.row_id.as_ref().map(|id| (id.name.as_str(), id.columns.as_slice())),
            staged,
        };
        let note = match self.already_there(&source, &key, &script(0)).await? {
            LoadStatus::Done(loaded) => return Ok(loaded),
            LoadStatus::New(note) => note,
        };
        let (job, staged, rejected) = self.fill(&stage, &source, expected).await?;
        let counts = self.commit(&source, &key, &script(staged), (staged, rejected)).await?;
        note.iter().for_each(|(level, message)| self.bigquery.context.log_line(*level, message));
        Ok(self.loaded(&source, counts, Some(job)))
    }

    /// The columns that the file has to bring: all but those that are made here.
    fn expected(&self, constant: Option<&(String, String)>) -> Result<Vec<TableFieldSchema>, TaskError> {
        let fields = schema::fields(self.schema);
        let id = self.load.row_id.as_ref();
        let made = [id.map(|id| id.name.as_str()), constant.map(|(name, _)| name.as_str())];
        let from = id.iter().flat_map(|id| id.columns.iter().map(String::as_str));
        if let Some(unknown) = made.into_iter().flatten().chain(from).find(|name| find(fields, name).is_none()) {
            return Err(TaskError::permanent(format!("the schema of {} has no column `{unknown}`", self.main))
                .help("add it to the schema, or use another column"));
        }
        let is_made =
            |field: &&TableFieldSchema| made.iter().flatten().any(|name| field.name.eq_ignore_ascii_case(name));
        Ok(fields.iter().filter(|field| !is_made(field)).cloned().collect())
    }

    /// Makes the table if it is not there, else checks its columns before anything is changed.
    async fn ensure_table(&self) -> Result<(), TaskError> {
        let found = match self.bigquery.table(self.main).await {
            Ok(found) => found,
            Err(failure) if failure.is(StatusCode::NOT_FOUND) => match self.create_table().await? {
                None => return Ok(()),
                Some(found) => found,
            },
            Err(failure) => return Err(failure.into()),
        };
        let there: Vec<&str> = found["schema"]["fields"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|field| field["name"].as_str())
            .collect();
        let lacks = |field: &&TableFieldSchema| !there.iter().any(|name| name.eq_ignore_ascii_case(&field.name));
        match schema::fields(self.schema).iter().find(lacks) {
            None => Ok(()),
            Some(field) => Err(TaskError::permanent(format!("the table {} has no column `{}`", self.main, field.name))
                .help(format!(
                    "add it: ALTER TABLE {} ADD COLUMN `{}` {}; or remove it from the schema",
                    self.main.sql(),
                    field.name,
                    schema::sql_type(field)
                ))),
        }
    }

    /// Gives the table that somebody else has made in between.
    async fn create_table(&self) -> Result<Option<Value>, TaskError> {
        let (load, main) = (self.load, self.main);
        let clustering = (!load.clustering_fields.is_empty()).then(|| load.clustering_fields.clone());
        let table = Table {
            description: load.table_description.clone(),
            labels: labels(&load.labels),
            time_partitioning: load.partitioning(),
            clustering: clustering.map(|fields| Clustering { fields: Some(fields) }),
            require_partition_filter: None,
            ..Table::new(&main.project, &main.dataset, &main.table, self.schema.clone())
        };
        let what = format!("creating table {main}");
        let tables = self.bigquery.client.table();
        match self.bigquery.call(&what, || tables.create(table.clone())).await {
            Ok(_) => {
                let by = by_time(load.time_partitioning_field.as_ref(), load.time_partitioning_type);
                let by = by.and_then(|by| Some(format!(", partitioned by {} of {}", by.r#type, by.field?)));
                self.bigquery.context.info(format!("created table {main}{}", by.unwrap_or_default()));
                Ok(None)
            }
            Err(failure) if failure.is(StatusCode::CONFLICT) => Ok(Some(self.bigquery.table(main).await?)),
            Err(failure) => Err(failure.into()),
        }
    }

    fn key(&self, source: &LoadSource, constant: Option<&(String, String)>) -> LoadKey {
        LoadKey {
            partition: constant.map_or_else(|| source.address.short.clone(), |(_, value)| value.clone()),
            definition: self.load.fingerprint(self.mode, &json!(self.schema)),
        }
    }

    /// The staging table: the flow's own, else one that no other execution has.
    fn stage(&self, key: &LoadKey) -> BigQueryTableName {
        if let Some(own) = &self.load.staging
            && let Ok(name) = BigQueryTableName::parse(own, &self.bigquery.project)
        {
            return name;
        }
        let table = &self.main.table;
        let stem = key.partition.rsplit('/').next().unwrap_or_default();
        let stem = stem.split('.').next().unwrap_or_default();
        let stem = stem.strip_prefix(table.as_str()).unwrap_or(stem);
        let fits = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
        let stem: String = stem.chars().map(fits).take(100).collect();
        let sum = hex(&Sha256::digest(format!("{} {}", self.bigquery.context.run, key.partition))[..4]);
        self.main.sibling(format!("{table}_{}_stage_{}_{sum}", stem.trim_matches('_'), self.bigquery.context.execution))
    }

    /// The result of a load that the ledger knows and the table still holds.
    async fn already_there(
        &self,
        source: &LoadSource,
        key: &LoadKey,
        script: &LoadScript<'_>,
    ) -> Result<LoadStatus, TaskError> {
        let id = self.id(source, key);
        let which = match self.mode {
            // A truncate takes everybody's rows, so the last load counts, whatever its partition.
            LoadMode::Truncate => LoadSelector::Newest,
            LoadMode::Append => {
                let flow = self.bigquery.context.flow.as_str();
                let (sha256, definitions) = (source.sha256.as_str(), key.definition.known());
                LoadSelector::Nearest { id: &id, address: &source.address, flow, sha256, definitions }
            }
            _ => LoadSelector::Partition(&key.partition),
        };
        let query = LoadLookup { main: self.main, which, rows: script.condition() };
        let Some(newest_load) = self.bigquery.newest_load(&query).await? else { return Ok(LoadStatus::New(None)) };
        if newest_load.id == id {
            self.bigquery.context.info("an earlier attempt had committed the load");
            return Ok(LoadStatus::Done(self.loaded(source, newest_load.counts, None)));
        }
        let if_loaded = if self.load.force { Some(IfLoaded::Load) } else { self.load.if_loaded };
        let same = newest_load.sums.0 == source.sha256
            && key.definition.knows(&newest_load.sums.1)
            && newest_load.partition == key.partition;
        let by = &newest_load.execution;
        let is_there = match (self.mode, if_loaded) {
            (LoadMode::Append, _) => return self.appended(source, key, &newest_load, if_loaded),
            (LoadMode::Merge(_), None) | (_, Some(IfLoaded::Load)) => false,
            (_, Some(IfLoaded::Fail)) if same => {
                let message = format!("execution {by} has already loaded this file, and `if_loaded` is `fail`");
                return Err(TaskError::permanent(message));
            }
            (_, Some(IfLoaded::Skip)) => same,
            _ => same && newest_load.present == newest_load.counts.loaded,
        };
        let message = format!("execution {by} has already loaded this file; nothing to do");
        Ok(if is_there { LoadStatus::Done(self.skipped(source, &newest_load, message)) } else { LoadStatus::New(None) })
    }

    /// A table of BigQuery does not tell whose rows are whose: only whether it is empty, or as full as all loads have made
    /// it.
    fn appended(
        &self,
        source: &LoadSource,
        key: &LoadKey,
        newest_load: &CommittedLoad,
        if_loaded: Option<IfLoaded>,
    ) -> Result<LoadStatus, TaskError> {
        let table = self.main.to_string();
        let CommittedLoad { address, partition, source: name, .. } = newest_load;
        let address = noted_address(address.clone(), partition.clone(), name.clone(), &source.address);
        let before = PriorLoad {
            file: &source.name,
            table: &table,
            execution: &newest_load.execution,
            address: &address,
            sameness: source.address.sameness(&NotedAddress {
                address: &address,
                is_of_this_flow: newest_load.flow == self.bigquery.context.flow.as_str(),
                is_of_this_execution: newest_load.execution == self.bigquery.context.execution.as_str(),
            }),
            has_same_content: newest_load.sums.0 == source.sha256,
            has_same_steps: key.definition.knows(&newest_load.sums.1),
            rows: newest_load.counts.loaded,
        };
        let (present, noted) = (newest_load.present, newest_load.noted);
        let prior_rows = match () {
            // A merge that brought nothing, since the rows were there, does not tell that they still are.
            () if present == 0 && !before.has_same_steps => PriorRows::Gone,
            () if present == noted || newest_load.counts.loaded == 0 => PriorRows::Whole,
            () if present == 0 => PriorRows::Gone,
            () => PriorRows::Unclear(format!(
                "the table holds {}, but its loads have added {}, so it is not known whether the rows are still there",
                text::count(present, "row"),
                text::thousands(noted)
            )),
        };
        match before.decide(if_loaded, &prior_rows)? {
            AppendDecision::Load(level, message) => Ok(LoadStatus::New(Some((level, message)))),
            AppendDecision::Skip(message) if if_loaded.is_some() || newest_load.counts.loaded == 0 => {
                Ok(LoadStatus::Done(self.skipped(source, newest_load, message)))
            }
            // Counts alone say so: rows that were replaced by as many others would not be missed.
            AppendDecision::Skip(message) => {
                let found = format!(
                    "the table holds {}, as many as its loads have added; if the file's are not among them,                      `if_loaded: load` adds them",
                    text::count(present, "row")
                );
                Ok(LoadStatus::Done(self.skipped(source, newest_load, format!("{message}: {found}"))))
            }
        }
    }

    fn skipped(&self, source: &LoadSource, newest_load: &CommittedLoad, message: String) -> Outputs {
        self.bigquery.context.info(message);
        Outputs { already_loaded: true, ..self.loaded(source, newest_load.counts.again(), None) }
    }

    /// Runs the load job. Gives its id, the rows that it brought, and those that did not fit.
    async fn fill(
        &self,
        stage: &BigQueryTableName,
        source: &LoadSource,
        expected: Vec<TableFieldSchema>,
    ) -> Result<(String, u64, u64), TaskError> {
        let fields = match &source.columns {
            // A load job takes the columns of a CSV file by their places.
            Some(columns) => columns.iter().filter_map(|column| find(&expected, column).cloned()).collect(),
            None => expected,
        };
        let job = self.load.load_job(self.bigquery, stage, Some(TableSchema::new(fields)), self.from, Some(source));
        let (job, rows, bad) = job.await?;
        if let Some(counted) = source.rows.filter(|counted| *counted != rows + bad) {
            return Err(TaskError::permanent(format!(
                "`{}` has {counted} rows, but the load job read {}: {rows} into {stage} and {bad} rejected",
                source.name,
                rows + bad
            ))
            .help(
                "the table was not changed; look for quotes and line breaks inside fields: \
                   `csv_options: {allow_quoted_newlines: true}`",
            ));
        }
        if self.load.staging.is_none() {
            self.let_expire(stage).await?;
        }
        Ok((job, rows, bad))
    }

    async fn let_expire(&self, stage: &BigQueryTableName) -> Result<(), TaskError> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let body = json!({"expirationTime": (now.as_millis() + STAGE_LIFE_MS).to_string()});
        let what = format!("letting {stage} expire");
        match self.bigquery.request(&what, Method::PATCH, &path(stage), Some(&body)).await {
            // An earlier attempt has come further: it committed and deleted the stage.
            Err(failure) if failure.is(StatusCode::NOT_FOUND) => Ok(()),
            other => Ok(other.map(|_| ())?),
        }
    }

    /// Brings the rows over; rows and ledger, or neither.
    async fn commit(
        &self,
        source: &LoadSource,
        key: &LoadKey,
        script: &LoadScript<'_>,
        (staged, rejected): (u64, u64),
    ) -> Result<Counts, TaskError> {
        let (context, id) = (self.bigquery.context, self.id(source, key));
        let target = self.main.to_string();
        let entry = LedgerEntry {
            texts: [
                &id,
                context.execution.as_str(),
                context.flow.as_str(),
                context.task.as_str(),
                &target,
                &key.partition,
                &source.name,
                &source.sha256,
                &key.definition.sha256,
                &source.address.whole,
            ],
            read: staged + rejected,
            rejected,
            bytes: source.bytes,
            seconds: self.began.elapsed().as_secs_f64(),
        };
        let what = format!("moving the rows of {} into {}", source.name, self.main);
        self.bigquery.statement(&what, &script.text(&entry)?, self.main, &id).await?;
        let query =
            LoadLookup { main: self.main, which: LoadSelector::Partition(&key.partition), rows: script.condition() };
        let recorded = self.bigquery.newest_load(&query).await?.filter(|recorded| recorded.id == id);
        let recorded = recorded.ok_or_else(|| {
            TaskError::permanent(format!("{what}: it succeeded, but the ledger does not have it"))
                .help("another load of the same partition ran at the same time; run this one again")
        })?;
        let counts = recorded.counts;
        let holds = matches!(self.mode, LoadMode::ReplacePartition(_)).then_some(recorded.present);
        if counts.read != counts.loaded + counts.rejected + counts.skipped || holds.is_some_and(|rows| rows != staged) {
            return Err(TaskError::permanent(format!(
                "{what}: the counts differ: {} read, {} loaded, {} rejected, {} skipped, {} in the table",
                counts.read, counts.loaded, counts.rejected, counts.skipped, recorded.present
            ))
            .help("another load of the same partition ran at the same time; run this one again"));
        }
        Ok(counts)
    }

    /// The name of this load: the same for all attempts of one task run.
    fn id(&self, source: &LoadSource, key: &LoadKey) -> String {
        let identity = format!("commit {} {} {} {}", self.main, key.partition, source.sha256, key.definition.sha256);
        self.bigquery.job_id(&identity)
    }

    fn loaded(&self, source: &LoadSource, counts: Counts, job: Option<String>) -> Outputs {
        Outputs {
            job_id: job,
            table: self.main.to_string(),
            destination: self.main.to_string(),
            rows: counts.loaded,
            rows_read: counts.read,
            rows_loaded: counts.loaded,
            rows_rejected: counts.rejected,
            rows_skipped: counts.skipped,
            already_loaded: false,
            bytes: source.bytes,
            seconds: self.began.elapsed().as_secs_f64(),
        }
    }
}

/// Whether a path leads to a file that can be sent, and how long it is.
pub(super) fn local(path: std::path::PathBuf) -> Result<LocalFile, TaskError> {
    let length = std::fs::metadata(&path).map(|data| data.len());
    let bytes =
        length.map_err(|error| TaskError::permanent(format!("cannot read {}", path.display())).caused_by(error))?;
    Ok(LocalFile { path, bytes })
}
