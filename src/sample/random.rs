//! A random number generator with the same results on every machine and in every version, so that demo data never
//! changes.

/// SplitMix64: small, fast, and good enough for sample data.
pub(super) struct SeededRng(u64);

impl SeededRng {
    /// The same seed gives the same numbers.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `bound - 1`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // The high half of a product is uniform enough and needs no division.
        let product = u128::from(self.next()) * u128::from(bound);
        (product >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1).unsigned_abs()) as i64
    }

    /// True with a probability of `cases` in a thousand.
    pub(super) fn per_mille(&mut self, cases: u64) -> bool {
        self.below(1000) < cases
    }

    /// One of the values; `rest` of an empty list.
    pub(super) fn pick<T: Copy>(&mut self, values: &[T], rest: T) -> T {
        values.get(self.below(values.len() as u64) as usize).copied().unwrap_or(rest)
    }
}
