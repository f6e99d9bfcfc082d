//! How a script's text reaches its interpreter: not as an argument, which all users of the machine can read.

use std::path::Path;

use super::inputs::Inputs;
use super::workspace::Workspace;

/// The variable that a container finds its script in.
const VARIABLE: &str = "JITNEY_SCRIPT";
/// Runs the script of the variable, which is not for the programs that it starts.
const RUN_VARIABLE: &str = "jitney_script=$JITNEY_SCRIPT; unset JITNEY_SCRIPT; eval \"$jitney_script\"";

/// What is to be started.
pub(super) struct Invocation {
    /// The program and its arguments.
    pub(super) words: Vec<String>,
    /// A variable that it needs.
    pub(super) variable: Option<(String, String)>,
}

/// Whether the interpreter is a shell; `/bin/sh` is, which it is by default.
pub(super) fn is_shell(interpreter: &[String]) -> bool {
    interpreter.first().is_none_or(|program| program.ends_with("sh"))
}

/// The call that runs a text. Shells get it as a file, or in a container, whose user may not be able to read ours, as a
/// variable. What other interpreters' options mean is not known here: they get it as an argument.
pub(super) fn command(
    interpreter: &[String],
    text: String,
    workspace: &Workspace,
    inputs: &mut Inputs<'_>,
    in_container: bool,
) -> Invocation {
    let default = ["/bin/sh".to_owned(), "-c".to_owned()];
    let interpreter = if interpreter.is_empty() { &default } else { interpreter };
    let mut words = interpreter.to_vec();
    let variable = match for_file(interpreter) {
        Some(_) if in_container => {
            words.push(RUN_VARIABLE.to_owned());
            Some((VARIABLE.to_owned(), text))
        }
        Some(with_file) => {
            let file = workspace.root().join("script.sh");
            words = with_file;
            words.push(path(&file));
            inputs.add_text(file, text);
            None
        }
        None => {
            words.push(text);
            None
        }
    };
    Invocation { words, variable }
}

/// The call of a shell that takes a file in place of the text after `-c`.
fn for_file(interpreter: &[String]) -> Option<Vec<String>> {
    let (last, before) = interpreter.split_last().filter(|_| is_shell(interpreter))?;
    let others = last.strip_prefix('-').filter(|option| !option.starts_with('-'))?.strip_suffix('c')?;
    let mut words = before.to_vec();
    if !others.is_empty() {
        words.push(format!("-{others}"));
    }
    Some(words)
}

fn path(file: &Path) -> String {
    file.display().to_string()
}

#[cfg(test)]
mod tests {

    #[test]
    fn only_a_shell_that_takes_a_text_can_take_a_file_instead() {
        let for_file = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
            super::for_file(&words).map(|words| words.join(" "))
        };
        assert_eq!(for_file(&["/bin/sh", "-c"]).as_deref(), Some("/bin/sh"));
        assert_eq!(for_file(&["bash", "-o", "pipefail", "-euc"]).as_deref(), Some("bash -o pipefail -eu"));
        for other in [&["python", "-c"][..], &["node", "-e"], &["bash"], &["bash", "--rc"], &["bash", "-e"]] {
            assert_eq!(for_file(other), None, "{other:?}");
        }
    }
}
