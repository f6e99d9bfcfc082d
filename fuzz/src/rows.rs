//! Files of rows, read as a load reads them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jitney::stream::{Column, ColumnType, ReadOptions, Reader};
use jitney::task::Progress;

/// More rows say nothing new.
const ENOUGH: u64 = 1_000_000;

/// Reads these bytes as a file of this name, each column with the type that the file declares, and again as text.
pub fn read(bytes: &[u8], name: &str) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // A name of its own: a reader that was dropped may still look at the file before.
    let folder = std::env::temp_dir().join(format!("jitney-fuzz-{}", std::process::id()));
    let path = folder.join(COUNT.fetch_add(1, Ordering::Relaxed).to_string()).join(name);
    std::fs::create_dir_all(path.parent().unwrap_or(&folder)).expect("a folder can be made");
    std::fs::write(&path, bytes).expect("a file can be written");
    for as_text in [false, true] {
        read_once(&path, as_text);
    }
    let _ = std::fs::remove_dir_all(path.parent().unwrap_or(&folder));
}

fn read_once(path: &PathBuf, as_text: bool) {
    let Ok(reader) = Reader::open(path, &ReadOptions::default(), Arc::new(Progress::default())) else { return };
    let kind = |kind: Option<ColumnType>| kind.filter(|_| !as_text).unwrap_or(ColumnType::Text);
    let wanted = reader.columns().iter();
    let wanted = wanted.map(|(name, own)| Column { name: name.clone(), kind: kind(*own), required: false, likely: None, shape: None }).collect();
    let mut rows = 0;
    for batch in reader.batches(wanted) {
        match batch {
            Ok(batch) => {
                assert_eq!(batch.frame.height() + batch.bad.len(), batch.rows_read as usize);
                rows += batch.rows_read;
            }
            Err(error) => {
                assert!(!error.message.is_empty());
                return;
            }
        }
        if rows > ENOUGH {
            return;
        }
    }
}
