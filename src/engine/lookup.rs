//! Where a flow finds the others that it starts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::diagnostic::{Diagnostic, nearest};
use crate::engine::flow_file;
use crate::engine::walk;
use crate::flow::{Document, Flow, parse};
use crate::id::FlowKey;
use crate::task::{Capability, TaskError, TaskType, is_template};
use crate::text::count;

/// Folders that are often next to flows, are large, and contain none.
const SKIPPED: &[&str] = &["node_modules", "target"];

/// A way to find flows.
pub trait Lookup: Send + Sync {
    /// The flow of this id.
    ///
    /// # Errors
    /// When there is none, or it is not valid.
    fn find(&self, namespace: &str, id: &str) -> Result<Arc<Flow>, TaskError>;
}

/// The flows of a folder and of those below it. It is looked through once, and each flow is parsed once.
pub struct Folder {
    root: PathBuf,
    /// The namespace and id of the flow that looks for others: it never means itself.
    own: FlowKey,
    tasks: &'static [TaskType],
    known: Mutex<Option<FlowIndex>>,
}

/// The files of flows by namespace and id, and those parsed so far.
type FlowIndex = BTreeMap<FlowKey, (Vec<PathBuf>, Option<Arc<Flow>>)>;

impl Folder {
    /// The flows in the folder of this one.
    pub fn around(flow: &Flow) -> Self {
        // A flow in the current folder has an empty one.
        let folder = if flow.folder.as_os_str().is_empty() { Path::new(".") } else { &flow.folder };
        let root = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let own = FlowKey::new(&flow.namespace, flow.id.as_str());
        Self { root, own, tasks: flow.tasks, known: Mutex::default() }
    }

    fn missing(&self, known: &FlowIndex, namespace: &str, id: &str) -> TaskError {
        let others = || known.keys().filter(move |flow| **flow != self.own);
        let nearby = others().filter(|flow| flow.namespace == namespace).map(|flow| flow.id.as_str());
        let same = others().find(|flow| flow.id == id);
        let help = match (nearest(id, nearby), same) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some(FlowKey { namespace, id })) => {
                format!("there is a flow `{id}` in the namespace `{namespace}`")
            }
            (None, None) => format!("searched {} and the folders below it", self.root.display()),
        };
        TaskError::permanent(format!("there is no flow `{id}` in the namespace `{namespace}`")).help(help)
    }
}

impl Lookup for Folder {
    fn find(&self, namespace: &str, id: &str) -> Result<Arc<Flow>, TaskError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_with(|| {
            let files = walk::find(std::slice::from_ref(&self.root), SKIPPED).files.into_keys().map(PathBuf::from);
            let mut known = FlowIndex::new();
            for (name, file) in files.filter_map(|file| Some((key_of(&file)?, file))) {
                known.entry(name).or_default().0.push(file);
            }
            known
        });
        let Some((files, parsed)) = known.get_mut(&FlowKey::new(namespace, id)) else {
            return Err(self.missing(known, namespace, id));
        };
        if let Some(flow) = parsed {
            return Ok(flow.clone());
        }
        let [file] = &files[..] else { return Err(several(namespace, id, files)) };
        let flow = Arc::new(read(file, self.tasks)?);
        *parsed = Some(flow.clone());
        Ok(flow)
    }
}

/// Choosing one of several files would be arbitrary.
fn several(namespace: &str, id: &str, files: &[PathBuf]) -> TaskError {
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    TaskError::permanent(format!(
        "{} have the flow {namespace}.{id}: {}",
        count(files.len() as u64, "file"),
        files.join(" and in ")
    ))
    .help("rename one of them")
}

fn read(file: &Path, tasks: &'static [TaskType]) -> Result<Flow, TaskError> {
    let name = file.display().to_string();
    let text = flow_file::read(file)
        .map_err(|error| TaskError::permanent(format!("cannot read the flow {name}")).caused_by(error))?;
    let parsed = parse(&name, &text, tasks);
    let errors = parsed.findings.iter().filter(|finding| finding.is_error());
    let errors: Vec<String> = errors.map(ToString::to_string).collect();
    parsed.flow.ok_or_else(|| TaskError::permanent(format!("the flow is not valid:\n{}", errors.join("\n"))))
}

/// The namespace and the id of the flow in a file, if it is one.
fn key_of(file: &Path) -> Option<FlowKey> {
    let text = flow_file::read(file).ok()?;
    let document = Document::parse(&file.display().to_string(), &text).ok()?;
    let name = |key: &str| document.value.get(key)?.as_str().map(str::to_owned);
    document.value.get("tasks")?;
    Some(FlowKey::new(name("namespace")?, name("id")?))
}

/// The flows that a flow starts by name and that are not there, and inputs that they do not have.
pub fn missing(flow: &Flow, catalog: &dyn Lookup) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for step in flow.all_steps() {
        let literal = |key: &str| step.fields.get(key)?.as_str().filter(|text| !is_template(text));
        if !step.task.has(Capability::StartsFlows) {
            continue;
        }
        let (Some(namespace), Some(id)) = (literal("namespace"), literal("flowId")) else { continue };
        let at = |key: &str| step.path.iter().cloned().chain([key.to_owned()]).collect::<Vec<_>>();
        match catalog.find(namespace, id) {
            Err(error) => {
                let finding = Diagnostic::error(error.message);
                let finding = error.help.into_iter().fold(finding, Diagnostic::help);
                findings.push(flow.document.locate(&at("flowId"), finding));
            }
            Ok(other) => findings.extend(unknown_inputs(flow, &step.fields, &at("inputs"), &other)),
        }
    }
    findings
}

fn unknown_inputs(flow: &Flow, fields: &serde_json::Value, path: &[String], other: &Flow) -> Vec<Diagnostic> {
    let known: Vec<&str> = other.inputs.iter().map(|input| input.id.as_str()).collect();
    let given = fields.get("inputs").and_then(serde_json::Value::as_object);
    let unknown = given.into_iter().flat_map(|given| given.keys()).filter(|name| !known.contains(&name.as_str()));
    let finding = |name: &String| {
        let finding = Diagnostic::error(format!("the flow `{}` has no input `{name}`", other.id));
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "it has no inputs".to_owned(),
            None => format!("it has `{}`", known.join("`, `")),
        };
        let path: Vec<String> = path.iter().cloned().chain([name.clone()]).collect();
        flow.document.locate_key(&path, finding.help(help))
    };
    unknown.map(finding).collect()
}
