//! File triggers: an execution for each file that arrives.

use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

use super::{ArrivedFile, FileSource, ListRequest, SensorError, Sensors, WatchedTrigger};
use crate::clock;
use crate::flow::trigger::{FileArrival, ListingDepth};
use crate::journal::TriggerFiring;
use crate::text::{count, natural, plain};

/// The firing that records a trigger's first probe. The files that it sees were there before the trigger, and start nothing.
const FIRST_PROBE: &str = "(looked)";

impl Sensors {
    /// Lists the folder and starts an execution for each new file. Gives how soon to probe again, if sooner than usual.
    pub(super) async fn probe_files(
        &self,
        arrival: &FileArrival,
        watched: &mut WatchedTrigger,
    ) -> Result<Option<Duration>, SensorError> {
        let arrival = &self.rendered(arrival, watched)?;
        let (source, found) = self.files(arrival, watched).await?;
        if std::mem::take(&mut watched.is_unreachable) {
            self.scheduler.set_problem(&watched.key, None);
        }
        if self.journal.record_firing(&TriggerFiring::about(watched.key.clone(), FIRST_PROBE))? {
            for file in &found {
                self.journal.record_firing(&TriggerFiring::about(watched.key.clone(), firing_key(file)))?;
            }
            if !found.is_empty() {
                self.scheduler.log(&watched.key, &ignored(found.len()));
            }
        }
        let mut handled = std::mem::take(&mut watched.handled);
        let mut is_waiting = false;
        watched.is_waiting = false;
        for file in &found {
            let key = firing_key(file);
            if handled.remove(&key) || self.journal.has_fired(&watched.key, &key)? {
                watched.handled.insert(key);
                continue;
            }
            let is_complete = file.is_complete || watched.versions.get(&file.uri) == Some(&file.version);
            if !is_complete || watched.is_waiting || self.must_wait(watched)? {
                is_waiting = true;
                continue;
            }
            self.fire(watched, Some(&key), facts(file))?;
        }
        watched.versions = found.into_iter().map(|file| (file.uri, file.version)).collect::<HashMap<_, _>>();
        Ok(is_waiting.then(|| source.retry_delay()))
    }

    /// The trigger with its expressions rendered.
    fn rendered(&self, arrival: &FileArrival, watched: &WatchedTrigger) -> Result<FileArrival, String> {
        let FileArrival { from, reg_exp, service_account, impersonate, .. } = arrival;
        let fields = json!([from, reg_exp, service_account, impersonate]);
        let fields = self.scheduler.rendered(&watched.key, &fields, clock::now())?;
        let text = |index: usize| Some(&fields[index]).filter(|value| !value.is_null()).map(plain);
        Ok(FileArrival {
            from: text(0).unwrap_or_default(),
            reg_exp: text(1),
            service_account: text(2),
            impersonate: text(3),
            ..arrival.clone()
        })
    }

    /// The files that match the trigger, in the order in which they arrived and, within a moment, in natural order of their
    /// names.
    async fn files(
        &self,
        arrival: &FileArrival,
        watched: &mut WatchedTrigger,
    ) -> Result<(&dyn FileSource, Vec<ArrivedFile>), String> {
        let (folder, pattern) = arrival.folder_and_pattern();
        let address = match folder.contains("://") {
            true => folder.to_owned(),
            false => watched.flow.folder.join(folder).display().to_string(),
        };
        let recursive = arrival.listing_type == ListingDepth::Recursive;
        let prefix = if recursive { "" } else { pattern.split(['*', '?']).next().unwrap_or_default() };
        let source = self.sources.iter().find(|source| source.serves(&address));
        let source =
            source.ok_or_else(|| format!("cannot watch {address}: addresses of this kind are not supported"))?;
        let expression = arrival.expression()?;
        let request = ListRequest {
            prefix: prefix.to_owned(),
            recursive,
            folder: watched.flow.folder.clone(),
            service_account: arrival.service_account.clone(),
            impersonate: arrival.impersonate.clone(),
            scopes: arrival.scopes.clone(),
            address,
        };
        let listed = source.list(&request).await;
        watched.is_unreachable |= listed.is_err();
        let mut found = listed?;
        found.retain(|file| {
            let matches = expression.as_ref().is_none_or(|expression| expression.is_match(&file.uri));
            matches && arrival.matches_name(&file.name)
        });
        found.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| natural(&a.uri, &b.uri)));
        Ok((source.as_ref(), found))
    }
}

/// The message about files that were there before the trigger.
fn ignored(many: usize) -> String {
    let files = count(many as u64, "file");
    let was = if many == 1 { "existed before and is ignored" } else { "existed before and are ignored" };
    format!("{files} {was}; a file that is rewritten or touched starts the flow")
}

/// What expressions see as `trigger`.
fn facts(file: &ArrivedFile) -> Value {
    let mut facts = json!({"uri": file.uri, "name": file.name, "size": file.size});
    if file.uri.starts_with("gs://") {
        facts["blobs"] = json!([facts]);
    }
    facts
}

/// The key of a file's firing: with other content it is another file.
fn firing_key(file: &ArrivedFile) -> String {
    format!("{} {}", file.uri, file.version)
}
