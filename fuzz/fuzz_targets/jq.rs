//! Any text as a jq program, run by a worker as the program does it: there is an answer in the time that it has. The
//! variable `JITNEY` says where the program is.
#![no_main]

use std::time::{Duration, Instant};

use jitney_fuzz::jq;
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: {
        let program = std::env::var_os("JITNEY").expect("JITNEY is the path of the program");
        jq::enable(program.into());
    },
    |program: &str| {
        let started = Instant::now();
        let input = r#"{"a": [1, 2, {"b": "x"}], "c": null, "d": -0.5}"#;
        if let Err(error) = jq::run(program, input.to_owned(), Duration::from_secs(1)) {
            assert!(!error.is_empty());
        }
        assert!(started.elapsed() < Duration::from_secs(10));
    }
);
