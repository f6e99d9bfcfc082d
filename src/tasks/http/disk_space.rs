//! Room on the disk, some of which is left for everybody else.

use std::path::Path;

use crate::storage::DiskSpace;

/// What stays free at least: a twentieth of the disk, and of a large one this much.
const RESERVED_BYTES: u64 = 256 << 20;

/// What to say when `expected` more bytes on the disk of `target` would leave too little; nothing where the disk cannot be asked.
pub(super) fn shortage(target: &Path, expected: u64) -> Option<String> {
    let disk = DiskSpace::of(target.parent()?).ok()?;
    shortage_of(expected, disk.free, disk.all)
}

fn shortage_of(expected: u64, free: u64, all: u64) -> Option<String> {
    let reserve = RESERVED_BYTES.min(all / 20);
    (expected.saturating_add(reserve) > free).then(|| {
        let mebibytes = |bytes: u64| bytes >> 20;
        format!(
            "the disk has {} MiB left, of which {} MiB stay free; {} MiB are still to come",
            mebibytes(free),
            mebibytes(reserve),
            mebibytes(expected).max(1)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_disk_space_stays_free() {
        let gib = 1 << 30;
        assert_eq!(shortage_of(gib, 2 * gib, 100 * gib), None);
        let lack = shortage_of(2 * gib, 2 * gib, 100 * gib).unwrap();
        assert_eq!(lack, "the disk has 2048 MiB left, of which 256 MiB stay free; 2048 MiB are still to come");
        assert_eq!(shortage_of(100_000, 7 << 20, 8 << 20), None, "a small disk keeps a twentieth");
        assert!(shortage_of(u64::MAX, gib, gib).is_some());
        assert_eq!(shortage(Path::new("/no/such/folder/file"), 1), None);
    }
}
