//! Tags, comments and white space.

use super::assert_table;

#[test]
fn conditions() {
    assert_table(&[
        ("{% if inputs.year == 2019 %}old{% endif %}", r#""old""#),
        ("{% if inputs.flag %}a{% elseif inputs.year > 2000 %}b{% else %}c{% endif %}", r#""b""#),
        ("{% if inputs.flag %}a{% elseif false %}b{% else %}c{% endif %}", r#""c""#),
        ("{% if inputs.flag %}a{% endif %}", r#""""#),
        ("{% if inputs.missing is defined %}{{ inputs.missing }}{% else %}none{% endif %}", r#""none""#),
        ("{% if true %}{% if false %}a{% else %}b{% endif %}{% endif %}", r#""b""#),
    ]);
}

#[test]
fn loops() {
    assert_table(&[
        ("{% for n in inputs.list %}{{ n }},{% endfor %}", r#""3,1,2,""#),
        ("{% for n in inputs.list %}{{ loop.index }}/{{ loop.length }} {% endfor %}", r#""0/3 1/3 2/3 ""#),
        (
            "{% for n in inputs.list %}{% if loop.first %}[{% endif %}{{ n }}{% if loop.last %}]{% else %},{% endif %}{% endfor %}",
            r#""[3,1,2]""#,
        ),
        ("{% for n in inputs.list %}{{ loop.revindex }}{% endfor %}", r#""210""#),
        ("{% for n in [] %}x{% else %}none{% endfor %}", r#""none""#),
        ("{% for n in null %}x{% else %}none{% endfor %}", r#""none""#),
        ("{% for entry in {'a': 1, 'b': 2} %}{{ entry.key }}={{ entry.value }} {% endfor %}", r#""a=1 b=2 ""#),
        (
            "{% for a in 1..2 %}{% for b in 1..2 %}{{ a }}{{ b }}{{ loop.index }} {% endfor %}{{ loop.index }};{% endfor %}",
            r#""110 121 0;210 221 1;""#,
        ),
        ("{% for row in outputs.extract.rows %}{{ row.n }}{% endfor %}", r#""12""#),
    ]);
}

#[test]
fn bindings() {
    assert_table(&[
        ("{% set x = 1 %}{{ x }}", r#""1""#),
        ("{% set x = 1 %}{% set x = x + 1 %}{{ x }}", r#""2""#),
        ("{% set sum = 0 %}{% for n in inputs.list %}{% set sum = sum + n %}{% endfor %}{{ sum }}", r#""6""#),
        ("{% for n in [1] %}{% set inner = n %}{% endfor %}{{ inner ?? 'gone' }}", r#""gone""#),
        ("{% set inputs = {'taxi': 'mine'} %}{{ inputs.taxi }}", r#""mine""#),
        ("{% for inputs in [1] %}{{ inputs }}{% endfor %}{{ inputs.taxi }}", r#""1green""#),
    ]);
}

#[test]
fn filters_macros_and_raw_text() {
    assert_table(&[
        ("{% filter upper %}a{{ inputs.taxi }}{% endfilter %}", r#""AGREEN""#),
        ("{% filter replace({'a': 'b'}) | upper %}aa{% endfilter %}", r#""BB""#),
        (
            "{% macro greet(name, word='hello') %}{{ word }} {{ name }}{% endmacro %}{{ greet('you') }}",
            r#""hello you""#,
        ),
        (
            "{{ greet(word='bye', name='you') }}{% macro greet(name, word='hello') %}{{ word }} {{ name }}{% endmacro greet %}",
            r#""bye you""#,
        ),
        ("{% macro taxi() %}{{ inputs.taxi }}{% endmacro %}{{ taxi() | upper }}", r#""GREEN""#),
        (
            "{% macro down(n) %}{{ n }}{% if n > 0 %}{{ down(n - 1) }}{% endif %}{% endmacro %}{{ down(3) }}",
            r#""3210""#,
        ),
        ("{% raw %}{{ inputs.taxi }} {% if %}{% endraw %}", r#""{{ inputs.taxi }} {% if %}""#),
        ("{% verbatim %}{{ x }}{% endverbatim %}", r#""{{ x }}""#),
        ("{{ 1 }}{% raw %}{# kept #}{% endraw %}", r#""1{# kept #}""#),
    ]);
}

#[test]
fn comments_and_white_space() {
    assert_table(&[
        ("a {# note {{ x }} #}b{{ 1 }}", r#""a b1""#),
        ("a  {{- 1 -}}  b", r#""a1b""#),
        ("a {%- if true -%} b {%- endif -%} c", r#""abc""#),
        ("a {#- note -#} b{{ 1 }}", r#""ab1""#),
        ("{{ 1 }}\n{{ 2 }}\n", r#""1\n2\n""#),
        ("{% if true %}\na\n{% endif %}\nb", r#""\na\n\nb""#),
        ("{%raw-%}  a  {%-endraw%}{{ 1 }}", r#""a1""#),
        ("{{\n  inputs.taxi\n  | upper\n}}", r#""GREEN""#),
        ("echo ${HOME} $(date) {a,b} 100% {{ 1 }}", r#""echo ${HOME} $(date) {a,b} 100% 1""#),
    ]);
}
