//! Bounds on what one text may cost, so that any template ends.

use std::cell::Cell;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::text::DEEPEST;

/// How deep expressions, blocks, macros and calls of `render()` may nest.
pub(super) const DEPTH: usize = 64;
/// How many steps into a value a dotted name may have.
pub(super) const PARTS: usize = 64;
/// How long a rendered text may be, in bytes.
pub(super) const OUTPUT: usize = 16 << 20;
/// How often loops may turn, all together.
pub(super) const TURNS: u64 = 1_000_000;
/// How large a value that an expression makes may be, in bytes and in units of [`NODE`].
const VALUE: usize = 64 << 20;
/// What a value counts beside its text.
const NODE: usize = 32;
/// How much may be done in all, roughly in bytes handled.
const WORK: u64 = 2 << 30;
/// How long programs of other languages may run, all together.
const TIME: Duration = Duration::from_secs(5);

/// What is left for a text and for all that it renders.
#[derive(Debug, Default)]
pub(super) struct Budget {
    work: Cell<u64>,
    turns: Cell<u64>,
    depth: Cell<usize>,
    time: Cell<Duration>,
}

impl Budget {
    /// Counts work.
    pub(super) fn spend(&self, units: usize) -> Result<(), String> {
        let spent = self.work.get().saturating_add(units as u64).saturating_add(1);
        self.work.set(spent);
        if spent > WORK { Err("this takes too much work; do it in a script task".to_owned()) } else { Ok(()) }
    }

    /// Counts the handling of a value, and refuses an oversized one.
    pub(super) fn handle(&self, value: &Value) -> Result<(), String> {
        self.spend(weigh(value)?)
    }

    /// Counts a turn of a loop.
    pub(super) fn turn(&self) -> Result<(), String> {
        self.turns.set(self.turns.get() + 1);
        if self.turns.get() > TURNS { Err(format!("the loops turn more than {TURNS} times")) } else { Ok(()) }
    }

    /// Goes one level deeper; [`Budget::leave`] comes back.
    pub(super) fn enter(&self) -> Result<(), String> {
        if self.depth.get() >= DEPTH * 2 {
            return Err("this nests too deeply; does a macro or a variable contain itself?".to_owned());
        }
        self.depth.set(self.depth.get() + 1);
        Ok(())
    }

    /// Does work that is measured by the clock, in the time that is left.
    pub(super) fn timed<T>(&self, work: impl FnOnce(Duration) -> Result<T, String>) -> Result<T, String> {
        let left = TIME.saturating_sub(self.time.get());
        let started = Instant::now();
        let done = work(left);
        self.time.set(self.time.get() + started.elapsed());
        done
    }

    pub(super) fn leave(&self) {
        self.depth.set(self.depth.get().saturating_sub(1));
    }
}

/// The size of a value.
fn weigh(value: &Value) -> Result<usize, String> {
    let size = size(value, DEEPEST).ok_or("the value nests too deeply")?;
    if size > VALUE { Err(format!("the value is larger than {} MiB", VALUE >> 20)) } else { Ok(size) }
}

fn size(value: &Value, depth: usize) -> Option<usize> {
    let depth_left = depth.checked_sub(1)?;
    Some(
        NODE + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().try_fold(0, |sum, item| Some(sum + size(item, depth_left)?))?,
            Value::Object(map) => {
                map.iter().try_fold(0, |sum, (key, item)| Some(sum + key.len() + size(item, depth_left)?))?
            }
            _ => 0,
        },
    )
}
