//! Hostile templates end, with an error that says why.

use std::iter::repeat_n;

use jitney::flow::expression::{Names, NoHost, check, references, render};
use serde_json::{Value, json};

fn message(template: &str) -> String {
    match render(&json!(template), &Names::new(), &NoHost) {
        Ok(value) => format!("gives {} bytes", value.to_string().len()),
        Err(error) => error.message,
    }
}

#[test]
fn deep_nesting_is_refused() {
    let deep = [
        format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("{{{{ {}1{} }}}}", "[".repeat(65), "]".repeat(65)),
        format!("{{{{ {}1 }}}}", "- ".repeat(100_000)),
        format!("{{{{ {}1 }}}}", "not ".repeat(100_000)),
        format!("{{{{ {}1 }}}}", "1 ? 1 : ".repeat(100_000)),
        format!("{{{{ {}1 }}}}", "1 or 1 == 1 + 1 * ".repeat(100_000)),
        format!("{{{{ a{}", "[a".repeat(100_000)),
        format!("{}{}", "{% if true %}".repeat(100_000), "{% endif %}".repeat(100_000)),
    ];
    for template in &deep[..5] {
        assert!(
            message(template).contains("is nested more than 64 levels deep"),
            "{}: {}",
            &template[..60],
            message(template)
        );
    }
    for template in deep {
        assert!(check(&template).is_err() || template.contains("or 1"), "{}", &template[..60]);
    }
}

#[test]
fn long_chains_are_no_nesting() {
    let sum: Vec<&str> = repeat_n("1", 50_000).collect();
    assert_eq!(render(&json!(format!("{{{{ {} }}}}", sum.join(" + "))), &Names::new(), &NoHost).unwrap(), 50_000);
    let path = format!("{{{{ a{} ?? 1 }}}}", ".b".repeat(64));
    assert_eq!(render(&json!(path), &Names::new(), &NoHost).unwrap(), 1);
    for path in [".b", "[0]"] {
        let path = format!("{{{{ inputs{} ?? 1 }}}}", path.repeat(100_000));
        assert!(message(&path).contains("more than 64 parts"), "{}", message(&path));
    }
    assert_eq!(references(&format!("{{{{ a{} }}}}", " ~ a".repeat(10_000))).unwrap(), ["a"]);
    let arms = "{% elseif false %}".repeat(10_000);
    assert_eq!(message(&format!("{{% if false %}}{arms}{{% else %}}x{{% endif %}}")), "gives 3 bytes");
}

/// A template with `a` as text of 2 to the power of `doublings` letters.
fn big(doublings: u32, template: &str) -> String {
    format!("{{% set a = 'x' %}}{{% for i in 1..{doublings} %}}{{% set a = a ~ a %}}{{% endfor %}}{template}")
}

#[test]
fn work_and_size_are_bounded() {
    for (template, expected) in [
        (
            "{% for a in 1..2000 %}{% for b in 1..2000 %}{% endfor %}{% endfor %}",
            "the loops have more than 1000000 iterations",
        ),
        ("{{ range(1, 10000000) | length }}", "the range has 10000000 items, more than 1000000"),
        ("{{ range(-9223372036854775807, 9223372036854775807) }}", "the range has 18446744073709551615 items"),
        (
            "{% set a = 'xxxxxxxxxxxxxxxx' %}{% for i in 1..100 %}{% set a = a ~ a %}{% endfor %}{{ 1 }}",
            "the value is larger than 64 MiB",
        ),
        (
            "{% set a = [1] %}{% for i in 1..100 %}{% set a = [a, a] %}{% endfor %}{{ 1 }}",
            "the value is larger than 64 MiB",
        ),
        (
            "{% set a = [1] %}{% for i in 1..1000 %}{% set a = [a] %}{% endfor %}{{ 1 }}",
            "the value is nested too deeply",
        ),
        (
            "{% for i in 1..100000 %}{{ '0123456789012345678901234567890123456789' ~ 'x' | indent(10) }}{{ '0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789' }}{% endfor %}",
            "the text becomes larger than 16 MiB",
        ),
        ("{{ 'a' | indent(9000000000000000000, 'xx') }}", "the text becomes larger than 16 MiB"),
        (&big(20, "{{ a | replace({'x': a}) }}"), "the text becomes larger than 16 MiB"),
        (&big(20, "{{ a | replace({'x+': a | replace({'x': '$0'})}, true) }}"), "the text becomes larger than 16 MiB"),
        (&big(21, "{{ a | split('') }}"), "there are more than 1000000 parts"),
        (&big(17, "{{ 1 | numberFormat(a | replace({'x': '0'})) }}"), "the pattern is longer"),
        ("{{ '9999-12-31' | dateAdd(300000, 'YEARS') }}", "leaves the supported range of dates"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "this is nested too deeply"),
        (
            "{{ render('{{ render(\"{{ 1 }}\") }}') }}{% macro m(x) %}{{ render('{{ 1 }}') }}{{ m(x) }}{% endmacro %}{{ m(1) }}",
            "this is nested too deeply",
        ),
        ("{{ 'aaaa' | replace({'(a{1000}){1000}': 'b'}, regexp=true) }}", "Compiled regex exceeds size limit"),
        ("{% for i in 1..1000000 %}{{ 'x' | split('[a]') }}{% endfor %}", "the expression takes too many steps"),
        // Each is compared with each of the others.
        (
            "{% set a = range(1, 12000) | chunk(1) %}{{ a contains (a | reverse) }}",
            "the expression takes too many steps",
        ),
        (&big(24, "{{ a | split('(x?y){500}') }}"), "the expression takes too many steps"),
        (&big(20, "{% for i in 1..1000 %}{{ yaml(a) == 1 }}{% endfor %}"), "the expression takes too many steps"),
        (
            &big(23, "{% for i in 1..1000000 %}{{ max(a, 'y') == 1 }}{% endfor %}"),
            "the expression takes too many steps",
        ),
        (&big(23, "{% for i in 1..1000000 %}{% if a %}{% endif %}{% endfor %}"), "the expression takes too many steps"),
    ] {
        assert!(message(template).contains(expected), "{template}: {}", message(template));
    }
}

