//! Postgres, found or started: which server to use, a session with it, and what its errors mean to a user.
//!
//! [`connect()`] follows one order: the command line's address, the flow's, the environment's, and where there is none
//! the private server that [`managed`] keeps under jitney's home.

pub mod address;
pub mod binaries;
mod cluster;
pub mod connect;
mod copy_error;
mod copy_place;
mod dial;
pub mod error;
pub mod managed;
pub mod name;
pub mod outcome;
mod owner;
mod packaged;
mod pg_error;
mod postmaster;
mod resolve;
pub mod sql;
mod tap;
mod tls;
pub mod value;
mod variables;
mod wait_monitor;

pub use address::{AddressOrigin, PostgresAddress};
pub use connect::{PostgresSession, connect, connect_for, connect_once, connect_to};
pub use copy_error::CopyError;
pub use error::{LOST, explain, explain_in};
pub use outcome::TransactionOutcome;
pub use resolve::{FlowAddress, RequestedServer, resolve};
pub use wait_monitor::WaitMonitor;
