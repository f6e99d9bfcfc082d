//! Where an execution belongs: who started it, and the systems that its tasks reach because the command line or the
//! environment names them.

use serde::{Deserialize, Serialize};

/// Which kind of process started an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartedBy {
    /// A command in a terminal: nobody else resumes it unasked.
    Terminal,
    /// The server, for a trigger, a backfill or a call: the next server resumes it.
    Server,
}

/// What tasks reach that do not name it themselves. Holds no user and no password.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionTarget {
    /// The Postgres, if the flow uses any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<PostgresTarget>,
    /// Google Cloud, if the flow uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub google: Option<GoogleTarget>,
}

/// The Postgres that a flow uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostgresTarget {
    /// `host:port/database`; none is the private server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Whether `--postgres` named it, which wins over the flow's own addresses.
    #[serde(default)]
    pub by_flag: bool,
    /// Whether tasks of the flow name an address of their own.
    pub own: ExplicitTargets,
}

/// How many of a flow's tasks name something themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExplicitTargets {
    /// None.
    None,
    /// Some.
    Some,
    /// All.
    All,
}

/// The Google Cloud project that a flow uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoogleTarget {
    /// The project of the credentials or of the environment; none where nothing but the machine names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The emulators that stand in for Google.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emulators: Vec<String>,
    /// Whether tasks of the flow name the project themselves.
    pub own: ExplicitTargets,
}

impl PostgresTarget {
    /// What it means for the tasks: words for those without an address, and for those with one.
    fn reached(&self) -> (Option<String>, Option<String>) {
        let named =
            self.address.as_ref().map_or_else(|| "the private Postgres".to_owned(), |at| format!("Postgres at {at}"));
        let others = (self.own != ExplicitTargets::All).then(|| named.clone());
        let own = match (self.own, self.by_flag) {
            (ExplicitTargets::None, _) => None,
            (_, true) => Some(named),
            (_, false) => Some("the flow's own Postgres addresses".to_owned()),
        };
        (others, own)
    }

    fn words(&self) -> String {
        match self.reached() {
            (Some(others), Some(own)) if others != own => format!("{others} and {own}"),
            (Some(words), _) | (None, Some(words)) => words,
            (None, None) => String::new(),
        }
    }
}

impl GoogleTarget {
    fn reached(&self) -> (Option<&Option<String>>, &[String]) {
        ((self.own != ExplicitTargets::All).then_some(&self.project), &self.emulators)
    }

    fn words(&self) -> String {
        let project = match &self.project {
            _ if self.own == ExplicitTargets::All => "the flow's own Google Cloud projects".to_owned(),
            Some(project) => format!("the Google Cloud project {project}"),
            None => "the default Google Cloud project of the machine".to_owned(),
        };
        match self.emulators.as_slice() {
            [] => project,
            some => format!("{project}, emulated at {}", some.join(" and ")),
        }
    }
}

impl ExecutionTarget {
    /// The differences to another target, in words for each side: none when tasks reach the same.
    pub fn difference(&self, other: &Self) -> Option<(String, String)> {
        let mut pairs = Vec::new();
        if let (Some(mine), Some(others)) = (&self.postgres, &other.postgres)
            && mine.reached() != others.reached()
        {
            pairs.push((mine.words(), others.words()));
        }
        if let (Some(mine), Some(others)) = (&self.google, &other.google)
            && mine.reached() != others.reached()
        {
            pairs.push((mine.words(), others.words()));
        }
        let (mine, others): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        (!mine.is_empty()).then(|| (mine.join(" and "), others.join(" and ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postgres(address: Option<&str>, by_flag: bool, own: ExplicitTargets) -> ExecutionTarget {
        let postgres = PostgresTarget { address: address.map(str::to_owned), by_flag, own };
        ExecutionTarget { postgres: Some(postgres), google: None }
    }

    #[test]
    fn only_what_tasks_reach_makes_a_difference() {
        let flagged = postgres(Some("a:5432/x"), true, ExplicitTargets::None);
        assert_eq!(flagged.difference(&postgres(Some("a:5432/x"), false, ExplicitTargets::None)), None);
        let words = flagged.difference(&postgres(None, false, ExplicitTargets::None)).unwrap();
        assert_eq!(words, ("Postgres at a:5432/x".to_owned(), "the private Postgres".to_owned()));
        let own = postgres(Some("a:5432/x"), false, ExplicitTargets::All);
        assert_eq!(own.difference(&postgres(None, false, ExplicitTargets::All)), None, "the environment is not asked");
        let (began, here) = own.difference(&postgres(Some("b:5432/y"), true, ExplicitTargets::All)).unwrap();
        assert_eq!((began.as_str(), here.as_str()), ("the flow's own Postgres addresses", "Postgres at b:5432/y"));
        assert_eq!(flagged.difference(&ExecutionTarget::default()), None, "nothing is known of the other");
    }

    #[test]
    fn a_project_and_its_emulator_make_a_difference_unless_the_flow_names_the_project() {
        let google = |project: &str, own| ExecutionTarget {
            google: Some(GoogleTarget { project: Some(project.to_owned()), emulators: Vec::new(), own }),
            postgres: None,
        };
        assert!(google("p", ExplicitTargets::Some).difference(&google("q", ExplicitTargets::Some)).is_some());
        assert_eq!(google("p", ExplicitTargets::All).difference(&google("q", ExplicitTargets::All)), None);
        let mut emulated = google("p", ExplicitTargets::All);
        emulated.google.as_mut().unwrap().emulators = vec!["localhost:9050".to_owned()];
        assert!(emulated.difference(&google("p", ExplicitTargets::All)).is_some());
    }
}
