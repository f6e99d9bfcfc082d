//! Postgres, found or started: which server is meant, a session with it, and what its errors mean to a user.
//!
//! [`connect()`] follows one order: the command line's address, the flow's, the environment's, and where there is none
//! the private server that [`managed`] keeps under jitney's home.

pub mod address;
pub mod binaries;
mod cluster;
pub mod connect;
pub mod error;
pub mod managed;
mod owner;
mod resolve;
pub mod sql;
mod tls;
pub mod value;

pub use address::{Address, Origin};
pub use connect::{Session, connect, connect_for, connect_to};
pub use error::{explain, explain_in};
pub use resolve::{FlowAddress, Wanted, resolve};
