//! What the tasks on Google Cloud share: who they are there, where its services are, what its refusals mean, and
//! when to try again.

mod api;
mod auth;
mod endpoint;
mod key;
mod login;
mod metadata;
mod refusal;
mod retry;
mod role;

pub use api::{Api, Failure};
pub use auth::{Access, default_project};
pub use endpoint::Service;
pub use login::Login;
pub(crate) use login::google_task;
pub use refusal::Refusal;
pub use retry::Retry;
pub use role::Role;
