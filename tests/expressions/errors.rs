//! Mistakes and what is said of them.

use jitney::flow::expression::{NoHost, check, mentions, references, render};
use serde_json::json;

use super::world::{World, names};

/// Asserts what is said when a template is rendered, and which part of it is pointed at.
fn assert_errors(rows: &[(&str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (template, message, culprit) in rows {
        match render(&json!(template), &names(), &World::default()) {
            Err(error) if error.message == *message && error.culprit == *culprit => {
                assert!(template.contains(culprit), "`{culprit}` is no part of {template}");
            }
            Err(error) => wrong.push(format!(
                "{template}\n  says     {}\n  of       {}\n  expected {message}",
                error.message, error.culprit
            )),
            Ok(value) => wrong.push(format!("{template}\n  gives {value}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_that_lead_nowhere() {
    let roots = "the defined names are `inputs`, `vars`, `outputs`, `trigger`, `execution`, `flow`, `taskrun`, `item`, `parents`, `labels`";
    assert_errors(&[
        (
            "{{ outputs.fetch.uri }}",
            "`outputs.fetch.uri` is not defined; `outputs` has `extract`, `my-task`, `each`",
            "outputs.fetch.uri",
        ),
        ("x {{ input.taxi }}", &format!("`input.taxi` is not defined; {roots}"), "input.taxi"),
        (
            "{{ outputs.extract.outputFiles.green_2019.csv }}",
            "`outputs.extract.outputFiles.green_2019.csv` is not defined; `outputs.extract.outputFiles` has `green_2019.csv`; write `outputs.extract.outputFiles['green_2019.csv']` for a name with a dot",
            "outputs.extract.outputFiles.green_2019.csv",
        ),
        ("{{ taxi }}", &format!("`taxi` is not defined; {roots}"), "taxi"),
        (
            "{{ outputs.my-task.value }}",
            "`outputs.my` is not defined; `outputs` has `extract`, `my-task`, `each`; write `outputs['my-task']` for a name with a dash",
            "outputs.my",
        ),
        (
            "{{ inputs.list[3] }}",
            "`inputs.list[3]` is not defined; `inputs.list` has 3 items, counted from 0",
            "inputs.list[3]",
        ),
        (
            "{{ inputs.taxi.colour }}",
            "`inputs.taxi.colour` is not defined; `inputs.taxi` is a text",
            "inputs.taxi.colour",
        ),
        ("{{ inputs.none.x }}", "`inputs.none.x` is not defined; `inputs.none` is nothing", "inputs.none.x"),
        (
            "{{ upper(inputs.missing | upper) }}",
            "`upper(inputs.missing | upper)`: there is no function `upper`, but a filter: write `value | upper`",
            "upper(inputs.missing | upper)",
        ),
        ("{{ labels.team | upper ~ labels.cost }}", "`labels.cost` is not defined; `labels` has `team`", "labels.cost"),
    ]);
}

#[test]
fn what_cannot_be_done() {
    assert_errors(&[
        ("{{ 1 / 0 }}", "`1 / 0`: cannot divide by zero", "1 / 0"),
        ("{{ 1.5 / 0 }}", "`1.5 / 0`: the result is not a number", "1.5 / 0"),
        (
            "{{ 'a' * 2 }}",
            "`'a' * 2`: cannot calculate with a text and a number; `| number` reads a number from a text",
            "'a' * 2",
        ),
        (
            "{{ '3' > 2 }}",
            "`'3' > 2`: a text cannot be compared with a number; `| number` reads a number from a text",
            "'3' > 2",
        ),
        (
            "{{ 9223372036854775807 + 1 }}",
            "`9223372036854775807 + 1`: the result is too large",
            "9223372036854775807 + 1",
        ),
        (
            "{{ -'a' }}",
            "`-'a'`: cannot calculate with a number and a text; `| number` reads a number from a text",
            "-'a'",
        ),
        ("{{ 'x' is even }}", "`even`: only a whole number is even or odd, not a text", "even"),
        ("{% for x in 'text' %}{% endfor %}", "`'text'`: a loop needs a list or a map, not a text", "'text'"),
        (
            "{{ 'tomorrow' | date('yyyy') }}",
            "`date('yyyy')`: `tomorrow` is not a date such as 2024-01-31 or 2024-01-31T10:00:00Z; give the format of other dates in `existingFormat`",
            "date('yyyy')",
        ),
        (
            "{{ '1 May' | date('yyyy', 'd MM') }}",
            "`date('yyyy', 'd MM')`: `1 May` is not a date in the format `d MM`",
            "date('yyyy', 'd MM')",
        ),
        (
            "{{ now() | date('yyyy-MM-ddTHH') }}",
            "`date('yyyy-MM-ddTHH')`: the pattern `yyyy-MM-ddTHH` has the unknown letter `T`; put literal text in '…'",
            "date('yyyy-MM-ddTHH')",
        ),
        (
            "{{ now(timeZone='Mars') }}",
            "`now(timeZone='Mars')`: there is no time zone `Mars`; write one such as `Europe/Paris` or `+02:00`",
            "now(timeZone='Mars')",
        ),
        (
            "{{ now() | dateAdd(1, 'MOONS') }}",
            "`dateAdd(1, 'MOONS')`: there is no unit `MOONS`; there is `YEARS`, `MONTHS`, `WEEKS`, `DAYS`, `HOURS`, `MINUTES`, `SECONDS`, `MILLIS`",
            "dateAdd(1, 'MOONS')",
        ),
        ("{{ secret('GONE') }}", "`secret('GONE')`: there is no secret `GONE`", "secret('GONE')"),
        (
            "{{ kv('gone') }}",
            "`kv('gone')`: there is no key `gone` in the store; `errorOnMissing=false` gives null instead",
            "kv('gone')",
        ),
        ("{{ 'abc' | number }}", "`number`: `abc` is not a number", "number"),
        ("{{ [1] | upper }}", "`upper`: it needs a text, not a list", "upper"),
        ("{{ 'a' | sort }}", "`sort`: it needs a list, not a text", "sort"),
        (
            "{{ [1, 'a'] | sort }}",
            "`sort`: a number cannot be compared with a text; `| number` reads a number from a text",
            "sort",
        ),
        ("{{ 'abc' | slice(2, 9) }}", "`slice(2, 9)`: from 2 to 9 is out of range: there are 3 items", "slice(2, 9)"),
        (
            "{{ '!' | base64decode }}",
            "`base64decode`: this is not base64: Invalid symbol 33, offset 0.",
            "base64decode",
        ),
        (
            "{{ 'a(' | split('(') | first }}{{ 'a' | split('(?=a)') }}",
            "`split('(')`: `(` cannot be used as a regular expression: unclosed group",
            "split('(')",
        ),
        (
            "{{ fromJson('{') }}",
            "`fromJson('{')`: this is not JSON: it ends before it is complete (line 1, column 1)",
            "fromJson('{')",
        ),
        ("{{ 1 | jq('.[') }}", "`jq('.[')`: `.[` is not a jq program", "jq('.[')"),
        ("{{ 1 | jq('.a') }}", "`jq('.a')`: cannot index 1 with \"a\"", "jq('.a')"),
        (
            "{{ 1 | jq('frobnicate') }}",
            "`jq('frobnicate')`: the jq program uses `frobnicate`, which is not supported",
            "jq('frobnicate')",
        ),
        (
            "{{ 1 | jq('gsub(\"a\"; \"b\")') }}",
            "`jq('gsub(\"a\"; \"b\")')`: the jq program uses `gsub`, which is not supported",
            "jq('gsub(\"a\"; \"b\")')",
        ),
        (
            "{{ render(vars.loop) }}",
            "`render(vars.loop)`: the text still contains a template after 64 rounds; does it refer to itself?",
            "render(vars.loop)",
        ),
    ]);
}

#[test]
fn malformed_templates() {
    let malformed = |message: &str| format!("this template is malformed: {message}");
    let rows: Vec<(&str, String, &str)> = [
        ("{{ inputs.taxi", "the end `}}` is missing", "{{ inputs.taxi"),
        ("{{ inputs. }}", "expected a name after the dot, found `}}`", "}}"),
        ("{{ }}", "expected a value, found `}}`", "}}"),
        ("{{ 'a }}", "the string has no closing '", "'a }}"),
        ("{{ (1 + 2 }}", "`}` has no matching opening bracket", "}}"),
        ("{{ 1 2 }}", "expected `}}` or an operator, found `2`", "2 }}"),
        ("{{ a ? b }}", "expected `:`, found `}}`", "}}"),
        ("{{ [1, }}", "`}` has no matching opening bracket", "}}"),
        ("{{ a | }}", "expected the name of a filter, found `}}`", "}}"),
        ("{{ a & b }}", "`&` is not valid here; write `and`", "& b }}"),
        ("{{ !a }}", "`!` is not valid here; write `not`", "!a }}"),
        ("{{ a || b }}", "expected the name of a filter, found `|`; write `or` for `||`", "| b }}"),
        ("{{ a = b }}", "expected `}}` or an operator, found `=`; write `==` to compare", "= b }}"),
        ("{{ a === b }}", "expected a value, found `=`; write `==` to compare", "= b }}"),
        ("{{ inputs.taxi.toUpperCase() }}", "values have no methods; is there a filter, `| toUpperCase`?", "() }}"),
        ("{% if %}", "expected a value, found `%}`", "%}"),
        ("{% if true %}a", "the tag `if` has no `{% endif %}`", "{% if true %}a"),
        ("{% for x of y %}{% endfor %}", "expected `in`, found `of`", "of y %}{% endfor %}"),
        ("{% elseif true %}", "no open tag matches `elseif`", "{% elseif true %}"),
        ("{% endif %}", "no open tag matches `endif`", "{% endif %}"),
        ("{% sett x = 1 %}", "there is no tag `sett`; did you mean `set`?", "{% sett x = 1 %}"),
        (
            "{% extends 'x' %}",
            "there is no tag `extends`; there is `set`, `if`, `for`, `filter`, `macro`, `raw`, `verbatim`",
            "{% extends 'x' %}",
        ),
        ("{% raw %}x{{ 1 }}", "there is no `{% endraw %}`", "{% raw %}x{{ 1 }}"),
        (
            "{{ 1 }}{# note",
            "the comment has no end; write `#}`, or `{{ '{#' }}` for these two characters themselves",
            "{# note",
        ),
        ("{{ 99999999999999999999999999 }} {{ 1", "the end `}}` is missing", "{{ 1"),
    ]
    .map(|(template, message, culprit)| (template, malformed(message), culprit))
    .to_vec();
    let rows: Vec<(&str, &str, &str)> =
        rows.iter().map(|(template, message, culprit)| (*template, message.as_str(), *culprit)).collect();
    assert_errors(&rows);
    for (template, ..) in rows {
        assert!(references(template).is_err() && check(template).is_err(), "{template}");
    }
}

#[test]
fn wrong_calls_are_found_before_anything_runs() {
    let found = |template: &str| -> Vec<String> {
        check(template).err().unwrap_or_default().into_iter().map(|error| error.message).collect()
    };
    for (template, expected) in [
        ("{{ a | uper }}", "there is no filter `uper`; did you mean `upper`?"),
        ("{{ a | xyzzy }}", "there is no filter `xyzzy`"),
        ("{{ randomint(1, 2) }}", "there is no function `randomint`; did you mean `randomInt`?"),
        ("{{ a is defind }}", "there is no test `defind`; did you mean `defined`?"),
        ("{{ a is empty(1) }}", "the test `empty` takes no arguments"),
        ("{{ a | upper(1) }}", "the filter `upper`: takes no arguments, not 1"),
        ("{{ a | split }}", "the filter `split`: the argument `delimiter` is missing"),
        (
            "{{ a | date('x', 'y', 'z', 'en', 1) }}",
            "the filter `date`: takes at most 4 arguments (`format`, `existingFormat`, `timeZone`, `locale`), not 5",
        ),
        (
            "{{ a | date(timezone='UTC') }}",
            "the filter `date`: there is no argument `timezone`; did you mean `timeZone`?",
        ),
        ("{{ a | date('x', format='y') }}", "the filter `date`: the argument `format` is specified twice"),
        ("{{ secret() }}", "the function `secret`: the argument `key` is missing"),
        ("{{ max() }}", "the function `max`: the argument `…` is missing"),
        ("{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "the macro `m` takes at most 1 arguments"),
        ("{% filter uper %}{% endfilter %}", "there is no filter `uper`; did you mean `upper`?"),
        ("{% if (x ? [y | uper] : 1) %}{% endif %}", "there is no filter `uper`; did you mean `upper`?"),
    ] {
        assert_eq!(found(template), [expected], "{template}");
    }
    assert_eq!(found("{{ a | uper }} {{ b | lowr }}").len(), 2);
}

#[test]
fn needed_names_are_known_and_optional_ones_left_out() {
    for (template, expected) in [
        ("{{ outputs.a.uri }} {{ inputs.x }}", vec!["inputs.x", "outputs.a.uri"]),
        ("{{ outputs['my-task']['value'] }}", vec!["outputs.my-task.value"]),
        ("{{ outputs.a.files[inputs.x ~ '.csv'].size }}", vec!["inputs.x", "outputs.a.files"]),
        ("{{ inputs.list[0] }}", vec!["inputs.list.0"]),
        ("{{ inputs.x ?? inputs.y }}", vec!["inputs.y"]),
        ("{{ inputs.x ~ inputs.y ?? 1 }}", vec!["inputs.x"]),
        ("{{ inputs.x | default(inputs.y) }}", vec!["inputs.y"]),
        ("{{ inputs.x is defined }}", vec![]),
        ("{% if inputs.x is defined %}{{ inputs.x.y }}{% endif %}{{ inputs.xy }}", vec!["inputs.xy"]),
        ("{{ inputs.x is defined ? inputs.x : inputs.y }}", vec!["inputs.y"]),
        ("{% set a = inputs.x %}{{ a.b }}", vec!["inputs.x"]),
        (
            "{% for row in outputs.a.rows %}{{ row.n }}{{ loop.index }}{{ vars.z }}{% endfor %}",
            vec!["outputs.a.rows", "vars.z"],
        ),
        ("{% macro m(p) %}{{ p }}{{ vars.z }}{% endmacro %}{{ m(inputs.x) }}", vec!["inputs.x", "vars.z"]),
        (
            "{{ secret(inputs.key) }} {{ {'a': [inputs.z]} }} {{ -inputs.n }}",
            vec!["inputs.key", "inputs.n", "inputs.z"],
        ),
        ("{{ fromJson(outputs.a.body).name }}", vec!["outputs.a.body"]),
        ("{% raw %}{{ inputs.x }}{% endraw %}{# {{ inputs.y }} #}", vec![]),
        ("plain", vec![]),
    ] {
        assert_eq!(references(template).unwrap(), expected, "{template}");
    }
}

#[test]
fn optional_names_are_mentioned_all_the_same() {
    for (template, expected) in [
        ("{{ outputs.a.uri ?? inputs.x }}", vec!["inputs.x", "outputs.a.uri"]),
        ("{{ outputs.a is defined ? outputs.b.c : 1 }}", vec!["outputs.a", "outputs.b.c"]),
        ("{{ render(vars.file) }}", vec!["*", "vars.file"]),
        ("{% set x = 1 %}{{ x }}", vec![]),
    ] {
        assert_eq!(mentions(template).unwrap(), expected, "{template}");
    }
}

#[test]
fn nothing_of_the_world_is_possible_nowhere() {
    for call in [
        "now()",
        "uuid()",
        "id()",
        "randomInt(1, 2)",
        "secret('x')",
        "kv('x')",
        "read('x')",
        "fileSize('x')",
        "fileExists('x')",
        "fileEmpty('x')",
        "fileURI('x')",
        "errorLogs()",
        "tasksWithState('x')",
    ] {
        let error = render(&json!(format!("{{{{ {call} }}}}")), &names(), &NoHost).unwrap_err();
        assert_eq!(error.message, format!("`{call}`: this is not available here"));
        assert_eq!(error.culprit, call);
    }
}
