//! Filters on lists and maps, and `jq`.

use super::assert_table;

#[test]
fn lists() {
    assert_table(&[
        ("{{ inputs.list | first }}", "3"),
        ("{{ inputs.list | last }}", "2"),
        ("{{ [] | first }}", "null"),
        ("{{ inputs.list | sort }}", "[1, 2, 3]"),
        ("{{ inputs.list | rsort }}", "[3, 2, 1]"),
        ("{{ ['b', 'a'] | sort }}", r#"["a", "b"]"#),
        (
            "{{ [9007199254740993, 2.5, null, 9007199254740992] | sort }}",
            "[null, 2.5, 9007199254740992, 9007199254740993]",
        ),
        ("{{ inputs.list | reverse }}", "[2, 1, 3]"),
        ("{{ inputs.list | length }}", "3"),
        ("{{ null | length }}", "0"),
        ("{{ inputs.list | join(', ') }}", r#""3, 1, 2""#),
        ("{{ ['a', 'b'] | join }}", r#""ab""#),
        ("{{ ['a', null, 1] | join('-') }}", r#""a--1""#),
        ("{{ [1, 2, 3, 4] | slice(1, 3) }}", "[2, 3]"),
        ("{{ [1, 2, 3] | chunk(2) }}", "[[1, 2], [3]]"),
        ("{{ [1, 2, 1, 'a', 'a'] | distinct }}", r#"[1, 2, "a"]"#),
        ("{{ [1, [2, [3]], 4] | flatten }}", "[1, 2, [3], 4]"),
        ("{{ [1] | merge([2]) }}", "[1, 2]"),
        ("{{ [5, 6] | keys }}", "[0, 1]"),
        ("{{ [1, 2] | default([3]) }}", "[1, 2]"),
    ]);
}

#[test]
fn maps() {
    assert_table(&[
        ("{{ {'a': 1, 'b': 2} | keys }}", r#"["a", "b"]"#),
        ("{{ {'a': 1, 'b': 2} | values }}", "[1, 2]"),
        ("{{ {'a': 1} | length }}", "1"),
        ("{{ {'a': 1, 'b': 2} | merge({'b': 3}) }}", r#"{"a": 1, "b": 3}"#),
        ("{{ {} | default('empty') }}", r#""empty""#),
        ("{{ {inputs.taxi: 1} }}", r#"{"green": 1}"#),
    ]);
}

#[test]
fn jq() {
    assert_table(&[
        ("{{ outputs | jq('.extract.uri') | first }}", r#""u""#),
        ("{{ [1, 2, 3] | jq('.') }}", "[[1, 2, 3]]"),
        ("{{ [1, 2, 3] | jq('.[]') }}", "[1, 2, 3]"),
        ("{{ [1, 2, 3] | jq('.[0]') | first }}", "1"),
        ("{{ outputs.extract.rows | jq('map(.n * 2)') | first }}", "[2, 4]"),
        ("{{ outputs.extract.rows | jq('[.[] | select(.n > 1)] | length') | first }}", "1"),
        ("{{ '{\"a\": {\"b\": 2}}' | jq('.a.b') | first }}", "2"),
        (
            "{{ {'b': 1, 'a': 2} | jq('keys, to_entries[0].key, (to_entries | map(.value) | add)') }}",
            r#"[["a", "b"], "b", 3]"#,
        ),
        ("{{ [3, 1, 2] | jq('sort, max, (map(tostring) | join(\"-\"))') }}", r#"[[1, 2, 3], 3, "3-1-2"]"#),
        ("{{ 1 | jq('def twice: . * 2; [limit(3; recurse(twice))], until(. > 5; . + 1)') }}", "[[1, 2, 4], 6]"),
        ("{{ [2.5] | jq('.[0] | floor, round, ceil') }}", "[2, 3, 3]"),
        ("{{ {'a': null} | jq('.a // \"none\"') | first }}", r#""none""#),
        ("{{ [[1], [2, [3]]] | jq('flatten | unique') | first }}", "[1, 2, 3]"),
        ("{{ ['x', 'y'] | jq('[range(length) as $i | .[$i] + ($i | tostring)]') | first }}", r#"["x0", "y1"]"#),
        (
            "{{ [{'k': 'a', 'n': 1}, {'k': 'a', 'n': 2}] | jq('group_by(.k)[] | {k: .[0].k, n: map(.n) | add}') }}",
            r#"[{"k": "a", "n": 3}]"#,
        ),
    ]);
}
