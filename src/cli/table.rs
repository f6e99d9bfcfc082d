//! Tables without frames that fit the width of the terminal.

use dialoguer::console::measure_text_width;

use super::colour::Style;
use super::layout::wrapped;
use crate::text::visible_line;

/// The width that a column with broken texts keeps at least.
const MIN_COLUMN: usize = 10;
/// The columns before a line below a row.
const MARGIN: usize = 3;

/// How a column gets narrower when the table is too wide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fit {
    /// Its texts stay on one line; only its title is broken.
    #[default]
    Whole,
    /// Its texts are broken into lines.
    Broken,
    /// Its texts go on a line of their own, below the row.
    Below,
}

#[derive(Debug, Default)]
struct Column {
    title: String,
    is_right: bool,
    fit: Fit,
}

/// A text of a row.
#[derive(Clone, Debug, Default)]
struct Cell {
    text: String,
    style: Option<Style>,
}

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table with these titles.
    pub(super) fn new<T: Into<String>>(titles: impl IntoIterator<Item = T>) -> Self {
        let column = |title: T| Column { title: title.into(), ..Column::default() };
        Self { columns: titles.into_iter().map(column).collect(), rows: Vec::new() }
    }

    /// Aligns all columns but the first to the right.
    pub(super) fn right_aligned(mut self) -> Self {
        self.columns.iter_mut().skip(1).for_each(|column| column.is_right = true);
        self
    }

    /// Breaks the texts of these columns into lines if the table is too wide.
    pub(super) fn breaking(self, titles: &[&str]) -> Self {
        self.fitting(titles, Fit::Broken)
    }

    /// Puts the texts of these columns below their rows if the table is too wide, one column after the other.
    pub(super) fn spilling(self, titles: &[&str]) -> Self {
        self.fitting(titles, Fit::Below)
    }

    fn fitting(mut self, titles: &[&str], fit: Fit) -> Self {
        for column in self.columns.iter_mut().filter(|column| titles.contains(&column.title.as_str())) {
            (column.fit, column.is_right) = (fit, false);
        }
        self
    }

    /// Adds a row. Words that name a state are in colour.
    pub(super) fn add_row<T: Into<String>>(&mut self, texts: impl IntoIterator<Item = T>) {
        let cell = |text: T| {
            let text = visible_line(&text.into()).into_owned();
            Cell { style: Style::of_state(&text), text }
        };
        self.rows.push(texts.into_iter().map(cell).collect());
    }

    /// Whether there are no rows.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The columns that the table takes if nothing is broken.
    pub(super) fn natural_width(&self) -> usize {
        let widths = (0..self.columns.len()).map(|column| self.natural(column));
        total(&widths.collect::<Vec<_>>())
    }

    /// The lines of the table, in `width` columns if it can be.
    pub(super) fn lines(&self, width: usize, has_colours: bool) -> String {
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let mut below = Vec::new();
        let mut widths = self.widths(&shown, width);
        while total(&widths) > width {
            // The last one first: the first columns say what a row is.
            let Some(at) = shown.iter().rposition(|column| self.columns[*column].fit == Fit::Below) else { break };
            below.insert(0, shown.remove(at));
            widths = self.widths(&shown, width);
        }
        squeeze(&mut widths, width, |_| MIN_COLUMN / 2);
        let titles = shown.iter().map(|column| Cell { text: self.columns[*column].title.clone(), style: None });
        let mut lines = self.row(&shown, &titles.collect::<Vec<_>>(), &widths, false);
        for row in &self.rows {
            let cell = |column: &usize| row.get(*column).cloned().unwrap_or_default();
            lines.extend(self.row(&shown, &shown.iter().map(cell).collect::<Vec<_>>(), &widths, has_colours));
            let texts = below.iter().map(|column| cell(column).text).filter(|text| !text.is_empty());
            for text in texts {
                lines.extend(wrapped(&text, width - MARGIN).iter().map(|line| format!("{:MARGIN$}{line}", "")));
            }
        }
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn natural(&self, column: usize) -> usize {
        self.texts(column).max(measure_text_width(&self.columns[column].title))
    }

    /// The widest text of a column, its title left out.
    fn texts(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| measure_text_width(&cell.text)).max().unwrap_or_default()
    }

    /// The widths of these columns: first titles are broken, then texts that may be.
    fn widths(&self, shown: &[usize], width: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = shown.iter().map(|column| self.natural(*column)).collect();
        let word = |title: &str| title.split(' ').map(measure_text_width).max().unwrap_or_default();
        squeeze(&mut widths, width, |at| self.texts(shown[at]).max(word(&self.columns[shown[at]].title)));
        squeeze(&mut widths, width, |at| match self.columns[shown[at]].fit {
            Fit::Broken => MIN_COLUMN,
            Fit::Whole | Fit::Below => usize::MAX,
        });
        widths
    }

    fn row(&self, shown: &[usize], cells: &[Cell], widths: &[usize], has_colours: bool) -> Vec<String> {
        let broken: Vec<Vec<String>> =
            cells.iter().zip(widths).map(|(cell, width)| broken(&cell.text, *width)).collect();
        let height = broken.iter().map(Vec::len).max().unwrap_or_default();
        let line = |number: usize| {
            let parts = shown.iter().enumerate().map(|(at, column)| {
                let text = broken[at].get(number).map_or("", String::as_str);
                let gap = " ".repeat(widths[at].saturating_sub(measure_text_width(text)));
                let painted = match cells[at].style {
                    Some(style) => style.paint(text, has_colours),
                    None => text.to_owned(),
                };
                if self.columns[*column].is_right { format!("{gap}{painted}") } else { format!("{painted}{gap}") }
            });
            format!(" {}", parts.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
        };
        (0..height.max(1)).map(line).collect()
    }
}

