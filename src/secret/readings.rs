//! What programs make of a secret without meaning to: shells that undo backslashes, servers and terminals that leave out
//! control characters or put one blank for several.

use std::collections::BTreeSet;

/// The texts that a secret becomes, except for the secret itself.
pub(super) fn readings(secret: &str) -> Vec<String> {
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain: String = secret.chars().filter(|letter| !letter.is_control()).collect();
    let spaced = secret.replace(char::is_control, " ");
    let without: String = secret.chars().filter(|letter| !letter.is_control() || letter.is_whitespace()).collect();
    let mut texts = vec![squeezed(secret), squeezed(&spaced), squeezed(&without), plain];
    if secret.contains('\\') {
        let own: BTreeSet<&str> = secret.lines().map(str::trim).collect();
        for printed in [unescaped(secret, false), unescaped(secret, true)] {
            // A log has it line by line. Lines that are as they were are parts of the secret, or public in it.
            let lines = printed.lines().chain(printed.split(char::is_control)).map(str::trim);
            texts.extend(lines.filter(|line| !own.contains(line) && !line.starts_with("-----")).map(str::to_owned));
            texts.push(printed);
        }
    }
    texts.retain(|text| text != secret);
    texts
}

/// The text as `echo` prints it. That of POSIX reads `\0` with up to three digits; `printf`, and `echo -e` of bash,
/// know more.
fn unescaped(text: &str, is_wide: bool) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        plain.push_str(before);
        let Some((letter, length)) = one(escape, is_wide) else {
            plain.push('\\');
            rest = escape;
            continue;
        };
        // `\c` ends the output.
        let Some(letter) = letter else { return plain };
        plain.push(letter);
        rest = &escape[length..];
    }
    plain + rest
}

/// What follows a backslash: the character, none for the end of everything, and how many bytes that took.
fn one(escape: &str, is_wide: bool) -> Option<(Option<char>, usize)> {
    let plain = match escape.chars().next()? {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' => '\\',
        'c' => return Some((None, 1)),
        'e' | 'E' if is_wide => '\u{1b}',
        'x' if is_wide => return digits(escape, 1, 2, 16),
        'u' if is_wide => return digits(escape, 1, 4, 16),
        'U' if is_wide => return digits(escape, 1, 8, 16),
        '0' => return digits(escape, 1, 3, 8).or(Some((Some('\0'), 1))),
        '1'..='7' if is_wide => return digits(escape, 0, 3, 8),
        _ => return None,
    };
    Some((Some(plain), 1))
}

fn digits(escape: &str, start: usize, most: usize, radix: u32) -> Option<(Option<char>, usize)> {
    let digits: String = escape.chars().skip(start).take(most).take_while(|letter| letter.is_digit(radix)).collect();
    let letter = char::from_u32(u32::from_str_radix(&digits, radix).ok()?)?;
    Some((Some(letter), start + digits.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Redactor;

    #[test]
    fn echo_reads_backslashes() {
        assert_eq!(unescaped(r"a\ab\n\\c\0101\x41\q\", false), "a\u{7}b\n\\cA\\x41\\q\\");
        assert_eq!(unescaped(r"\e[\x41\u00fc\101\08", true), "\u{1b}[AüA\0".to_owned() + "8");
        assert_eq!(unescaped(r"all of it\c but this", false), "all of it");
        assert_eq!(readings("a\t\u{1b} b"), ["a \u{1b} b", "a b", "a b", "a b"]);
    }

    #[test]
    fn what_programs_make_of_a_secret_is_known() {
        let redactor = Redactor::default();
        ["Kq7Zx\ttab \u{1b} secret-value", r"first\asecond\nthird-line\x41 it is", "before-it\rbehind-it"]
            .iter()
            .for_each(|secret| redactor.learn(secret));
        for text in [
            "Kq7Zx tab secret-value",
            "Kq7Zx\ttab  secret-value",
            "first\u{7}second",
            "third-line\\x41 it is",
            "third-lineA it is",
            "behind-it",
        ] {
            let clean = redactor.clean(&format!("a {text} b"));
            assert_eq!(clean.replace([' ', '*'], ""), "ab", "{text} becomes {clean}");
        }
    }
}
