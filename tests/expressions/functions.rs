//! Functions, those of the world around among them.

use super::{assert_table, rendered};

#[test]
fn pure_functions() {
    assert_table(&[
        ("{{ max(1, 3, 2.5) }}", "3"),
        ("{{ min(inputs.year, 5) }}", "5"),
        ("{{ max('a', 'b') }}", r#""b""#),
        ("{{ range(1, 3) }}", "[1, 2, 3]"),
        ("{{ range(0, 10, 5) }}", "[0, 5, 10]"),
        ("{{ range(start=3, end=1, increment=-1) }}", "[3, 2, 1]"),
        ("{{ printContext().flow.id }}", r#""taxi""#),
        ("{{ fromJson('[1, 2]')[1] + json(inputs.list)[0] + yaml('a: 4').a + yaml({'a': 5}).a }}", "14"),
        ("{{ fromJson(null) }}", "null"),
        ("{{ currentEachOutput(outputs.each).value }}", r#""from a x""#),
    ]);
}

#[test]
fn templates_in_variables_are_rendered_on_demand() {
    assert_table(&[
        ("{{ vars.file }}", r#""{{ inputs.taxi }}_tripdata_{{ inputs.year }}.csv""#),
        ("{{ render(vars.file) }}", r#""green_tripdata_2019.csv""#),
        ("{{ render(vars.twice) }}", r#""green_tripdata_2019.csv.gz""#),
        ("{{ renderOnce(vars.twice) }}", r#""{{ inputs.taxi }}_tripdata_{{ inputs.year }}.csv.gz""#),
        ("{{ render(vars.twice, recursive=false) }}", r#""{{ inputs.taxi }}_tripdata_{{ inputs.year }}.csv.gz""#),
        ("{{ render(vars.plain) }}", r#""as it is""#),
        ("{{ render('{{ inputs.year }}') + 1 }}", "2020"),
        ("{{ render({'a': ['{{ inputs.taxi }}']}) }}", r#"{"a": ["green"]}"#),
        ("{{ render('{{ inputs.missing ?? \"x\" }}') }}", r#""x""#),
    ]);
}

#[test]
fn the_world_around() {
    assert_table(&[
        ("{{ now() }}", r#""2024-03-10T14:05:06.789000Z""#),
        ("{{ now(format='yyyy-MM-dd') }}", r#""2024-03-10""#),
        ("{{ now(timeZone='Asia/Tokyo', format='HH:mm') }}", r#""23:05""#),
        ("{{ now() | date('EEEE') }}", r#""Sunday""#),
        ("{{ now() | dateAdd(-1, 'MONTHS') | date('yyyy-MM') }}", r#""2024-02""#),
        ("{{ secret('API_KEY') }}", r#""s3cret""#),
        ("{{ secret(key='API_KEY') | length }}", "6"),
        ("{{ kv('city').name }}", r#""New York""#),
        ("{{ kv('city', 'other').namespace }}", r#""other""#),
        ("{{ kv('gone', errorOnMissing=false) }}", "null"),
        ("{{ kv('gone', errorOnMissing=false) ?? 'x' }}", r#""x""#),
        ("{{ read('a.json') | jq('.a[1]') | first }}", "2"),
        ("{{ fileSize('a.json') }}", "13"),
        ("{{ fileExists('a.json') }}", "true"),
        ("{{ fileExists('b.json') }}", "false"),
        ("{{ fileEmpty('a.json') }}", "false"),
        ("{{ fileURI('query.sql') }}", r#""jitney:///files/query.sql""#),
        ("{{ (errorLogs() | first).message }}", r#""no such month""#),
        ("{{ tasksWithState('FAILED')[0].state }}", r#""FAILED""#),
        ("{{ randomInt(5, 7) }}", "5"),
        ("{{ randomInt(lower=-1, upper=-1) }}", "-1"),
    ]);
}

#[test]
fn ids_have_their_usual_form() {
    let uuid = rendered("{{ uuid() }}");
    assert_eq!(uuid, "00000000-0000-4000-8000-000000000001");
    let id = rendered("{{ id() }}");
    assert_eq!(id.as_str().unwrap().len(), 22);
    assert_ne!(
        rendered("{{ id() ~ id() }}").as_str().unwrap()[..22],
        rendered("{{ id() ~ id() }}").as_str().unwrap()[22..]
    );
}