/// The columns of a table with such widths.
fn total(widths: &[usize]) -> usize {
    1 + widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)
}

/// Makes the widest columns narrower, to no less than their least width, until all of them fit.
fn squeeze(widths: &mut [usize], width: usize, least: impl Fn(usize) -> usize) {
    while total(widths) > width {
        let able = (0..widths.len()).filter(|at| widths[*at] > least(*at));
        let Some(widest) = able.max_by_key(|at| widths[*at]) else { return };
        widths[widest] -= 1;
    }
}

/// A text in lines; one that fits stays as it is, with its blanks.
fn broken(text: &str, width: usize) -> Vec<String> {
    if measure_text_width(text) <= width { vec![text.to_owned()] } else { wrapped(text, width) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(["id", "flow", "rows in file", "inputs"]).breaking(&["flow"]).spilling(&["inputs"]);
        table.add_row([
            "1m84pwtr39kkxzgh",
            "postgres_taxi_scheduled",
            "1,000",
            "taxi=green source=https://example.com",
        ]);
        table.add_row(["1m84pwtr39kkxzgi", "hello", "2", ""]);
        table
    }

    #[test]
    fn a_table_that_fits_is_one_line_a_row() {
        let lines = sample().lines(100, false);
        assert_eq!(lines.lines().count(), 3, "{lines}");
        assert_eq!(lines.lines().nth(2), Some(" 1m84pwtr39kkxzgi  hello                    2"));
    }

    #[test]
    fn a_wide_table_breaks_titles_then_texts_and_puts_the_last_ones_below() {
        let lines = sample().lines(50, false);
        assert!(lines.lines().all(|line| line.chars().count() <= 50), "{lines}");
        assert!(lines.contains("\n   taxi=green source=https://example.com\n"), "{lines}");
        assert!(lines.contains("1m84pwtr39kkxzgh"), "{lines}");
        let narrow = sample().lines(40, false);
        assert!(narrow.lines().all(|line| line.chars().count() <= 40), "{narrow}");
        assert!(narrow.contains("postgres_ta"), "{narrow}");
    }

    #[test]
    fn states_are_in_colour_and_data_brings_none() {
        let mut table = Table::new(["state", "what"]);
        table.add_row(["FAILED", "\u{1b}[32mgreen"]);
        let lines = table.lines(80, true);
        assert!(lines.contains("\u{1b}[1;31mFAILED\u{1b}[0m") && !lines.contains("\u{1b}[32m"), "{lines:?}");
    }
}
