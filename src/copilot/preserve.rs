//! Puts back what a model need not have touched: comments, and the passwords that it was not shown.

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// A flow as it is, and as a model is shown it.
#[derive(Clone, Debug)]
pub(super) struct ShownText {
    /// The text itself.
    pub(super) original: String,
    /// The same without passwords.
    pub(super) shown: String,
}

impl ShownText {
    /// The new text with the comments and the passwords of the original, where its lines are otherwise the same.
    pub(super) fn preserved_in(&self, new: &str) -> String {
        let shown: Vec<&str> = self.shown.lines().collect();
        let original: Vec<&str> = self.original.lines().collect();
        // A password of several lines is one line where it is shown: the lines are not the same ones then.
        let original = if original.len() == shown.len() { original } else { shown.clone() };
        let new: Vec<&str> = new.lines().collect();
        let (old_code, new_code): (Vec<&str>, Vec<&str>) =
            (shown.iter().map(|line| code(line)).collect(), new.iter().map(|line| code(line)).collect());
        let mut lines: Vec<&str> = Vec::new();
        let operations = capture_diff_slices(Algorithm::Myers, &old_code, &new_code);
        for operation in operations {
            match operation {
                DiffOp::Equal { old_index, new_index, len } => {
                    for at in 0..len {
                        lines.push(kept(original[old_index + at], shown[old_index + at], new[new_index + at]));
                    }
                }
                DiffOp::Insert { new_index, new_len, .. } => lines.extend(&new[new_index..new_index + new_len]),
                DiffOp::Delete { old_index, old_len, .. } => {
                    let range = old_index..old_index + old_len;
                    if shown[range.clone()].iter().all(|line| is_remark(line)) {
                        lines.extend(&original[range]);
                    }
                }
                DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                    let (old, new) = (old_index..old_index + old_len, &new[new_index..new_index + new_len]);
                    let (before, after) = remarks_around(&shown[old.clone()]);
                    let is_remark_at = |line: Option<&&str>| line.is_some_and(|line| is_remark(line));
                    if !is_remark_at(new.first()) {
                        lines.extend(&original[old.start..old.start + before]);
                    }
                    lines.extend(new);
                    if !is_remark_at(new.last()) {
                        lines.extend(&original[old.end - after..old.end]);
                    }
                }
            }
        }
        let end = if self.original.contains("\r\n") { "\r\n" } else { "\n" };
        let mut text = lines.join(end);
        if self.original.is_empty() || self.original.ends_with('\n') {
            text.push_str(end);
        }
        text
    }
}

/// How many comments and empty lines are before the content of some lines, and how many after it.
fn remarks_around(lines: &[&str]) -> (usize, usize) {
    let before = lines.iter().take_while(|line| is_remark(line)).count();
    let after = lines[before..].iter().rev().take_while(|line| is_remark(line)).count();
    (before, after)
}

/// Whether a line has no content: a comment, or nothing.
fn is_remark(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

/// A line without the comment at its end. A comment alone is its own content.
fn code(line: &str) -> &str {
    if is_remark(line) {
        return line.trim_end();
    }
    let mut quote = None;
    let mut before = ' ';
    for (at, letter) in line.char_indices() {
        match (quote, letter) {
            (None, '#') if before.is_whitespace() => return line[..at].trim_end(),
            (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            _ => {}
        }
        before = letter;
    }
    line.trim_end()
}

/// Which of two lines with the same content is kept: the new one if it has another comment.
fn kept<'a>(original: &'a str, shown: &str, new: &'a str) -> &'a str {
    let has_comment = code(new).len() < new.trim_end().len();
    if new.trim_end() == shown.trim_end() || !has_comment { original } else { new }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOW: &str = "# Every month.\nid: a\nnamespace: b\n\ntasks:\n  # Gets the file.\n  - id: get   # from the mirror\n    \
                        type: http.download\n    uri: http://h/x#y\n\n  - id: say\n    type: log\n    message: done\n";

    fn preserved(new: &str) -> String {
        ShownText { original: FLOW.to_owned(), shown: FLOW.to_owned() }.preserved_in(new)
    }

    #[test]
    fn comments_that_a_model_left_out_are_put_back() {
        let without: String =
            FLOW.lines().filter(|line| !is_remark(line)).map(|line| format!("{}\n", code(line))).collect();
        assert_eq!(preserved(&without), FLOW);
        let changed = without.replace("message: done", "message: it is done");
        assert_eq!(preserved(&changed), FLOW.replace("message: done", "message: it is done"));
    }

    #[test]
    fn a_line_that_changes_keeps_what_is_around_it() {
        let without: String =
            FLOW.lines().filter(|line| !is_remark(line)).map(|line| format!("{}\n", code(line))).collect();
        let windows = ShownText { original: FLOW.replace('\n', "\r\n"), shown: FLOW.to_owned() };
        assert_eq!(windows.preserved_in(&without), windows.original);
        for (old, new) in [("uri: http://h/x#y", "uri: http://h/z"), ("namespace: b", "namespace: c")] {
            assert_eq!(preserved(&without.replace(old, new)), FLOW.replace(old, new));
        }
    }

    #[test]
    fn what_is_removed_goes_with_its_comments_and_new_comments_stay() {
        let without_get =
            "# Every month.\nid: a\nnamespace: b\n\ntasks:\n  - id: say\n    type: log\n    message: done\n";
        assert!(!preserved(without_get).contains("http.download"));
        let commented = FLOW.replace("# from the mirror", "# from the source");
        assert_eq!(preserved(&commented), commented);
    }

    #[test]
    fn passwords_that_were_not_shown_stay() {
        let text = "tasks:\n  - {id: a, password: hunter2}\n  - {id: b, type: log}\n";
        let shown = ShownText { original: text.to_owned(), shown: text.replace("hunter2", "'***'") };
        let new = shown.shown.replace("log", "sleep");
        assert_eq!(shown.preserved_in(&new), text.replace("log", "sleep"));
    }
}
