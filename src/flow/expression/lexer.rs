//! From a text to tokens. White space control, comments and raw blocks end here.

use serde_json::Value;

use super::ExpressionError;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// Text outside of all tags.
    Plain(String),
    /// `{{` or `{%`
    Open(&'static str),
    /// `}}` or `%}`
    Close(&'static str),
    Word(String),
    Quoted(String),
    Number(Value),
    Sign(&'static str),
    End,
}

/// A token and where it stands, in bytes.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Every sign; a longer one is before its beginning.
const SIGNS: &[&str] = &[
    "???", "??", "..", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "|", "~", "?", ":", "(", ")", "[",
    "]", "{", "}", ",", ".", "=",
];

/// The tags whose content is text, and how they end.
const RAW: &[(&str, &str)] = &[("raw", "endraw"), ("verbatim", "endverbatim")];

/// Splits a text into tokens; the last one is `End`.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ExpressionError> {
    let mut lexer = Lexer { text, at: 0, trim: false, tokens: Vec::new() };
    while lexer.at < text.len() {
        lexer.text_and_tag()?;
    }
    lexer.push(TokenKind::End, text.len());
    Ok(lexer.tokens)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    /// Whether the last tag ended with `-`.
    trim: bool,
    tokens: Vec<Token>,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn push(&mut self, kind: TokenKind, start: usize) {
        self.tokens.push(Token { kind, start, end: self.at });
    }

    fn error(&self, at: usize, message: &str) -> ExpressionError {
        ExpressionError::malformed(self.text, at, message)
    }

    /// Text up to the next tag, and that tag.
    fn text_and_tag(&mut self) -> Result<(), ExpressionError> {
        let rest = self.rest();
        let tag_at =
            |(at, _)| ["{{", "{%", "{#"].into_iter().find(|open| rest[at..].starts_with(open)).map(|open| (at, open));
        let next = rest.match_indices('{').find_map(tag_at);
        let Some((length, open)) = next else {
            self.text_token(rest.len(), false);
            return Ok(());
        };
        let trims = rest[length + 2..].starts_with('-');
        self.text_token(length, trims);
        let start = self.at;
        self.at += 2 + usize::from(trims);
        match open {
            "{#" => self.comment(start),
            "{%" if self.raw(start)? => Ok(()),
            _ => {
                self.push(TokenKind::Open(open), start);
                self.tag_tokens(start, if open == "{{" { "}}" } else { "%}" })
            }
        }
    }

    fn text_token(&mut self, length: usize, trim_end: bool) {
        let start = self.at;
        self.at += length;
        let mut plain = self.text.get(start..self.at).unwrap_or_default();
        if std::mem::take(&mut self.trim) {
            plain = plain.trim_start();
        }
        if trim_end {
            plain = plain.trim_end();
        }
        if !plain.is_empty() {
            self.push(TokenKind::Plain(plain.to_owned()), start);
        }
    }

    fn comment(&mut self, start: usize) -> Result<(), ExpressionError> {
        let Some(length) = self.rest().find("#}") else {
            let message = "the comment has no end; write `#}`, or `{{ '{#' }}` for these two characters themselves";
            return Err(self.error(start, message));
        };
        self.trim = self.rest()[..length].ends_with('-');
        self.at += length + 2;
        Ok(())
    }

    /// Takes a whole raw block, if one begins here.
    fn raw(&mut self, start: usize) -> Result<bool, ExpressionError> {
        let begins = |(name, end): &(&str, &'static str)| Some((tag_end(self.text, self.at, name)?, *end));
        let Some(((begin, trim), end)) = RAW.iter().find_map(begins) else { return Ok(false) };
        let closes = self.text[begin..].match_indices("{%").find_map(|(offset, _)| {
            let open = begin + offset;
            let trims = self.text[open + 2..].starts_with('-');
            Some((open, trims, tag_end(self.text, open + 2 + usize::from(trims), end)?))
        });
        let Some((open, trim_end, (after, trim_after))) = closes else {
            return Err(self.error(start, &format!("there is no `{{% {end} %}}`")));
        };
        (self.at, self.trim) = (begin, trim);
        self.text_token(open - begin, trim_end);
        (self.at, self.trim) = (after, trim_after);
        Ok(true)
    }

    /// The tokens of a tag, with its end.
    fn tag_tokens(&mut self, start: usize, close: &'static str) -> Result<(), ExpressionError> {
        let mut brackets: Vec<&'static str> = Vec::new();
        loop {
            self.at += self.rest().len() - self.rest().trim_start().len();
            let (rest, at) = (self.rest(), self.at);
            if rest.is_empty() {
                return Err(self.error(start, &format!("the end `{close}` is missing")));
            }
            let trims = rest.starts_with('-') && rest[1..].starts_with(close);
            if brackets.is_empty() && (trims || rest.starts_with(close)) {
                self.at += 2 + usize::from(trims);
                self.trim = trims;
                self.push(TokenKind::Close(close), at);
                return Ok(());
            }
            self.token()?;
            if let Some(Token { kind: TokenKind::Sign(sign), .. }) = self.tokens.last() {
                match *sign {
                    "(" => brackets.push(")"),
                    "[" => brackets.push("]"),
                    "{" => brackets.push("}"),
                    sign @ (")" | "]" | "}") if brackets.pop() != Some(sign) => {
                        return Err(self.error(at, &format!("`{sign}` has no matching opening bracket")));
                    }
                    _ => {}
                }
            }
        }
    }

    fn token(&mut self) -> Result<(), ExpressionError> {
        let (rest, start) = (self.rest(), self.at);
        let first = rest.chars().next().unwrap_or_default();
        let kind = if first == '\'' || first == '"' {
            self.quoted(first)?
        } else if first.is_ascii_digit() {
            self.number()?
        } else if first.is_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            self.at += length;
            TokenKind::Word(rest[..length].to_owned())
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            self.at += sign.len();
            TokenKind::Sign(sign)
        } else {
            let hint = match first {
                '!' => "; write `not`",
                '&' => "; write `and`",
                _ => "",
            };
            return Err(self.error(start, &format!("`{first}` is not valid here{hint}")));
        };
        self.push(kind, start);
        Ok(())
    }

    /// A backslash only makes the quotation mark after it part of the text; any other stays, as regular expressions
    /// need it.
    fn quoted(&mut self, mark: char) -> Result<TokenKind, ExpressionError> {
        let body = &self.rest()[1..];
        let mut escaped = false;
        let end = body.char_indices().find_map(|(at, c)| {
            let ends = c == mark && !escaped;
            escaped = c == '\\' && !escaped;
            ends.then_some(at)
        });
        let end = end.ok_or_else(|| self.error(self.at, &format!("the string has no closing {mark}")))?;
        self.at += end + 2;
        Ok(TokenKind::Quoted(body[..end].replace(&format!("\\{mark}"), &mark.to_string())))
    }

    fn number(&mut self) -> Result<TokenKind, ExpressionError> {
        let rest = self.rest();
        let digits =
            |from: usize| rest[from..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |end| from + end);
        let mut end = digits(0);
        if rest[end..].starts_with('.') && rest[end + 1..].starts_with(|c: char| c.is_ascii_digit()) {
            end = digits(end + 1);
        }
        let written = &rest[..end];
        let number = match written.parse::<i64>() {
            Ok(whole) => Value::from(whole),
            Err(_) => written.parse::<f64>().map(Value::from).unwrap_or_default(),
        };
        if number.is_null() {
            return Err(self.error(self.at, &format!("the number `{written}` is too large")));
        }
        // Java writes whole numbers of 64 bits with an L.
        let is_long =
            rest[end..].starts_with(['l', 'L']) && !rest[end + 1..].starts_with(|c: char| c.is_alphanumeric());
        self.at += end + usize::from(is_long);
        Ok(TokenKind::Number(number))
    }
}

/// Where the tag `name` ends whose content starts here, and whether it trims what follows.
fn tag_end(text: &str, at: usize, name: &str) -> Option<(usize, bool)> {
    let rest = text.get(at..)?.trim_start().strip_prefix(name)?.trim_start();
    let (rest, trims) = rest.strip_prefix('-').map_or((rest, false), |rest| (rest, true));
    let rest = rest.strip_prefix("%}")?;
    Some((text.len() - rest.len(), trims))
}
