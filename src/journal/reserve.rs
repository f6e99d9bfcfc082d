//! Room that is kept for a full disk: SQLite needs some to remove anything.

use std::fs;
use std::path::{Path, PathBuf};

use crate::storage::DiskSpace;

/// How much is kept.
const RESERVE_BYTES: usize = 1 << 20;
/// It is kept where so much is free.
const MIN_FREE_BYTES: u64 = 64 << 20;

fn path(journal: &Path) -> PathBuf {
    journal.with_extension("reserve")
}

/// Keeps the reserve of a journal, if the disk has room for it. It is of use later, or not at all: nothing fails here.
pub(super) fn keep(journal: &Path) {
    let file = path(journal);
    let has_room = || DiskSpace::of(journal.parent()?).ok().map(|disk| disk.free >= MIN_FREE_BYTES);
    if file.exists() || has_room() != Some(true) {
        return;
    }
    // Some disks store zeros as nothing.
    let bytes: Vec<u8> = (0..RESERVE_BYTES / 8).flat_map(|_| rand::random::<u64>().to_ne_bytes()).collect();
    if fs::write(&file, bytes).is_err() {
        release(journal);
    }
}

/// Gives the reserve of a journal back to the disk; whether there was one.
pub fn release(journal: &Path) -> bool {
    fs::remove_file(path(journal)).is_ok()
}
