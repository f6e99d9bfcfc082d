//! Files with flows of the same id: which of them is loaded.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::{Entries, Files};
use crate::diagnostic::Diagnostic;
use crate::flow::Flow;
use crate::id::FlowKey;
use crate::journal::{Journal, JournalError};

/// The file of each flow, and what is wrong where several files have one. The file that had the flow `before` keeps
/// it; at the start of a process that is the one that the journal knows. Where neither is known no file has it: it
/// would be chance which flow runs.
pub(super) fn choose(
    files: &Files,
    before: &Entries,
    journal: &Journal,
) -> Result<(BTreeMap<FlowKey, OsString>, Vec<Diagnostic>), JournalError> {
    let (mut chosen, mut problems) = (BTreeMap::new(), Vec::new());
    for (key, candidates) in candidates(files) {
        let [only] = candidates[..] else {
            let owner = owner(&key, &candidates, before, journal)?;
            problems.extend(candidates.iter().filter_map(|one| report(one, owner, &candidates)));
            chosen.extend(owner.map(|owner| (key, owner.clone())));
            continue;
        };
        chosen.insert(key, only.0.clone());
    }
    Ok((chosen, problems))
}

type DeclaredFlow<'a> = (&'a OsString, &'a Flow);

fn candidates(files: &Files) -> BTreeMap<FlowKey, Vec<DeclaredFlow<'_>>> {
    let mut candidates: BTreeMap<FlowKey, Vec<DeclaredFlow>> = BTreeMap::new();
    for (file, read) in files {
        let Some(flow) = read.flow.as_deref() else { continue };
        candidates.entry(FlowKey::new(&flow.namespace, flow.id.as_str())).or_default().push((file, flow));
    }
    candidates
}

fn owner<'a>(
    key: &FlowKey,
    candidates: &[DeclaredFlow<'a>],
    before: &Entries,
    journal: &Journal,
) -> Result<Option<&'a OsString>, JournalError> {
    let candidate = |file: &Path| candidates.iter().find(|(name, _)| Path::new(name) == file).map(|(name, _)| *name);
    if let Some(owner) = before.get(key).and_then(|entry| candidate(&entry.file)) {
        return Ok(Some(owner));
    }
    let newest = journal.revisions(&key.namespace, &key.id)?.into_iter().next();
    Ok(newest.and_then(|newest| candidate(Path::new(&newest.file))))
}

/// What is wrong with one of several files: nothing if it has the flow.
fn report(one: &DeclaredFlow, owner: Option<&OsString>, all: &[DeclaredFlow]) -> Option<Diagnostic> {
    if owner == Some(one.0) {
        return None;
    }
    let help = match owner {
        Some(owner) => format!("the one in {} was loaded first, and is used", Path::new(owner).display()),
        None => {
            let others =
                all.iter().filter(|other| other.0 != one.0).map(|other| Path::new(other.0).display().to_string());
            let others = others.collect::<Vec<_>>().join(" and in ");
            format!("the other is in {others}; none of them is loaded, since it is not known which one was first")
        }
    };
    Some(duplicate(one.1).help(format!("{help}; rename this flow, or remove one of the files")))
}

/// What is wrong with a flow whose id that of another file has.
pub fn duplicate(flow: &Flow) -> Diagnostic {
    let finding = Diagnostic::error(format!("there are two flows {}.{}", flow.namespace, flow.id));
    flow.document.locate(&["id".to_owned()], finding)
}