#[test]
fn a_jq_program_has_bounds_of_time_memory_and_depth() {
    enable_jq();
    let (slow, large) = ("the jq program takes too long", "MiB of memory, or is nested too deeply");
    for (program, expected) in [
        ("def f: f; f", large),
        ("def #x\n f: f; f", slow),
        ("range(1000000) as $a | range(1000000) as $b | empty", slow),
        ("[\"a\", \"b\"] | combinations(1000)", slow),
        ("[limit(1000000000; repeat(1))]", large),
        ("[range(1000000000)]", large),
        ("reduce range(60) as $i ([1]; . + .)", large),
        ("reduce range(60) as $i (\"a\"; . + .)", large),
        ("reduce range(40) as $i (\"\\\\\"; tojson)", large),
        ("reduce range(60) as $i ([1]; [., .]) | tojson", large),
        ("reduce range(100000) as $i (1; [.])", "is nested too deeply"),
        ("[recurse([.])] | length", large),
        ("\"a\" * 1000000000", large),
        ("[] | .[1000000000] = 1", "out of bounds"),
    ] {
        let template = format!("{{{{ 1 | jq('{program}') }}}}");
        let found = message(&template);
        assert!(found.contains(expected) || found.contains(slow) || found.contains(large), "{program}: {found}");
    }
    let deep_jq = format!("{{{{ 1 | jq('{}1{}') }}}}", "[".repeat(4_000), "]".repeat(4_000));
    assert!(message(&deep_jq).contains("is nested too deeply"), "{}", message(&deep_jq));
    let deep_text = format!("{{{{ '{}1{}' | jq('.') }}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(!message(&deep_text).contains("gives"), "{}", message(&deep_text));
    // The time is for all programs of a text.
    let many = format!("{{{{ 1 | jq('.') }}}}{}", "{{ 1 | jq('last(range(20000000))') }}".repeat(20));
    assert!(message(&many).contains(slow), "{}", message(&many));
}

fn enable_jq() {
    jitney::jq::enable(env!("CARGO_BIN_EXE_jitney").into());
}

#[test]
fn any_text_is_read_to_its_end() {
    let pieces = [
        "{{", "}}", "{%", "%}", "{#", "#}", "-", "'", "\"", "\\", "(", ")", "[", "]", "{", "}", "a", " ", "1", ".",
        "..", "??", "?", ":", "|", "if", "for", "set", "raw", "endraw", "macro", "in", "=", ",", "ü", "\n", "is",
        "not",
    ];
    // A fixed sequence of pseudo-random picks.
    let mut state = 7_u64;
    for _ in 0..20_000 {
        let mut text = String::from("{{");
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
        }
        let names = json!({"a": {"a": [1, "a"]}}).as_object().cloned().unwrap();
        let rendered = render(&Value::from(text.as_str()), &names, &NoHost);
        assert!(rendered.is_err() || check(&text).is_ok(), "{text}: {rendered:?}");
    }
}
