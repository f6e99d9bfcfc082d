//! What SQL of a step may be. It sees the rows of its own input and nothing else: Polars would read any file and any
//! address for `read_csv(…)`. And it is short enough for Polars, which follows operators by recursion.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::walk::walk;
use sqlparser::ast::{Query, Statement, TableFactor, Visitor};
use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserOptions};
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::task::TaskError;

/// The table that is a query's input.
pub(super) const INPUT: &str = "self";
/// How many operators and keywords may follow one another: each may lead one level deeper.
const MAX_OPERATORS: usize = 400;
/// How many parts a query may be made of.
const MAX_QUERIES: usize = 100;
/// The words with which these begin.
const QUERY_KEYWORDS: &[Keyword] =
    &[Keyword::SELECT, Keyword::UNION, Keyword::INTERSECT, Keyword::EXCEPT, Keyword::JOIN, Keyword::VALUES];

/// The stack for work on expressions, of which Polars takes a lot.
const STACK_BYTES: usize = 64 << 20;

/// Does work that follows expressions by recursion.
pub(super) fn deep<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(STACK_BYTES / 2, STACK_BYTES, work)
}

/// Checks the query of a `sql` step.
///
/// # Errors
/// When it is no query, looks at anything but its input, or is too long.
pub(super) fn check_query(field: &str, sql: &str) -> Result<(), TaskError> {
    check_length(field, sql)?;
    deep(|| check_statement(field, sql))
}

fn check_statement(field: &str, sql: &str) -> Result<(), TaskError> {
    let statements = parser(sql).and_then(|mut parser| parser.parse_statements());
    let statements = statements.map_err(|error| invalid(field, &plain(&error.to_string())))?;
    let [Statement::Query(query)] = statements.as_slice() else {
        return Err(invalid(field, "this is not one query").help("write `SELECT … FROM self`"));
    };
    only_input(field, query)
}

/// Checks the expression of a step that looks at one row.
///
/// # Errors
/// When it holds a query, or is too long.
pub(super) fn check_expression(field: &str, sql: &str) -> Result<(), TaskError> {
    check_length(field, sql)?;
    // Polars says what is wrong with one that cannot be read.
    deep(|| match parser(sql).and_then(|mut parser| parser.parse_select_item()) {
        Ok(item) if walk(&item, &mut FindQuery).is_break() => {
            Err(invalid(field, "an expression cannot hold a query").help("the step `sql` takes queries"))
        }
        _ => Ok(()),
    })
}

/// The parser as Polars sets it up.
pub(super) fn parser(sql: &str) -> Result<Parser<'static>, sqlparser::parser::ParserError> {
    let options = ParserOptions { trailing_commas: true, ..ParserOptions::default() };
    Parser::new(&GenericDialect).with_options(options).try_with_sql(sql)
}

fn check_length(field: &str, sql: &str) -> Result<(), TaskError> {
    // Polars says what is wrong with a text that has no tokens.
    let tokens = Tokenizer::new(&GenericDialect, sql).tokenize().unwrap_or_default();
    if depth(&tokens) > MAX_OPERATORS {
        let error = invalid(field, &format!("more than {MAX_OPERATORS} operators follow one another"));
        return Err(error.help("for many values write `IN (…)`"));
    }
    let parts =
        tokens.iter().filter(|token| matches!(token, Token::Word(word) if QUERY_KEYWORDS.contains(&word.keyword)));
    if parts.count() > MAX_QUERIES {
        return Err(invalid(field, &format!("it is made of more than {MAX_QUERIES} queries")));
    }
    Ok(())
}

/// How many operators and keywords lie one in the other at most: what commas part lies side by side.
fn depth(tokens: &[Token]) -> usize {
    // Of each bracket that is open: how deep it lies, and how deep its present item leads.
    let (mut deepest, mut open, mut own) = (0, Vec::new(), 0_usize);
    let mut around = 0;
    for token in tokens {
        match token {
            Token::Comma => own = 0,
            Token::LParen | Token::LBracket | Token::LBrace => {
                open.push((around, own));
                (around, own) = (around + own + 1, 0);
            }
            Token::RParen | Token::RBracket | Token::RBrace => (around, own) = open.pop().unwrap_or_default(),
            token => own += usize::from(adds_depth(token)),
        }
        deepest = deepest.max(around + own);
    }
    deepest
}

/// Whether a token is none of those that stand side by side in any number: values, names and what divides them.
fn adds_depth(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.quote_style.is_none() && word.keyword != Keyword::NoKeyword,
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::Whitespace(_)
        | Token::SemiColon
        | Token::EOF => false,
        _ => true,
    }
}

