//! Which lines the process's own log has. Everybody writes it with `tracing`, under one of the targets below; the command
//! line prints it.

use std::collections::BTreeMap;
use std::str::FromStr;

use tracing_subscriber::filter::{LevelFilter, Targets};

/// What the targets of this program begin with; all of them, unless they are named themselves.
const ALL: &str = "jitney";
/// What tasks log. Its author chose the level of each line, so that all are written.
const TASKS: &str = "jitney::tasks";
/// The targets of this program.
pub(crate) const TARGETS: [&str; 9] = [
    "jitney::backfills",
    "jitney::executions",
    "jitney::flows",
    "jitney::health",
    "jitney::http",
    "jitney::panic",
    "jitney::scheduler",
    "jitney::server",
    TASKS,
];

/// The levels that somebody wants, such as `info,jitney::scheduler=debug`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogLevels {
    default: Option<LevelFilter>,
    targets: BTreeMap<String, LevelFilter>,
}

impl FromStr for LogLevels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut filter = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (target, word) =
                part.split_once('=').map_or((None, part), |(target, word)| (Some(target.trim()), word));
            let level = level(word.trim())?;
            match target {
                None => filter.default = Some(level),
                Some(target) => {
                    check_target(target)?;
                    filter.targets.insert(target.to_owned(), level);
                }
            }
        }
        Ok(filter)
    }
}

impl LogLevels {
    /// The filter for lines, of which those of `usual` and above are written unless somebody wants otherwise. Other
    /// crates write nothing unless they are named.
    pub fn targets(&self, usual: LevelFilter) -> Targets {
        let all = Targets::new().with_target(ALL, self.default.unwrap_or(usual));
        let all = all.with_target(TASKS, self.default.unwrap_or(LevelFilter::TRACE));
        all.with_targets(self.targets.iter().map(|(target, level)| (target.clone(), *level)))
    }
}

fn level(word: &str) -> Result<LevelFilter, String> {
    let known = ["off", "error", "warn", "info", "debug", "trace"];
    let level = known.contains(&word).then(|| word.parse().ok()).flatten();
    level.ok_or_else(|| {
        format!("`{word}` is not a level: write off, error, warn, info, debug or trace, as in `info,jitney::scheduler=debug`")
    })
}

/// A target of ours must exist; those of other crates are not known here.
fn check_target(target: &str) -> Result<(), String> {
    let is_ours = target == ALL || target.starts_with("jitney::");
    if target.is_empty() || (is_ours && target != ALL && !TARGETS.contains(&target)) {
        return Err(format!("there is no target `{target}`; the targets are {}", TARGETS.join(", ")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tracing::Level;
    use tracing_subscriber::filter::LevelFilter;

    use super::*;

    fn writes(text: &str, target: &str, level: Level) -> bool {
        text.parse::<LogLevels>().unwrap().targets(LevelFilter::INFO).would_enable(target, &level)
    }

    #[test]
    fn levels_hold_for_all_targets_or_for_those_that_are_named() {
        assert!(writes("", "jitney::server", Level::INFO) && !writes("", "jitney::server", Level::DEBUG));
        assert!(writes("", "jitney::tasks", Level::DEBUG), "the author of a flow wants to see it");
        assert!(!writes("warn", "jitney::tasks", Level::INFO) && !writes("warn", "jitney::server", Level::INFO));
        let text = "warn, jitney::scheduler=debug";
        assert!(writes(text, "jitney::scheduler", Level::DEBUG) && !writes(text, "jitney::http", Level::INFO));
        assert!(writes("jitney::http=off", "jitney::server", Level::INFO), "the others stay as they are");
        assert!(!writes("jitney::http=off", "jitney::http", Level::ERROR));
        assert!(!writes("trace", "hyper::proto", Level::ERROR), "other crates may log headers");
        assert!(writes("hyper=debug", "hyper::proto", Level::DEBUG));
    }

    #[test]
    fn what_is_no_level_or_no_target_is_refused() {
        let refusal = |text: &str| text.parse::<LogLevels>().unwrap_err();
        assert!(refusal("loud").starts_with("`loud` is not a level: write off, error"));
        assert!(refusal("jitney::scheduler").contains("is not a level"));
        assert!(
            refusal("jitney::schedule=debug").starts_with("there is no target `jitney::schedule`; the targets are")
        );
    }
}
