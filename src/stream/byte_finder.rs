//! The search for delimiters, quotes and line ends.

const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// Where any of three bytes is in a text, eight bytes at a time. Fields of a month have five bytes on average, for
/// which a call of a vectorised search each is twice as slow.
pub(super) struct ByteFinder<'a> {
    text: &'a [u8],
    /// Each of the three bytes, eight times.
    wanted: [u64; 3],
    /// Where the word after the current one begins.
    next: usize,
    /// The top bit of each byte of the current word that is wanted and not given out yet.
    found: u64,
}

impl<'a> ByteFinder<'a> {
    /// Searches from `start` on.
    pub(super) fn new(text: &'a [u8], start: usize, wanted: [u8; 3]) -> Self {
        Self { text, wanted: wanted.map(|byte| u64::from(byte) * 0x0101_0101_0101_0101), next: start, found: 0 }
    }

    /// Looks at the next word; `None` at the end of the text.
    fn advance(&mut self) -> Option<()> {
        let rest = self.text.get(self.next..).filter(|rest| !rest.is_empty())?;
        let (word, length) = match rest.first_chunk() {
            Some(word) => (u64::from_le_bytes(*word), 8),
            None => (rest.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte)), rest.len()),
        };
        // A byte that equals the wanted one is zero here, and only then keeps its top bit clear in all three terms.
        let is = |wanted: u64| {
            let zero = word ^ wanted;
            !(((zero & LOW) + LOW) | zero | LOW)
        };
        let [one, two, three] = self.wanted;
        self.found = (is(one) | is(two) | is(three)) & (u64::MAX >> (64 - 8 * length));
        self.next += 8;
        Some(())
    }
}

impl Iterator for ByteFinder<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.found == 0 {
            self.advance()?;
        }
        let byte = self.found.trailing_zeros() as usize / 8;
        self.found &= self.found - 1;
        Some(self.next - 8 + byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_found_at_any_position_and_length() {
        let bytes: Vec<u8> = (0..=255).flat_map(|byte: u8| [byte, b',', byte ^ 0x80, b'\n', b'"', byte]).collect();
        let wanted = [b',', b'\n', b'"'];
        for start in 0..40 {
            for end in (start..start + 40).chain([bytes.len()]) {
                let text = &bytes[..end];
                let expected: Vec<usize> = (start..end).filter(|at| wanted.contains(&text[*at])).collect();
                assert_eq!(ByteFinder::new(text, start, wanted).collect::<Vec<_>>(), expected, "{start}..{end}");
            }
        }
    }
}
