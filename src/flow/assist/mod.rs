//! Help with writing a flow: what may be at a position of the text, what is there, and how a mistake is corrected.
//! The text is looked at line by line, since one that is being written is seldom YAML.

mod candidates;
mod described;
mod fix;
mod names;
mod place;
mod schema_walk;

pub use candidates::{Candidate, Completion, complete};
pub use described::{DescribedPlace, describe};
pub use fix::{Fix, fix};
