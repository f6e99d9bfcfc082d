//! Workbooks of Excel as the tests want them.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a failure here is the failure of a test")]

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A cell.
pub enum Cell {
    /// Without a value.
    Empty,
    /// A number.
    Number(f64),
    /// The number of a day, shown as a date.
    Day(f64),
    /// The number of a day with a time.
    Moment(f64),
    /// The part of a day, shown in hours that may be more than 24.
    Hours(f64),
    /// A text that is shared.
    Text(&'static str),
    /// `TRUE` or `FALSE`.
    Truth(bool),
    /// An error, such as `#N/A`.
    Error(&'static str),
}

const TYPES: &str = r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>"#;
const DOCUMENT: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const STYLES: &str = r#"<styleSheet><numFmts count="1"><numFmt numFmtId="164" formatCode="[h]:mm:ss"/></numFmts><cellXfs count="4"><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="22"/><xf numFmtId="164"/></cellXfs></styleSheet>"#;

/// A workbook with these sheets. A row without cells is not written at all.
pub fn workbook(sheets: &[(&str, Vec<Vec<Cell>>)]) -> Vec<u8> {
    let (mut texts, mut files) = (Vec::new(), Vec::new());
    let (mut list, mut relations) = (String::new(), String::new());
    for (index, (name, rows)) in sheets.iter().enumerate() {
        let number = index + 1;
        let _ = write!(list, r#"<sheet name="{name}" sheetId="{number}" r:id="rId{number}"/>"#);
        let _ = write!(
            relations,
            r#"<Relationship Id="rId{number}" Type="{DOCUMENT}/worksheet" Target="worksheets/sheet{number}.xml"/>"#
        );
        files.push((format!("xl/worksheets/sheet{number}.xml"), sheet(rows, &mut texts)));
    }
    let of_document = format!(
        r#"<Relationships><Relationship Id="rId1" Type="{DOCUMENT}/officeDocument" Target="xl/workbook.xml"/></Relationships>"#
    );
    let more = format!(
        r#"<Relationship Id="rId90" Type="{DOCUMENT}/styles" Target="styles.xml"/><Relationship Id="rId91" Type="{DOCUMENT}/sharedStrings" Target="sharedStrings.xml"/>"#
    );
    let shared: String = texts.iter().map(|text| format!("<si><t xml:space=\"preserve\">{text}</t></si>")).collect();
    let own = [
        ("[Content_Types].xml", TYPES.to_owned()),
        ("_rels/.rels", of_document),
        ("xl/workbook.xml", format!(r#"<workbook xmlns:r="{DOCUMENT}"><sheets>{list}</sheets></workbook>"#)),
        ("xl/_rels/workbook.xml.rels", format!("<Relationships>{relations}{more}</Relationships>")),
        ("xl/styles.xml", STYLES.to_owned()),
        ("xl/sharedStrings.xml", format!("<sst>{shared}</sst>")),
    ];
    let own = own.into_iter().map(|(name, text)| (name.to_owned(), text));
    archive(own.chain(files))
}

/// A zip archive of these files.
pub fn archive(files: impl Iterator<Item = (String, String)>) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        archive.start_file(name, SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn sheet(rows: &[Vec<Cell>], texts: &mut Vec<&'static str>) -> String {
    let mut xml = "<worksheet><sheetData>".to_owned();
    for (row, cells) in rows.iter().enumerate().filter(|(_, cells)| !cells.is_empty()) {
        let _ = write!(xml, "<row r=\"{}\">", row + 1);
        for (column, cell) in (b'A'..).zip(cells) {
            let place = format!("{}{}", char::from(column), row + 1);
            let _ = match cell {
                Cell::Empty => write!(xml, "<c r=\"{place}\" s=\"0\"/>"),
                Cell::Number(value) => write!(xml, "<c r=\"{place}\"><v>{value}</v></c>"),
                Cell::Day(value) => write!(xml, "<c r=\"{place}\" s=\"1\"><v>{value}</v></c>"),
                Cell::Moment(value) => write!(xml, "<c r=\"{place}\" s=\"2\"><v>{value}</v></c>"),
                Cell::Hours(value) => write!(xml, "<c r=\"{place}\" s=\"3\"><v>{value}</v></c>"),
                Cell::Truth(value) => write!(xml, "<c r=\"{place}\" t=\"b\"><v>{}</v></c>", u8::from(*value)),
                Cell::Error(value) => write!(xml, "<c r=\"{place}\" t=\"e\"><v>{value}</v></c>"),
                Cell::Text(value) => {
                    texts.push(value);
                    write!(xml, "<c r=\"{place}\" t=\"s\"><v>{}</v></c>", texts.len() - 1)
                }
            };
        }
        xml += "</row>";
    }
    xml + "</sheetData></worksheet>"
}
