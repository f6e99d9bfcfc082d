//! What the tasks on Google Cloud share: who they are there, where its services are, what its refusals mean, and
//! when to try again.

mod api;
mod auth;
mod endpoint;
mod error;
mod key;
mod login;
mod metadata;
mod retry;
mod role;

pub use api::{Api, ApiFailure};
pub use auth::{GoogleAccess, default_project};
pub use endpoint::Service;
pub use error::GoogleError;
pub use login::Login;
pub(crate) use login::google_task;
pub use retry::RetryPolicy;
pub use role::Role;
