//! Regular expressions of Postgres that mean the same to Polars: those of literal characters, `.`, `^`, `$`, groups,
//! alternatives, quantifiers, sets of characters and a few escapes.

use std::iter::Peekable;
use std::str::Chars;

/// The decimal digits; Polars has those of all languages.
const DIGITS: &str = "0-9";
/// What Postgres takes for blank; Polars also has those that do not break a line.
const BLANKS: &str = r"\t-\r \x{1680}\x{2000}-\x{2006}\x{2008}-\x{200A}\x{2028}\x{2029}\x{205F}\x{3000}";
/// How often Postgres lets something repeat.
const MAX_REPEATS: u32 = 255;

/// The expression as Polars reads it.
///
/// # Errors
/// What is in it that may mean something else there.
pub(super) fn translated(text: &str) -> Result<String, String> {
    if text.starts_with("***") {
        return Err("`***`".to_owned());
    }
    let mut reader = RegexReader { rest: text.chars().peekable(), out: "(?s)".to_owned(), may_repeat: false, depth: 0 };
    while let Some(next) = reader.rest.next() {
        reader.part(next)?;
    }
    match reader.depth {
        0 => Ok(reader.out),
        _ => Err("a bracket that is not closed".to_owned()),
    }
}

struct RegexReader<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    /// Whether a quantifier may follow.
    may_repeat: bool,
    depth: usize,
}

impl RegexReader<'_> {
    fn part(&mut self, next: char) -> Result<(), String> {
        match next {
            '*' | '+' | '?' | '{' => return self.quantifier(next),
            '(' => {
                if self.rest.next_if_eq(&'?').is_some() {
                    self.rest.next_if_eq(&':').ok_or("`(?`")?;
                }
                self.depth += 1;
                self.out.push_str("(?:");
                self.may_repeat = false;
                return Ok(());
            }
            ')' => {
                self.depth = self.depth.checked_sub(1).ok_or("a bracket that is not opened")?;
                self.out.push(')');
            }
            '[' => self.set()?,
            '\\' => self.escape()?,
            '|' | '^' | '$' => {
                self.out.push(next);
                self.may_repeat = false;
                return Ok(());
            }
            next => self.out.push_str(&literal(next)),
        }
        self.may_repeat = true;
        Ok(())
    }

    fn quantifier(&mut self, first: char) -> Result<(), String> {
        if !self.may_repeat {
            return Err(format!("`{first}` without something to repeat"));
        }
        self.may_repeat = false;
        self.out.push(first);
        if first == '{' {
            let mut bounds = String::new();
            loop {
                match self.rest.next() {
                    Some('}') => break,
                    Some(next) if next.is_ascii_digit() || next == ',' => bounds.push(next),
                    _ => return Err("`{`".to_owned()),
                }
            }
            let (low, high) = bounds.split_once(',').unwrap_or((&bounds, &bounds));
            let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number <= MAX_REPEATS);
            let fits = match (number(low), number(high)) {
                (Some(low), Some(high)) => low <= high,
                (Some(_), None) => high.is_empty(),
                _ => false,
            };
            if !fits {
                return Err(format!("`{{{bounds}}}`"));
            }
            self.out.push_str(&bounds);
            self.out.push('}');
        }
        if let Some(lazy) = self.rest.next_if_eq(&'?') {
            self.out.push(lazy);
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let next = self.rest.next().ok_or("`\\` at the end")?;
        match next {
            'd' => self.out.push_str(&format!("[{DIGITS}]")),
            'D' => self.out.push_str(&format!("[^{DIGITS}]")),
            's' => self.out.push_str(&format!("[{BLANKS}]")),
            'S' => self.out.push_str(&format!("[^{BLANKS}]")),
            'w' | 'W' => self.out.push_str(&format!("\\{next}")),
            _ => self.out.push_str(&escaped(next)?),
        }
        Ok(())
    }

    /// A set of characters, from behind its bracket on.
    fn set(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut is_first = true;
        // The last character, if a range may begin with it.
        let mut low: Option<char> = None;
        loop {
            let next = self.rest.next().ok_or("`[` that is not closed")?;
            match next {
                ']' if !is_first => break,
                '[' => return Err("`[` between `[` and `]`".to_owned()),
                '-' if is_first || self.rest.peek() == Some(&']') => {
                    self.out.push_str("\\-");
                    low = None;
                }
                '-' => {
                    let from = low.take().ok_or("a range of characters")?;
                    let to = self.rest.next().filter(|to| !"[\\]-".contains(*to)).ok_or("a range of characters")?;
                    if from > to {
                        return Err(format!("`{from}-{to}`"));
                    }
                    self.out.push_str(&format!("-{}", literal(to)));
                    if self.rest.peek() == Some(&'-') {
                        return Err("a range of characters".to_owned());
                    }
                }
                '\\' => {
                    low = None;
                    match self.rest.next().ok_or("`\\` at the end")? {
                        'd' => self.out.push_str(DIGITS),
                        's' => self.out.push_str(BLANKS),
                        'w' => self.out.push_str("\\w"),
                        next => self.out.push_str(&escaped(next)?),
                    }
                }
                next => {
                    self.out.push_str(&literal(next));
                    low = Some(next);
                }
            }
            is_first = false;
        }
        self.out.push(']');
        Ok(())
    }
}

/// A character that stands for itself.
fn literal(character: char) -> String {
    match character {
        '.' => ".".to_owned(),
        character if character.is_ascii_punctuation() && !"<>".contains(character) => format!("\\{character}"),
        character => character.to_string(),
    }
}

fn escaped(character: char) -> Result<String, String> {
    match character {
        't' | 'n' | 'r' | 'f' | 'v' => Ok(format!("\\{character}")),
        '<' | '>' => Ok(character.to_string()),
        character if character.is_ascii_punctuation() => Ok(format!("\\{character}")),
        character => Err(format!("`\\{character}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_the_same_is_taken_and_all_else_refused() {
        for (text, expected) in [
            ("^a.c$", "(?s)^a.c$"),
            ("(a|b)+?", "(?s)(?:a|b)+?"),
            ("[a-z_]{2,3}", r"(?s)[a-z\_]{2,3}"),
            ("[]a-]", r"(?s)[\]a\-]"),
            (r"\d\.", r"(?s)[0-9]\."),
            ("[.]", r"(?s)[.]"),
            (r"\<", "(?s)<"),
        ] {
            assert_eq!(translated(text).as_deref(), Ok(expected), "{text}");
        }
        let refused = [
            "[[:alpha:]]",
            "[a[b]",
            r"\y",
            r"\m",
            r"a\b",
            r"\1",
            "(?i)a",
            "(?=a)",
            "a**",
            "*a",
            "^*",
            "a{,3}",
            "a{300}",
            "a{",
            "[a-c-e]",
            "[z-a]",
            "(a",
            "a)",
            "[a",
            "***=a",
            r"\x41",
            r"[\D]",
            "a\\",
            r"\p{L}",
            "(?P<x>a)",
        ];
        for text in refused {
            assert!(translated(text).is_err(), "{text}");
        }
    }
}
