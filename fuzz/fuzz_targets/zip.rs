//! Any bytes as a packed CSV file: rows or an error that names the file, never a panic, and every row is counted.
#![no_main]

use jitney_fuzz::rows;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| rows::read(bytes, "f.csv.zip"));
