//! Literals, names, operators and how tightly they bind.

use super::assert_table;

#[test]
fn a_long_list_contains_another() {
    crate::expressions::assert_table(&[
        ("{{ range(1, 100000) contains range(1, 100000) }}", "true"),
        ("{{ range(1, 100000) contains range(2, 100001) }}", "false"),
        ("{{ [1, 2.0, 'a', null, true, [1], {'b': 1}] contains [{'b': 1.0}, [1], true, null, 'a', 2, 1.0] }}", "true"),
        ("{{ [1, 2, 'a'] contains ['1'] }}", "false"),
        ("{{ [1, 'true'] contains [true] }}", "false"),
        ("{{ [[1, 2], 3] contains [1, 2] }}", "true"),
    ]);
}

#[test]
fn literals() {
    assert_table(&[
        ("{{ 1 }}", "1"),
        ("{{ 2.50 }}", "2.5"),
        ("{{ 'a' }}", r#""a""#),
        (r#"{{ "b" }}"#, r#""b""#),
        (r"{{ 'it\'s' }}", r#""it's""#),
        (r#"{{ "say \"hi\"" }}"#, r#""say \"hi\"""#),
        (r"{{ '\d+' }}", r#""\\d+""#),
        ("{{ true }}", "true"),
        ("{{ false }}", "false"),
        ("{{ null }}", "null"),
        ("{{ [1, 'a', [true]] }}", r#"[1, "a", [true]]"#),
        ("{{ [] }}", "[]"),
        ("{{ {'a': 1, 'b': {'c': [2]}} }}", r#"{"a": 1, "b": {"c": [2]}}"#),
        ("{{ {} }}", "{}"),
        ("{{ {'a': {'b': {}}}}}", r#"{"a": {"b": {}}}"#),
        ("{{ '}}' }}", r#""}}""#),
    ]);
}

#[test]
fn a_lone_expression_keeps_its_type_and_a_text_is_text() {
    assert_table(&[
        ("{{ inputs.year }}", "2019"),
        ("  {{ inputs.list }}\n", "[3, 1, 2]"),
        ("{{ inputs.none }}", "null"),
        ("{{inputs.taxi}}_{{inputs.year}}", r#""green_2019""#),
        ("a{{ inputs.none }}b", r#""ab""#),
        ("list: {{ inputs.list }}", r#""list: [3,1,2]""#),
        ("map: {{ labels }}", r#""map: {\"team\":\"data\"}""#),
        ("{{ inputs.rate }} {{ inputs.flag }}", r#""2.5 false""#),
        ("{{ 1 }}{{ 2 }}", r#""12""#),
        ("plain", r#""plain""#),
        ("{ {{ 1 }} }", r#""{ 1 }""#),
    ]);
}

#[test]
fn names_and_subscripts() {
    assert_table(&[
        ("{{ outputs.extract.outputFiles['green_2019.csv'] }}", r#""jitney:///e1/extract/green_2019.csv""#),
        (
            "{{ outputs.extract.outputFiles[inputs.taxi ~ '_' ~ inputs.year ~ '.csv'] }}",
            r#""jitney:///e1/extract/green_2019.csv""#,
        ),
        (r#"{{ outputs["my-task"].value }}"#, r#""dashed""#),
        ("{{ outputs['my-task']['value'] }}", r#""dashed""#),
        ("{{ inputs.list[0] }}", "3"),
        ("{{ inputs.list.1 }}", "1"),
        ("{{ inputs.list[inputs.list[1]] }}", "1"),
        ("{{ outputs.extract.rows[1].n }}", "2"),
        ("{{ [7, 8][1] }}", "8"),
        ("{{ {'a': 5}['a'] }}", "5"),
        ("{{ {'a': 5}.a }}", "5"),
        ("{{ (outputs.extract).uri }}", r#""u""#),
        ("{{ fromJson('{\"a\": [4]}').a[0] }}", "4"),
    ]);
}

#[test]
fn arithmetic() {
    assert_table(&[
        ("{{ 1 + 2 * 3 }}", "7"),
        ("{{ (1 + 2) * 3 }}", "9"),
        ("{{ 7 / 2 }}", "3"),
        ("{{ 7.0 / 2 }}", "3.5"),
        ("{{ 7 % 3 }}", "1"),
        ("{{ 100 + 10l * 2L }}", "120"),
        ("{{ 10 - 2 - 3 }}", "5"),
        ("{{ 2 * 3 % 4 }}", "2"),
        ("{{ -inputs.year }}", "-2019"),
        ("{{ - -1 }}", "1"),
        ("{{ +1 }}", "1"),
        ("{{ inputs.rate * 2 }}", "5.0"),
        ("{{ 1 - -1 }}", "2"),
        ("{{ 'a' + 1 }}", r#""a1""#),
        ("{{ [1] + [2] }}", "[1, 2]"),
        ("{{ [1] + 2 }}", "[1, 2]"),
        ("{{ -2 | abs }}", "2"),
    ]);
}

#[test]
fn comparisons() {
    assert_table(&[
        ("{{ inputs.taxi == 'green' }}", "true"),
        ("{{ inputs.taxi != 'green' }}", "false"),
        ("{{ inputs.taxi equals 'green' }}", "true"),
        ("{{ 1 == 1.0 }}", "true"),
        ("{{ 1 == '1' }}", "false"),
        ("{{ [1, 2] == [1, 2.0] }}", "true"),
        ("{{ {'a': 1} == {'a': 1} }}", "true"),
        ("{{ null == null }}", "true"),
        ("{{ inputs.year < 2020 }}", "true"),
        ("{{ inputs.year >= 2019 }}", "true"),
        ("{{ inputs.year > 2019 }}", "false"),
        ("{{ 2 <= 1.5 }}", "false"),
        ("{{ 'a' < 'b' }}", "true"),
        ("{{ null < 1 }}", "false"),
        ("{{ 1 + 1 == 2 }}", "true"),
    ]);
}

#[test]
fn logic() {
    assert_table(&[
        ("{{ true and false }}", "false"),
        ("{{ true or false and false }}", "true"),
        ("{{ (true or false) and false }}", "false"),
        ("{{ not true }}", "false"),
        ("{{ not false and true }}", "true"),
        ("{{ not (1 == 2) }}", "true"),
        ("{{ inputs.flag or inputs.year == 2019 }}", "true"),
        ("{{ false and inputs.missing }}", "false"),
        ("{{ true or inputs.missing }}", "true"),
        ("{{ 'false' or 0 or '' }}", "false"),
        ("{{ 1 == 1 and 2 == 2 }}", "true"),
    ]);
}

#[test]
fn contains() {
    assert_table(&[
        ("{{ inputs.list contains 3 }}", "true"),
        ("{{ inputs.list contains 4 }}", "false"),
        ("{{ inputs.list contains [1, 2] }}", "true"),
        ("{{ [[1], [2]] contains [1] }}", "true"),
        ("{{ labels contains 'team' }}", "true"),
        ("{{ 'green taxi' contains 'taxi' }}", "true"),
        ("{{ null contains 1 }}", "false"),
        ("{{ not (inputs.list contains 4) }}", "true"),
        ("{{ 3 in inputs.list }}", "true"),
        ("{{ '3' isIn inputs.list }}", "true"),
        ("{{ 4 not in inputs.list and 3 in inputs.list }}", "true"),
        ("{{ 4 isNotIn inputs.list }}", "true"),
        ("{{ 'team' in labels and 'data' in labels }}", "true"),
        ("{{ 'taxi' in 'green taxi' }}", "true"),
        ("{{ null in [null] }}", "false"),
    ]);
}

#[test]
fn fallbacks() {
    assert_table(&[
        ("{{ inputs.missing ?? 'x' }}", r#""x""#),
        ("{{ inputs.none ?? 'x' }}", r#""x""#),
        ("{{ inputs.empty ?? 'x' }}", r#""""#),
        ("{{ inputs.missing ?? outputs.gone.uri ?? 'y' }}", r#""y""#),
        ("{{ nothing.at.all ?? 1 }}", "1"),
        ("{{ inputs.none ??? 'x' }}", "null"),
        ("{{ inputs.missing ??? 'x' }}", r#""x""#),
        ("{{ inputs.missing ?? trigger.date | date('yyyy-MM') }}", r#""2019-03""#),
        ("{{ trigger.date ?? execution.startDate | date('yyyy_MM') }}", r#""2019_03""#),
        ("{{ (inputs.missing | upper) ?? 'z' }}", r#""z""#),
        ("{{ inputs.missing | upper ?? 'z' }}", r#""z""#),
        ("{{ 'a' ~ inputs.missing ?? 'b' }}", r#""ab""#),
        ("{{ 1 + inputs.missing ?? 2 }}", "3"),
        ("{{ inputs.missing ?? 'b' ~ 'c' }}", r#""bc""#),
        ("{{ inputs.list[7] ?? 0 }}", "0"),
        ("{{ inputs.taxi.colour ?? 'none' }}", r#""none""#),
        ("{{ inputs.missing | default('d') }}", r#""d""#),
        ("{{ inputs.empty | default('d') }}", r#""d""#),
        ("{{ inputs.taxi | default('d') }}", r#""green""#),
        ("{{ inputs.missing ?? false ? 'yes' : 'no' }}", r#""no""#),
    ]);
}

#[test]
fn choices_joins_and_ranges() {
    assert_table(&[
        ("{{ inputs.year == 2019 ? 'old' : 'new' }}", r#""old""#),
        ("{{ inputs.flag ? 1 : inputs.taxi == 'green' ? 2 : 3 }}", "2"),
        ("{{ true ? 'a' : inputs.missing }}", r#""a""#),
        ("{{ (inputs.flag ? 1 : 2) + 1 }}", "3"),
        ("{{ [inputs.flag ? 1 : 2] }}", "[2]"),
        ("{{ 'a' ~ 1 ~ null ~ true }}", r#""a1true""#),
        ("{{ 'a' ~ 'b' | upper }}", r#""AB""#),
        ("{{ 1 ~ 2 + 3 }}", r#""123""#),
        ("{{ 'a' + 'b' | upper }}", r#""aB""#),
        ("{{ 'x' ~ [1, {'a': 2}] }}", r#""x[1,{\"a\":2}]""#),
        ("{{ 1..4 }}", "[1, 2, 3, 4]"),
        ("{{ 3..1 }}", "[]"),
        ("{{ inputs.taxi | upper | lower ~ '!' }}", r#""green!""#),
    ]);
}

#[test]
fn tests_after_is() {
    assert_table(&[
        ("{{ inputs.taxi is defined }}", "true"),
        ("{{ inputs.missing is defined }}", "false"),
        ("{{ outputs.gone.uri is not defined }}", "true"),
        ("{{ inputs.none is defined }}", "false"),
        ("{{ inputs.none is null }}", "true"),
        ("{{ inputs.taxi is not null }}", "true"),
        ("{{ inputs.empty is empty }}", "true"),
        ("{{ '  ' is empty }}", "true"),
        ("{{ [] is empty }}", "true"),
        ("{{ inputs.list is not empty }}", "true"),
        ("{{ 4 is even }}", "true"),
        ("{{ 4 is odd }}", "false"),
        ("{{ inputs.year is odd }}", "true"),
        ("{{ inputs.list is iterable }}", "true"),
        ("{{ 'text' is iterable }}", "false"),
        ("{{ labels is map }}", "true"),
        ("{{ inputs.list is map }}", "false"),
        ("{{ '{\"a\": 1}' is json }}", "true"),
        ("{{ 'no json' is json }}", "false"),
        ("{{ inputs.taxi is defined and inputs.year == 2019 }}", "true"),
        ("{{ inputs.missing is defined ? inputs.missing : 'other' }}", r#""other""#),
    ]);
}
