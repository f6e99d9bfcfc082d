//! Values that look random and are the same in every run.

use std::collections::HashSet;

/// What a mutation puts in.
const LETTERS: &[char] = &[
    '0', '1', '5', '9', '-', '+', '.', ':', ' ', 'e', 'E', 'T', 'Z', 'a', 'x', ',', '/', '_', '"', '\\', '{', '}', '(',
    't', 'é', '\t', 'N', ')', '[', ']', '\'', '%', 'n', 'B', 'C', '\u{b}', '\u{a0}', '٣',
];

/// Knuth's MMIX generator.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    /// So many different values, or as many as are found in a reasonable time, in addition to those that must be among them.
    pub(super) fn values(&mut self, forms: &[String], always: &[String], many: usize) -> Vec<String> {
        let mut values = always.to_vec();
        let mut seen: HashSet<String> = always.iter().cloned().collect();
        let many = always.len() + many;
        for _ in 0..many * 10 {
            let value = self.value(forms);
            if seen.insert(value.clone()) {
                values.push(value);
            }
            if values.len() == many {
                break;
            }
        }
        values
    }

    /// One of the forms, as it is or with some letters changed.
    fn value(&mut self, forms: &[String]) -> String {
        let mut letters: Vec<char> = forms[self.below(forms.len())].chars().collect();
        for _ in 0..[0, 0, 1, 1, 2, 3][self.below(6)] {
            let at = self.below(letters.len() + 1);
            let letter = LETTERS[self.below(LETTERS.len())];
            match self.below(4) {
                0 => letters.insert(at, letter),
                1 if at < letters.len() => letters[at] = letter,
                2 if at < letters.len() => drop(letters.remove(at)),
                // Another digit, so that there are many numbers and moments.
                _ => self.other_digit(&mut letters, at),
            }
        }
        letters.into_iter().collect()
    }

    fn other_digit(&mut self, letters: &mut [char], from: usize) {
        if let Some(digit) = letters.iter_mut().skip(from).find(|letter| letter.is_ascii_digit()) {
            *digit = char::from(b'0' + self.below(10) as u8);
        }
    }
}
