//! Encodings, by the names that Postgres and the web give them.

use serde::Deserialize;

/// What the bytes of a text mean.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Encoding {
    /// As the user writes it.
    name: String,
    pub(super) charset: Charset,
}

/// How bytes become characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    Utf8,
    /// ISO 8859-1, of which the web's `latin1`, which is windows-1252, is no part.
    Latin1,
    /// ISO 8859-9; the web's is windows-1254.
    Latin5,
    /// UTF-16 whose byte order its first bytes tell.
    Utf16,
    Other(&'static encoding_rs::Encoding),
}

/// The names to offer, each with what Postgres also calls it and the web's label. Names are compared as Postgres does
/// it: by letters and digits alone, in any case.
const KNOWN: &[(&str, &[&str], &str)] = &[
    ("UTF8", &["unicode"], "utf-8"),
    ("SQL_ASCII", &["ascii", "usascii"], "utf-8"),
    ("LATIN1", &["iso88591", "cp819", "ibm819", "l1"], ""),
    ("LATIN2", &["iso88592"], "iso-8859-2"),
    ("LATIN3", &["iso88593"], "iso-8859-3"),
    ("LATIN4", &["iso88594"], "iso-8859-4"),
    ("LATIN5", &["iso88599"], ""),
    ("LATIN6", &["iso885910"], "iso-8859-10"),
    ("LATIN7", &["iso885913"], "iso-8859-13"),
    ("LATIN8", &["iso885914"], "iso-8859-14"),
    ("LATIN9", &["iso885915"], "iso-8859-15"),
    ("LATIN10", &["iso885916"], "iso-8859-16"),
    ("ISO_8859_5", &[], "iso-8859-5"),
    ("ISO_8859_6", &[], "iso-8859-6"),
    ("ISO_8859_7", &[], "iso-8859-7"),
    ("ISO_8859_8", &[], "iso-8859-8"),
    ("WIN1250", &["windows1250", "cp1250"], "windows-1250"),
    ("WIN1251", &["win", "windows1251", "cp1251"], "windows-1251"),
    ("WIN1252", &["windows1252", "cp1252"], "windows-1252"),
    ("WIN1253", &["windows1253", "cp1253"], "windows-1253"),
    ("WIN1254", &["windows1254", "cp1254"], "windows-1254"),
    ("WIN1255", &["windows1255", "cp1255"], "windows-1255"),
    ("WIN1256", &["windows1256", "cp1256"], "windows-1256"),
    ("WIN1257", &["windows1257", "cp1257"], "windows-1257"),
    ("WIN1258", &["windows1258", "cp1258", "abc", "tcvn", "tcvn5712", "vscii"], "windows-1258"),
    ("WIN866", &["windows866", "cp866", "alt"], "ibm866"),
    ("WIN874", &["windows874"], "windows-874"),
    ("KOI8R", &["koi8"], "koi8-r"),
    ("KOI8U", &[], "koi8-u"),
    ("EUC_JP", &[], "euc-jp"),
    ("EUC_KR", &[], "euc-kr"),
    ("UHC", &["windows949", "win949"], "euc-kr"),
    ("EUC_CN", &[], "gbk"),
    ("GBK", &["windows936", "win936"], "gbk"),
    ("GB18030", &[], "gb18030"),
    ("BIG5", &["windows950", "win950"], "big5"),
    ("SJIS", &["shiftjis", "mskanji", "windows932", "win932"], "shift_jis"),
    ("UTF-16", &[], ""),
    ("UTF-16LE", &[], "utf-16le"),
    ("UTF-16BE", &[], "utf-16be"),
];

impl Encoding {
    /// Reads a name.
    ///
    /// # Errors
    /// When nobody knows it; the names that are nearest are listed.
    pub fn parse(name: &str) -> Result<Self, String> {
        let charset = known(&normal(name)).or_else(|| of_the_web(name)).ok_or_else(|| unknown(name))?;
        Ok(Self { name: name.trim().to_owned(), charset })
    }

    /// The name as the user writes it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether bytes are characters as they stand.
    pub fn is_utf8(&self) -> bool {
        self.charset == Charset::Utf8
    }

    /// Whether it is the one of this name.
    pub fn is(&self, name: &str) -> bool {
        Self::parse(name).is_ok_and(|other| other.charset == self.charset)
    }

    /// What to do in place of it where Postgres makes other characters of some bytes; none where all are the same.
    pub fn remedy(&self) -> Option<&'static str> {
        match self.in_postgres()? {
            "EUC_KR" => Some("write `encoding: UHC`, which has all of its characters but ㉾"),
            "EUC_CN" => Some("write `encoding: GBK`, which has all of its characters, or convert the file to UTF-8"),
            "BIG5" | "GB18030" | "EUC_JP" => {
                Some("use `postgres.copy_in`, for which the server reads it, or convert the file to UTF-8")
            }
            _ => None,
        }
    }

    /// What Postgres calls it; none for what it does not know.
    pub fn in_postgres(&self) -> Option<&'static str> {
        let found = KNOWN.iter().find(|(own, others, _)| is_called(own, others, &normal(&self.name)));
        let same = KNOWN.iter().filter(|(own, ..)| known(&normal(own)) == Some(self.charset));
        let name = found.or_else(|| same.into_iter().next()).map(|(own, ..)| *own);
        name.filter(|name| !name.starts_with("UTF-16"))
    }
}

