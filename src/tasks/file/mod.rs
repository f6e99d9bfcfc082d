//! Tasks about files as such.

pub mod decompress;
