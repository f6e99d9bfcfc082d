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

pub(crate) use api::{Api, ApiFailure};
pub(crate) use auth::{GoogleAccess, default_project};
pub(crate) use endpoint::Service;
pub(crate) use error::GoogleError;
pub(crate) use login::GoogleLogin;
pub(crate) use login::google_task;
pub(crate) use retry::RetryPolicy;
pub(crate) use role::GoogleRole;
