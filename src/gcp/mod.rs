//! What the tasks on Google Cloud share: who they are there, where its services are, what its refusals mean, and
//! when to try again.

mod api;
mod auth;
mod key;
mod metadata;
mod refusal;
mod retry;
mod role;
mod service;

pub use api::{Api, Failure};
pub use auth::{Access, Login};
pub use refusal::Refusal;
pub use retry::Retry;
pub use role::Role;
pub use service::Service;
