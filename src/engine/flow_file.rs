//! The text of a flow's file, and no more of a file than a flow may have.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::flow::MAX_FLOW_BYTES;

/// Reads a file. Of one that is too large to be a flow there is as much as shows that.
///
/// # Errors
/// When it cannot be read, or is no UTF-8.
pub fn read(file: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(file)?.take(MAX_FLOW_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_FLOW_BYTES {
        return Ok(" ".repeat(MAX_FLOW_BYTES + 1));
    }
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