fn only_input(field: &str, query: &Query) -> Result<(), TaskError> {
    let mut tables = TableNames::default();
    let _ = walk(query, &mut tables);
    match tables.used.iter().find(|(name, is_plain)| !is_plain || !tables.known.contains(&name.to_lowercase())) {
        None => Ok(()),
        Some((name, _)) => {
            let error = invalid(field, &format!("the query reads `{name}`, and may read nothing but its input"));
            Err(error.help("its input is the table `self`: write `SELECT … FROM self`"))
        }
    }
}

fn invalid(field: &str, reason: &str) -> TaskError {
    TaskError::permanent(format!("`{field}`: {reason}"))
}

fn plain(error: &str) -> String {
    error.replace("sql parser error: ", "")
}

/// The tables of a query, and the names that it gives itself.
struct TableNames {
    known: BTreeSet<String>,
    /// Each with whether it is a mere name.
    used: Vec<(String, bool)>,
}

impl Default for TableNames {
    fn default() -> Self {
        Self { known: BTreeSet::from([INPUT.to_owned()]), used: Vec::new() }
    }
}

impl Visitor for TableNames {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let named = query.with.iter().flat_map(|with| &with.cte_tables);
        self.known.extend(named.map(|table| table.alias.name.value.to_lowercase()));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        match table {
            TableFactor::Table { name, alias, args, .. } => {
                self.known.extend(alias.iter().map(|alias| alias.name.value.to_lowercase()));
                let described = name.to_string();
                self.used.push((described.trim_matches('"').to_owned(), args.is_none()));
            }
            TableFactor::Derived { .. } | TableFactor::NestedJoin { .. } | TableFactor::UNNEST { .. } => {}
            other => self.used.push((other.to_string(), false)),
        }
        ControlFlow::Continue(())
    }
}

struct FindQuery;

impl Visitor for FindQuery {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_reads_its_input_alone() {
        let long = vec!["1"; 500].join(", ");
        for sql in [
            "SELECT * FROM self",
            "select a, sum(b) from self s join (select a from SELF) t using (a) group by a",
            "WITH x AS (SELECT a FROM self) SELECT * FROM x WHERE a IN (SELECT a FROM x) UNION SELECT a FROM self;",
            "SELECT read_csv FROM self",
            &format!("SELECT a FROM self WHERE a IN ({long})"),
        ] {
            assert!(check_query("sql", sql).is_ok(), "{sql}: {:?}", check_query("sql", sql));
        }
        for (sql, reason) in [
            ("SELECT * FROM read_parquet('/etc/x')", "the query reads `read_parquet`"),
            ("SELECT * FROM self WHERE a IN (SELECT a FROM READ_CSV('http://x'))", "the query reads `READ_CSV`"),
            ("WITH x AS (SELECT * FROM self) SELECT (SELECT max(a) FROM \"read_csv\"('x')) FROM x", "the query reads"),
            ("WITH x AS (SELECT 1) SELECT * FROM x(1)", "the query reads `x`"),
            ("SELECT * FROM other", "the query reads `other`"),
            ("SELECT 1; SELECT 2", "this is not one query"),
            ("DROP TABLE self", "this is not one query"),
            ("CREATE TABLE x AS SELECT * FROM read_csv('x')", "this is not one query"),
        ] {
            let error = check_query("sql", sql).unwrap_err();
            assert!(error.to_string().contains(reason), "{sql}: {error}");
        }
    }

    #[test]
    fn an_expression_holds_no_query_and_is_not_endless() {
        assert!(check_expression("filter", "a > 1 AND b IS NOT NULL").is_ok());
        let error = check_expression("filter", "a IN (SELECT a FROM read_csv('x'))").unwrap_err();
        assert!(error.to_string().contains("an expression cannot hold a query"), "{error}");
        for sql in [format!("a{}", " + 1".repeat(20_000)), "a".to_owned() + &"::int".repeat(500), "(".repeat(20_000)] {
            let error = check_expression("filter", &sql).unwrap_err();
            assert!(error.to_string().contains("more than 400 operators"), "{error}");
        }
        let wide = vec!["CAST(a + 1 AS int) AS b"; 300].join(", ");
        assert!(check_query("sql", &format!("SELECT {wide} FROM self")).is_ok());
        let queries = vec!["SELECT a, b FROM self"; 200].join(" UNION ");
        assert!(check_query("sql", &queries).unwrap_err().to_string().contains("more than 100 queries"));
    }
}
