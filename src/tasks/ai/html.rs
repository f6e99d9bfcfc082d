//! The text of an HTML page, with its headings as lines that begin with `#`.

/// Elements whose content is not text for readers.
const SKIPPED: [&str; 8] = ["script", "style", "noscript", "template", "svg", "head", "nav", "iframe"];
/// Elements that begin a new paragraph.
const BLOCKS: [&str; 22] = [
    "p",
    "div",
    "section",
    "article",
    "header",
    "footer",
    "main",
    "aside",
    "ul",
    "ol",
    "table",
    "tr",
    "blockquote",
    "pre",
    "figure",
    "figcaption",
    "form",
    "fieldset",
    "dl",
    "dd",
    "dt",
    "hr",
];
/// Characters by name.
const ENTITIES: [(&str, &str); 14] = [
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", " "),
    ("ndash", "–"),
    ("mdash", "—"),
    ("hellip", "…"),
    ("lsquo", "‘"),
    ("rsquo", "’"),
    ("ldquo", "“"),
    ("rdquo", "”"),
    ("copy", "©"),
];

/// The text of a page.
pub(super) fn to_text(html: &str) -> String {
    let mut page = Page::default();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        page.text(&rest[..at]);
        let tag = &rest[at..];
        rest = match tag.strip_prefix("<!--") {
            Some(comment) => comment.split_once("-->").map_or("", |(_, after)| after),
            None => page.tag(tag),
        };
    }
    page.text(rest);
    page.finish()
}

#[derive(Default)]
struct Page {
    out: String,
    /// Within `pre`, where line ends count.
    is_verbatim: bool,
}

impl Page {
    fn text(&mut self, text: &str) {
        let text = decoded(text);
        if self.is_verbatim {
            self.out.push_str(&text);
            return;
        }
        if text.starts_with(char::is_whitespace) {
            self.blank();
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        self.out.push_str(&words.join(" "));
        if !words.is_empty() && text.ends_with(char::is_whitespace) {
            self.blank();
        }
    }

    fn blank(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with(char::is_whitespace) {
            self.out.push(' ');
        }
    }

    fn line(&mut self) {
        self.out.truncate(self.out.trim_end_matches(' ').len());
        if !self.out.is_empty() && !self.out.ends_with('\n') {
            self.out.push('\n');
        }
    }

    fn paragraph(&mut self) {
        self.line();
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    /// Takes a tag from the beginning of a text; returns what follows it.
    fn tag<'a>(&mut self, text: &'a str) -> &'a str {
        let inside = &text[1..];
        let is_end = inside.starts_with('/');
        let name: String = inside.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        let name = name.to_ascii_lowercase();
        if name.is_empty() && !inside.starts_with(['!', '?', '/']) {
            // A `<` that begins no tag.
            self.out.push('<');
            return inside;
        }
        let after = &inside[end_of_tag(inside)..];
        if !is_end && SKIPPED.contains(&name.as_str()) {
            return behind(after, &name);
        }
        match name.as_str() {
            "br" => self.line(),
            "li" => {
                self.line();
                if !is_end {
                    self.out.push_str("- ");
                }
            }
            "td" | "th" => self.blank(),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.paragraph();
                if !is_end {
                    let level = usize::from(name.as_bytes().get(1).map_or(1, |digit| digit - b'0'));
                    self.out.push_str(&"#".repeat(level));
                    self.out.push(' ');
                }
            }
            block if BLOCKS.contains(&block) => self.paragraph(),
            _ => {}
        }
        if name == "pre" {
            self.is_verbatim = !is_end;
        }
        after
    }

    fn finish(self) -> String {
        let lines: Vec<&str> = self.out.lines().map(str::trim_end).collect();
        lines.join("\n").trim().to_owned()
    }
}

/// Where the text after a tag begins; a `>` within quotes does not end it.
fn end_of_tag(text: &str) -> usize {
    let mut quote = None;
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (None, '>') => return at + 1,
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            _ => {}
        }
    }
    // A quote without an end: the tag ends where it would without quotes.
    text.find('>').map_or(text.len(), |at| at + 1)
}

/// What follows the end of an element.
fn behind<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    while let Some(at) = rest.find("</") {
        let end = &rest[at + 2..];
        let is_it = end.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name));
        if is_it && !end[name.len()..].starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return end.split_once('>').map_or("", |(_, after)| after);
        }
        rest = end;
    }
    ""
}

/// A text with its characters in place of their names.
fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let name = after.split_once(';').map(|(name, _)| name).filter(|name| name.len() <= 10);
        match name.and_then(|name| Some((name, entity(name)?))) {
            Some((name, character)) => {
                out.push_str(&character);
                rest = &after[name.len() + 1..];
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<String> {
    let code = match name.strip_prefix('#') {
        Some(number) => match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => number.parse().ok(),
        },
        None => return ENTITIES.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned()),
    };
    code.and_then(char::from_u32).filter(|character| *character != '\0').map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_its_text_with_headings() {
        let page = "<!doctype html><html><head><title>T</title><style>p{}</style></head><body>\n<h1>A &amp; B</h1>\
            <p>One <b>bold</b>\n word.<br>Next</p><!-- <p>no</p> --><ul><li>first<li>second</ul>\
            <script>if (1 < 2) { x('</p>') }</script><h2 title=\"a > b\">Sub</h2><pre>a\n  b</pre>5 < 6 &#8364; &x;</body></html>";
        let text = "# A & B\n\nOne bold word.\nNext\n\n- first\n- second\n\n## Sub\n\na\n  b\n\n5 < 6 € &x;";
        assert_eq!(to_text(page), text);
    }

    #[test]
    fn what_is_cut_off_ends_the_text_and_nothing_else() {
        for page in ["<", "<p", "a<p title=\"", "<script>", "<!-- x", "&#x110000;", "é<é>"] {
            let _ = to_text(page);
        }
        assert_eq!(to_text("a < b"), "a < b");
    }
}
