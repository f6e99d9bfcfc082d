//! Filters on text and numbers.

use super::assert_table;

#[test]
fn letters() {
    assert_table(&[
        ("{{ 'Green TAXI' | lower }}", r#""green taxi""#),
        ("{{ 'grün' | upper }}", r#""GRÜN""#),
        ("{{ 'new york city' | title }}", r#""New York City""#),
        ("{{ 'new york' | capitalize }}", r#""New york""#),
        ("{{ '' | capitalize }}", r#""""#),
        ("{{ \"  a b\t\" | trim }}", r#""a b""#),
        ("{{ 2019 | upper }}", r#""2019""#),
        ("{{ null | upper }}", "null"),
        (r#"{{ "it's; $(id)" | shellQuote }}"#, r#""'it'\\''s; $(id)'""#),
        ("{{ 7 | shellQuote }}", r#""'7'""#),
        ("{{ 'Hello, World! 2nd_try' | slugify }}", r#""hello-world-2nd_try""#),
        ("{{ 'abcdefghij' | abbreviate(7) }}", r#""abcd...""#),
        ("{{ 'abc' | abbreviate(7) }}", r#""abc""#),
        ("{{ 'abcdef' | abbreviate(length=2) }}", r#""ab""#),
        ("{{ 5 | string }}", r#""5""#),
        ("{{ [1] | string }}", r#""[1]""#),
        ("{{ 'abc' | reverse }}", r#""cba""#),
        ("{{ 'abc' | first }}", r#""a""#),
        ("{{ 'abc' | last }}", r#""c""#),
        ("{{ 'grün' | length }}", "4"),
        ("{{ 'abcdef' | slice(1, 3) }}", r#""bc""#),
        ("{{ 'abcdef' | slice(fromIndex=2) }}", r#""cdef""#),
        ("{{ 'abcdef' | slice(toIndex=2) }}", r#""ab""#),
    ]);
}

#[test]
fn parts() {
    assert_table(&[
        ("{{ 'a/b/c.csv' | substringBefore('/') }}", r#""a""#),
        ("{{ 'a/b/c.csv' | substringBeforeLast('/') }}", r#""a/b""#),
        ("{{ 'a/b/c.csv' | substringAfter('/') }}", r#""b/c.csv""#),
        ("{{ 'a/b/c.csv' | substringAfterLast('/') }}", r#""c.csv""#),
        ("{{ 'abc' | substringBefore('/') }}", r#""abc""#),
        ("{{ 'abc' | substringAfter('/') }}", r#""""#),
        ("{{ 'green_2019' | startsWith('green') }}", "true"),
        ("{{ 'green_2019' | endsWith(value='2020') }}", "false"),
        ("{{ 'a,b,,c,,' | split(',') }}", r#"["a", "b", "", "c"]"#),
        ("{{ 'a,b,c' | split(',', 2) }}", r#"["a", "b,c"]"#),
        ("{{ 'a1b22c' | split('[0-9]+') }}", r#"["a", "b", "c"]"#),
        (r"{{ 'a.b' | split('\.') }}", r#"["a", "b"]"#),
        ("{{ 'abc' | split('') }}", r#"["a", "b", "c"]"#),
        ("{{ ('a-b' | split('-'))[1] }}", r#""b""#),
    ]);
}

#[test]
fn replacements() {
    assert_table(&[
        ("{{ 'green taxi' | replace({'green': 'yellow'}) }}", r#""yellow taxi""#),
        ("{{ 'a b c' | replace({' ': '', 'c': 'd'}) }}", r#""abd""#),
        ("{{ 'a.b' | replace({'.': '-'}) }}", r#""a-b""#),
        ("{{ 'a1b22' | replace({'[0-9]+': '#'}, regexp=true) }}", r##""a#b#""##),
        ("{{ 'john smith' | replace({'(\\w+) (\\w+)': '$2_$1'}, true) }}", r#""smith_john""#),
        ("{{ 'cost' | replace({'cost': '5$'}, regexp=true) }}", r#""5$""#),
        ("{{ ['a', {'k': 'a'}] | replace({'a': 'b'}) }}", r#"["b", {"k": "b"}]"#),
        (r"{{ 'x\y' | replace({'\y': 'z'}) }}", r#""xz""#),
    ]);
}

#[test]
fn indentation() {
    assert_table(&[
        ("{{ \"a\nb\" | indent(2) }}", r#""a\n  b""#),
        ("{{ \"a\nb\" | nindent(2) }}", r#""\n  a\n  b""#),
        ("{{ \"a\nb\" | indent(1, '> ') }}", r#""a\n> b""#),
        ("{{ '' | nindent(4) }}", r#""""#),
    ]);
}

#[test]
fn numbers() {
    assert_table(&[
        ("{{ '42' | number }}", "42"),
        ("{{ '4.5' | number }}", "4.5"),
        ("{{ '7' | number('DOUBLE') }}", "7.0"),
        ("{{ ' 7 ' | number(type='INT') + 1 }}", "8"),
        ("{{ -3 | abs }}", "3"),
        ("{{ 2.5 | abs }}", "2.5"),
        ("{{ 1234567.891 | numberFormat('#,##0.00') }}", r#""1,234,567.89""#),
        ("{{ 3.14159 | numberFormat('#.##') }}", r#""3.14""#),
        ("{{ 3 | numberFormat('#.##') }}", r#""3""#),
        ("{{ 7 | numberFormat('000') }}", r#""007""#),
        ("{{ 0.256 | numberFormat('0.0%') }}", r#""25.6%""#),
        ("{{ -1234.5 | numberFormat('$#,##0') }}", r#""-$1,234""#),
        ("{{ 0.5 | numberFormat('#.0') }}", r#"".5""#),
        ("{{ 1234.5 | numberFormat }}", r#""1,234.5""#),
    ]);
}