fn normal(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

fn is_called(own: &str, others: &[&str], name: &str) -> bool {
    normal(own) == name || others.contains(&name)
}

fn known(name: &str) -> Option<Charset> {
    let (own, _, label) = KNOWN.iter().find(|(own, others, _)| is_called(own, others, name))?;
    Some(match *own {
        "LATIN1" => Charset::Latin1,
        "LATIN5" => Charset::Latin5,
        "UTF-16" => Charset::Utf16,
        _ => charset(encoding_rs::Encoding::for_label(label.as_bytes())?),
    })
}

/// Labels of the web that are no encodings of files are unknown here.
fn of_the_web(name: &str) -> Option<Charset> {
    let found = encoding_rs::Encoding::for_label(name.as_bytes())?;
    let is_one = found != encoding_rs::REPLACEMENT && found != encoding_rs::X_USER_DEFINED;
    is_one.then(|| charset(found))
}

fn charset(found: &'static encoding_rs::Encoding) -> Charset {
    if found == encoding_rs::UTF_8 { Charset::Utf8 } else { Charset::Other(found) }
}

fn unknown(name: &str) -> String {
    let wanted = normal(name);
    let score = |own: &str, others: &[&str]| {
        let own = strsim::jaro_winkler(&wanted, &normal(own));
        others.iter().map(|other| strsim::jaro_winkler(&wanted, other)).fold(own, f64::max)
    };
    let mut nearest: Vec<(f64, &str)> = KNOWN.iter().map(|(own, others, _)| (score(own, others), *own)).collect();
    nearest.sort_by(|one, other| other.0.total_cmp(&one.0));
    let nearest: Vec<&str> = nearest.iter().take(4).filter(|(score, _)| *score > 0.7).map(|(_, own)| *own).collect();
    let nearest = if nearest.is_empty() { vec!["UTF8", "LATIN1", "WIN1252", "UTF-16"] } else { nearest };
    format!("there is no encoding `{name}`; there is `{}`", nearest.join("`, `"))
}

impl TryFrom<String> for Encoding {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::parse(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charset_of(name: &str) -> Charset {
        Encoding::parse(name).unwrap().charset
    }

    #[test]
    fn postgres_and_the_web_mean_the_same_by_most_names() {
        for name in ["utf8", "UTF-8", "Unicode", "SQL_ASCII", "us-ascii"] {
            assert_eq!(charset_of(name), Charset::Utf8, "{name}");
        }
        for name in ["WIN1252", "windows-1252", "cp1252", "x-cp1252"] {
            assert_eq!(charset_of(name), Charset::Other(encoding_rs::WINDOWS_1252), "{name}");
        }
        assert_eq!(charset_of("macintosh"), Charset::Other(encoding_rs::MACINTOSH));
        assert_eq!(charset_of("csShiftJIS"), charset_of("SJIS"));
        assert_eq!(charset_of("utf_16"), Charset::Utf16);
    }

    #[test]
    fn where_they_differ_the_name_means_what_it_means_to_postgres() {
        for name in ["latin1", "ISO-8859-1", "iso8859_1", "L1"] {
            assert_eq!(charset_of(name), Charset::Latin1, "{name}");
        }
        assert_eq!(charset_of("LATIN9"), Charset::Other(encoding_rs::ISO_8859_15));
        assert_eq!(charset_of("iso-8859-9"), Charset::Latin5);
    }

    #[test]
    fn every_known_name_can_be_read_and_postgres_understands_it() {
        for (name, ..) in KNOWN {
            let own = Encoding::parse(name).unwrap_or_else(|error| panic!("{error}")).in_postgres();
            assert_eq!(own, Some(*name).filter(|name| !name.starts_with("UTF-16")), "{name}");
        }
        assert_eq!(Encoding::parse("x-sjis").unwrap().in_postgres(), Some("SJIS"));
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let message = |name: &str| Encoding::parse(name).unwrap_err();
        assert!(
            message("latin-99").starts_with("there is no encoding `latin-99`; there is `LATIN9`"),
            "{}",
            message("latin-99")
        );
        assert!(message("windows-125").contains("`WIN1252`"), "{}", message("windows-125"));
        assert!(message("klingon").contains("`UTF8`"), "{}", message("klingon"));
        for name in ["", "replacement", "x-user-defined"] {
            assert!(Encoding::parse(name).is_err(), "{name}");
        }
    }
}
