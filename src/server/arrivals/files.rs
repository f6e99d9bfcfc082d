//! Files that arrive.

use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

use super::{ArrivedFile, FileSource, Listing, SensorError, Sensors, WatchedTrigger};
use crate::clock;
use crate::flow::trigger::{FileArrival, ListingDepth};
use crate::journal::TriggerFiring;
use crate::text::{count, natural, plain};

/// The tick that says that a trigger has looked once: what was there then had not arrived.
const LOOKED: &str = "(looked)";

impl Sensors {
    /// Looks into the folder, and starts an execution for each file that has arrived. How soon to look again, if sooner
    /// than usual.
    pub(super) async fn look_for_files(
        &self,
        arrival: &FileArrival,
        one: &mut WatchedTrigger,
    ) -> Result<Option<Duration>, SensorError> {
        let arrival = &self.settled(arrival, one)?;
        let (place, found) = self.files(arrival, one).await?;
        if std::mem::take(&mut one.is_blind) {
            self.scheduler.note_problem(&one.key, None);
        }
        if self.journal.record_firing(&TriggerFiring::about(one.key.clone(), LOOKED))? {
            for file in &found {
                self.journal.record_firing(&TriggerFiring::about(one.key.clone(), tick_key(file)))?;
            }
            if !found.is_empty() {
                self.scheduler.say(&one.key, &left_alone(found.len()));
            }
        }
        let mut done = std::mem::take(&mut one.done);
        let mut is_waiting = false;
        one.is_waiting = false;
        for file in &found {
            let key = tick_key(file);
            if done.remove(&key) || self.journal.has_fired(&one.key, &key)? {
                one.done.insert(key);
                continue;
            }
            let is_whole = file.is_whole || one.before.get(&file.uri) == Some(&file.mark);
            if !is_whole || one.is_waiting || self.must_wait(one)? {
                is_waiting = true;
                continue;
            }
            self.start(one, Some(&key), facts(file))?;
        }
        one.before = found.into_iter().map(|file| (file.uri, file.mark)).collect::<HashMap<_, _>>();
        Ok(is_waiting.then(|| place.soon()))
    }

    /// The trigger with the values of its expressions.
    fn settled(&self, arrival: &FileArrival, one: &WatchedTrigger) -> Result<FileArrival, String> {
        let FileArrival { from, reg_exp, service_account, impersonate, .. } = arrival;
        let fields = json!([from, reg_exp, service_account, impersonate]);
        let fields = self.scheduler.rendered(&one.key, &fields, clock::now())?;
        let text = |index: usize| Some(&fields[index]).filter(|value| !value.is_null()).map(plain);
        Ok(FileArrival {
            from: text(0).unwrap_or_default(),
            reg_exp: text(1),
            service_account: text(2),
            impersonate: text(3),
            ..arrival.clone()
        })
    }

    /// The files that are there and that the trigger means, in the order in which they came; of those that came together
    /// as their names are numbered.
    async fn files(
        &self,
        arrival: &FileArrival,
        one: &mut WatchedTrigger,
    ) -> Result<(&dyn FileSource, Vec<ArrivedFile>), String> {
        let (folder, pattern) = arrival.place();
        let address = match folder.contains("://") {
            true => folder.to_owned(),
            false => one.flow.folder.join(folder).display().to_string(),
        };
        let deep = arrival.listing_type == ListingDepth::Recursive;
        let start = if deep { "" } else { pattern.split(['*', '?']).next().unwrap_or_default() };
        let place = self.places.iter().find(|place| place.has(&address));
        let place = place.ok_or_else(|| format!("cannot look at {address}: there is no access to such places here"))?;
        let expression = arrival.expression()?;
        let look = Listing {
            start: start.to_owned(),
            deep,
            folder: one.flow.folder.clone(),
            service_account: arrival.service_account.clone(),
            impersonate: arrival.impersonate.clone(),
            scopes: arrival.scopes.clone(),
            address,
        };
        let listed = place.list(&look).await;
        one.is_blind |= listed.is_err();
        let mut found = listed?;
        found.retain(|file| {
            let fits = expression.as_ref().is_none_or(|expression| expression.is_match(&file.uri));
            fits && arrival.accepts(&file.name)
        });
        found.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| natural(&a.uri, &b.uri)));
        Ok((place.as_ref(), found))
    }
}

/// What to say of files that were there before the trigger.
fn left_alone(many: usize) -> String {
    let files = count(many as u64, "file");
    let was = if many == 1 { "was there before, and is left alone" } else { "were there before, and are left alone" };
    format!("{files} {was}; one that is written anew, or whose time `touch` renews, starts the flow")
}

/// What expressions know of a file as `trigger`.
fn facts(file: &ArrivedFile) -> Value {
    let mut facts = json!({"uri": file.uri, "name": file.name, "size": file.size});
    if file.uri.starts_with("gs://") {
        facts["blobs"] = json!([facts]);
    }
    facts
}

/// The same file with other content has arrived anew.
fn tick_key(file: &ArrivedFile) -> String {
    format!("{} {}", file.uri, file.mark)
}
