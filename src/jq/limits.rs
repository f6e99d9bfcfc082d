//! What a worker may use; the system ends one that uses more.

use rlimit::Resource;

/// Bytes of memory.
pub(super) const MAX_MEMORY: u64 = 512 << 20;
/// Seconds of work, should the process that asked be gone and end nobody.
const MAX_SECONDS: u64 = 30;

/// Puts the limits on this process.
pub(super) fn set() -> std::io::Result<()> {
    for (resource, most) in [(Resource::DATA, MAX_MEMORY), (Resource::CPU, MAX_SECONDS), (Resource::CORE, 0)] {
        rlimit::setrlimit(resource, most, most)?;
    }
    Ok(())
}
