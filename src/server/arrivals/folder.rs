//! Files that arrive.

use std::collections::HashMap;
use std::path::Path;
use std::time::UNIX_EPOCH;

use futures_util::future::BoxFuture;
use serde_json::json;

use super::{Arrivals, Found, Place, Watched};
use crate::flow::trigger::FileArrival;
use crate::journal::Tick;

/// The tick that says that a trigger has looked once: what was there then had not arrived.
const LOOKED: &str = "(looked)";

impl Arrivals {
    /// Looks into the folder, and starts an execution for each file that has arrived; whether to look again soon.
    pub(super) async fn look_for_files(&self, arrival: &FileArrival, one: &mut Watched) -> Result<bool, String> {
        let (folder, _) = arrival.place();
        let address = match folder.contains("://") {
            true => folder.to_owned(),
            false => one.flow.folder.join(folder).display().to_string(),
        };
        let place = self.places.iter().find(|place| place.has(&address));
        let place = place.ok_or_else(|| format!("cannot look at {address}: there is no access to such places here"))?;
        let mut found = place.list(&address).await?;
        found.retain(|file| arrival.accepts(&file.name));
        found.sort_by(|a, b| a.uri.cmp(&b.uri));
        let failed = |error: crate::journal::JournalError| error.to_string();
        if self.journal.note_tick(&Tick::about(one.key.clone(), LOOKED)).map_err(failed)? {
            for file in &found {
                self.journal.note_tick(&Tick::about(one.key.clone(), tick_key(file))).map_err(failed)?;
            }
        }
        let mut is_waiting = false;
        for file in &found {
            let key = tick_key(file);
            if self.journal.has_tick(&one.key, &key).map_err(failed)? {
                continue;
            }
            if one.before.get(&file.uri) != Some(&file.mark) || self.must_wait(one)? {
                is_waiting = true;
                continue;
            }
            self.start(one, Some(&key), json!({"uri": file.uri, "name": file.name}))?;
        }
        one.before = found.into_iter().map(|file| (file.uri, file.mark)).collect::<HashMap<_, _>>();
        Ok(is_waiting)
    }
}

/// The same file with other content has arrived anew.
fn tick_key(file: &Found) -> String {
    format!("{} {}", file.uri, file.mark)
}

/// The folders of this machine.
pub struct Local;

impl Place for Local {
    fn has(&self, address: &str) -> bool {
        !address.contains("://")
    }

    fn list<'a>(&'a self, address: &'a str) -> BoxFuture<'a, Result<Vec<Found>, String>> {
        Box::pin(async move { files(Path::new(address)).map_err(|error| format!("cannot look at {address}: {error}")) })
    }
}

fn files(folder: &Path) -> std::io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        // What is gone by now has not arrived.
        let Ok(about) = entry.path().metadata() else { continue };
        let name = entry.file_name().to_string_lossy().into_owned();
        if !about.is_file() || name.starts_with('.') {
            continue;
        }
        let time = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let mark = format!("{} {}", about.len(), time.as_nanos());
        found.push(Found { uri: entry.path().display().to_string(), name, mark });
    }
    Ok(found)
}
