//! What the tasks on Google Cloud share: who they are there, where its services are, and what its refusals mean.

mod api;
mod auth;
mod endpoint;
mod error;
mod key;
mod login;
mod metadata;
mod role;

pub(crate) use crate::web::RetryPolicy;
pub(crate) use api::{Api, ApiFailure};
pub(crate) use auth::{GoogleAccess, default_project};
pub(crate) use endpoint::Service;
pub(crate) use error::GoogleError;
pub(crate) use login::GoogleLogin;
pub(crate) use login::google_task;
pub(crate) use role::GoogleRole;
