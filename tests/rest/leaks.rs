//! Two hundred secrets of many shapes, used wherever a flow can use one: not a byte of them leaves the program or stays in
//! its home, in whatever form.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{any, post};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::Value;

use crate::rest::postgres;
use crate::rest::world::{Place, until};

/// What a secret is made of around the grains that nothing else holds, `1` to `3`.
const SHAPES: [&str; 20] = [
    "1",
    "111",
    "1112223331112223331112223331112223331112223331112223331112223331112223331112223331112223331112223331112223333",
    "pä§s-1-日本-2",
    "1\"2'3`\\",
    "1-one\n2-two\n\n3-three",
    "^(1[a-z]+|2)*$\\d{3}.?",
    r#"{"host": "db.internal", "login": {"apikey": "1", "list": ["2"]}, "password": "3"}"#,
    "postgres://admin:1@db.internal/prod?options=2",
    "postgres://admin:1/x'y@db.internal/prod",
    "-----BEGIN PRIVATE KEY-----\n111222\n333111\n-----END PRIVATE KEY-----\n",
    "begins-alike-1",
    "begins-alike-1-and-goes-on-2",
    "password=1;apikey=2",
    "https://hooks.example/T/1?sig=2",
    "1\\n2\\\\3\\u0041",
    "1%2F2%41+3",
    "{{ 1 }} {% 2 %} ${3}",
    "<1>&amp;2&#39;3",
    "Bearer 1 ***2***",
];
const SECRETS: usize = 200;

struct Hidden {
    name: String,
    value: String,
    grains: Vec<String>,
}

/// The secrets; those of the 12th and 13th shape begin with each other.
fn secrets() -> Vec<Hidden> {
    let grain = |secret: usize, number: usize| {
        let alike = if secret % SHAPES.len() == 12 { secret - 1 } else { secret };
        let seed = ((alike * 7 + number) as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("z{seed:012x}").chars().take(9).collect::<String>()
    };
    let secret = |index: usize| {
        let grains: Vec<String> = (1..=3).map(|number| grain(index, number)).collect();
        // In one step, so that the digits of a grain are not taken for others.
        let letters = SHAPES[index % SHAPES.len()].chars();
        let value = letters.map(|letter| match letter {
            '1'..='3' if !SHAPES[index % SHAPES.len()].contains(&format!("&#{letter}")) => {
                grains[letter as usize - '1' as usize].clone()
            }
            other => other.to_string(),
        });
        Hidden { name: format!("S{index:03}"), value: value.collect(), grains }
    };
    (0..SECRETS).map(secret).collect()
}

/// How many bytes of secrets are in a text, in any form.
#[expect(clippy::print_stderr, reason = "says where it was")]
fn leaked(place: &str, bytes: &[u8], secrets: &[Hidden]) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let dense: String = text.split_whitespace().collect();
    let small = dense.to_ascii_lowercase();
    let mut sum = 0;
    for grain in secrets.iter().flat_map(|secret| &secret.grains) {
        let hex: String = grain.bytes().map(|byte| format!("{byte:02x}")).collect();
        let coded = |text: &str| {
            let at = |offset: usize| {
                let padded = STANDARD_NO_PAD.encode([&b"\0\0"[..offset], text.as_bytes()].concat());
                padded[(offset * 8_usize).div_ceil(6)..(offset + text.len()) * 8 / 6].to_owned()
            };
            [at(0), at(1), at(2)]
        };
        let twice = coded(grain).into_iter().flat_map(|once| coded(&once));
        let found = |form: &str, text: &str| text.match_indices(form).map(|(at, _)| at).collect::<Vec<_>>();
        let plain = [grain.clone(), hex].map(|form| (found(&form, &small), form));
        let exact = coded(grain).into_iter().chain(twice).map(|form| (found(&form, &dense), form));
        for (places, form) in plain.into_iter().chain(exact) {
            for at in places {
                let around: String =
                    dense.chars().skip(dense[..at].chars().count().saturating_sub(60)).take(160).collect();
                eprintln!("{place}: {form} in {around}");
                sum += form.len();
            }
        }
    }
    sum
}

/// A flow that uses every secret in every way.
fn flow(secrets: &[Hidden], web: &str, database: &str) -> String {
    let mut tasks = String::new();
    let of = |names: &[Hidden], filter: &str| -> String {
        names.iter().map(|secret| format!("{{{{ secret('{}'){filter} }}}} ", secret.name)).collect()
    };
    for (index, ten) in secrets.chunks(10).enumerate() {
        for (kind, filter) in [
            "",
            " | base64encode",
            " | base64encode | base64encode",
            " | urlencode",
            " | upper",
            " | title",
            " | json",
            " | json | json",
        ]
        .iter()
        .enumerate()
        {
            let text = of(ten, filter);
            writeln!(tasks, "  - {{id: log{index}_{kind}, type: log, message: \"{text}\"}}").unwrap();
            writeln!(tasks, "  - {{id: give{index}_{kind}, type: return, format: \"{text}\"}}").unwrap();
        }
        let labels: Vec<String> = ten.iter().map(|one| format!("l{}: \"{{{{ secret('{0}') }}}}\"", one.name)).collect();
        writeln!(tasks, "  - {{id: label{index}, type: labels, labels: {{{}}}}}", labels.join(", ")).unwrap();
    }
    for secret in secrets.iter().step_by(SHAPES.len()).skip(1).chain(&secrets[..SHAPES.len()]) {
        let (name, id) = (&secret.name, secret.name.to_lowercase());
        let value = format!("{{{{ secret('{name}') }}}}");
        let coded = format!("{{{{ secret('{name}') | urlencode }}}}");
        write!(
            tasks,
            "  - {{id: ask_{id}, type: http.request, uri: \"{web}/echo?t={coded}\", allowFailure: true,
                   options: {{auth: {{type: BASIC, username: ada, password: \"{value}\"}}}}}}
  - {{id: answer_{id}, type: http.request, uri: \"{web}/echo\", method: POST, body: \"{value}\", options: {{allowFailed: true}}}}
  - {{id: get_{id}, type: http.download, uri: \"http://127.0.0.1:1/{coded}?t={coded}\", attempts: 1, allowFailure: true}}
  - {{id: login_{id}, type: postgres.query, sql: SELECT 1, url: \"postgres://u:{coded}@127.0.0.1:1/d\", allowFailure: true}}
  - {{id: dsn_{id}, type: postgres.query, sql: SELECT 1, url: \"{value}\", allowFailure: true}}
  - {{id: sql_{id}, type: postgres.query, url: \"{database}\", sql: \"SELECT CAST($q${value}$q$ AS integer)\", allowFailure: true}}
  - {{id: date_{id}, type: log, message: \"{{{{ secret('{name}') | date }}}}\", allowFailure: true}}
  - {{id: path_{id}, type: http.download, uri: \"nowhere/{value}\", allowFailure: true}}
"
        )
        .unwrap();
    }
    for json in secrets.iter().skip(7).step_by(SHAPES.len()) {
        let member = format!(
            "{{{{ json(secret('{0}')).login.apikey }}}} {{{{ secret('{0}') | jq('.login.list[0]') }}}}",
            json.name
        );
        writeln!(tasks, "  - {{id: member_{}, type: return, format: \"{member}\"}}", json.name).unwrap();
        writeln!(tasks, "  - {{id: member_log_{}, type: log, message: \"{member}\"}}", json.name).unwrap();
    }
    let env: Vec<String> = secrets.iter().map(|one| format!("{0}: \"{{{{ secret('{0}') }}}}\"", one.name)).collect();
    let fail = of(secrets, "");
    format!(
        "id: leaks
namespace: n
inputs:
  - {{id: given, type: SECRET}}
tasks:
{tasks}  - {{id: given, type: return, format: \"{{{{ inputs.given }}}}\"}}
  - id: script
    type: shell.commands
    env: {{{}}}
    commands:
      - |
        i=0; while [ $i -lt {SECRETS} ]; do
          eval \"v=\\\"\\$S$(printf %03d $i)\\\"\"; i=$((i+1))
          printf '%s\\n' \"$v\"; printf %s \"$v\" | base64; printf 'user:%s' \"$v\" | base64 -w0; echo; printf 'aa%s' \"$v\" | base64 -w0 >&2; echo >&2
          printf %s \"$v\" | od -An -v -tx1 | tr -d ' \\n'; echo
        done
  - {{id: stop, type: fail, errorMessage: \"{fail}\"}}
errors:
  - {{id: why, type: log, message: \"{{{{ errorLogs() }}}}\"}}
",
        env.join(", ")
    )
}

/// A server that refuses anyone who asks and repeats all that was said, and one that is told what happened.
async fn web() -> (String, Arc<Mutex<String>>) {
    let kept = Arc::<Mutex<String>>::default();
    let keep = kept.clone();
    let echo = |uri: Uri, headers: HeaderMap, body: String| async move {
        let login = headers.get("authorization").map(|login| String::from_utf8_lossy(login.as_bytes()).into_owned());
        (StatusCode::UNAUTHORIZED, format!("no: {} {uri} {body}", login.unwrap_or_default()))
    };
    let take =
        move |body: axum::Json<Value>| async move { keep.lock().unwrap().push_str(body.0["text"].as_str().unwrap()) };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/echo", any(echo)).route("/told", post(take));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, kept)
}

/// Every byte of the home except for the files that tasks hand to each other, which are data.
fn home(place: &Place) -> Vec<u8> {
    let entries = place.path("home").read_dir().unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).flat_map(|path| std::fs::read(path).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn none_of_two_hundred_secrets_is_displayed_or_stored() {
    let secrets = secrets();
    let given = secrets.iter().map(|one| (format!("SECRET_{}", one.name), STANDARD.encode(&one.value)));
    // Servers that are not there need not be waited for.
    let variables = given.chain([("JITNEY_RETRY_TIMEOUT".to_owned(), "0s".to_owned())]).collect();
    let place = Place { variables, ..Place::new() };
    let (web, reported) = web().await;
    let database = postgres::database("leaks").await;
    let given = format!("given={}-as-input", secrets[0].grains[1]);
    place.write("flows/leaks.yaml", flow(&secrets, &web, &database));
    place.write("jitney.yaml", format!("notifications:\n  - {{on: [failure], repeat: 0s, webhook: \"{web}/told\"}}\n"));
    let mut sum = 0;
    for log in ["plain", "json"] {
        let server = place.server_with(&["--log", log]);
        let ran = server.json(&["/api/v1/executions/n/leaks?wait=true", "-F", &given]);
        assert_eq!(ran["state"]["current"], "FAILED", "{ran} {:?}", server.said);
        let id = ran["id"].as_str().unwrap();
        let states = ran["taskRunList"].as_array().unwrap().iter().filter(|run| run["state"]["current"] == "SUCCESS");
        assert!(states.count() > 290, "the flow did not come to its end: {ran}");
        until("it is told", async || !reported.lock().unwrap().is_empty()).await;
        sum += leaked("notification", std::mem::take(&mut *reported.lock().unwrap()).as_bytes(), &secrets);
        for address in [
            "/api/v1/executions/search".to_owned(),
            format!("/api/v1/executions/{id}"),
            format!("/api/v1/executions/{id}/follow"),
            format!("/api/v1/logs/{id}"),
            format!("/api/v1/logs/{id}/download"),
            "/api/v1/flows/n/leaks".to_owned(),
            "/metrics".to_owned(),
        ] {
            sum += leaked(&address, server.curl(&[&address]).as_bytes(), &secrets);
        }
        sum += leaked("home", &home(&place), &secrets);
        until("the end is in the log", async || server.said.lock().unwrap().iter().any(|line| line.contains("FAILED")))
            .await;
        sum += leaked("server's log", server.said.lock().unwrap().join("\n").as_bytes(), &secrets);
        server.stop();
    }
    let mut arguments =
        vec![vec!["run", "flows/leaks.yaml", "-i", &given], vec!["executions"], vec!["executions", "--json"]];
    arguments.push(vec!["run", "flows/leaks.yaml", "--json", "-i", &given]);
    let newest = place.jitney(&["executions", "--json"]).stdout;
    let newest: Value = serde_json::from_slice(&newest).unwrap();
    let id = newest[0]["id"].as_str().unwrap().to_owned();
    for command in ["show", "logs"] {
        arguments.push(vec!["executions", command, &id]);
        arguments.push(vec!["executions", command, &id, "--json"]);
    }
    for arguments in arguments {
        let output = place.jitney(&arguments);
        assert!(output.stdout.len() + output.stderr.len() > 100, "{arguments:?}");
        sum += leaked(&arguments.join(" "), &[output.stdout, output.stderr].concat(), &secrets);
    }
    sum += leaked("home", &home(&place), &secrets);
    assert_eq!(sum, 0, "bytes of secrets were seen");
    let password = database.split_once("://").unwrap().1.split_once(':').unwrap().1.split_once('@').unwrap().0;
    assert!(!String::from_utf8_lossy(&home(&place)).contains(password), "the literal password of an address was kept");
}

/// A secret as an answer may repeat it.
fn in_form(form: &str, secret: &str) -> String {
    let json = |text: &str| Value::from(text).to_string();
    match form {
        "base64" => STANDARD.encode(secret),
        "url" => secret.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        "hex" => secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
        "json" => json(secret),
        "twice" => json(&json(secret)),
        _ => secret.to_owned(),
    }
}

const FORMS: [&str; 6] = ["plain", "base64", "url", "hex", "json", "twice"];
/// Letters before the secret, so that what is quoted of an answer ends within it.
const BEFORE: [usize; 4] = [100, 154, 170, 190];

/// A flow whose tasks show secrets to those who repeat them and are cut off.
fn repeated(secrets: &[Hidden], web: &str) -> String {
    let mut tasks = String::new();
    for secret in secrets {
        let (name, id) = (&secret.name, secret.name.to_lowercase());
        for form in FORMS {
            for before in BEFORE {
                let uri = format!("{web}/cut/{form}/{before}");
                writeln!(
                    tasks,
                    "  - {{id: {id}_{form}_{before}, type: http.request, uri: \"{uri}\", method: POST, body: \"{{{{ secret('{name}') }}}}\", allowFailure: true}}"
                )
                .unwrap();
            }
        }
        writeln!(
            tasks,
            "  - id: said_{id}
    type: shell.commands
    allowFailure: true
    env: {{S: \"{{{{ secret('{name}') }}}}\"}}
    commands:
      - |
        echo \"$S\"; echo \"$S\" >&2
        for before in 16340 16350 16360 16370; do printf \"%${{before}}s%s\\n\" '' \"$(printf %s \"$S\" | base64 -w0)\" | tr ' ' x; done
        exit 1
  - {{id: name_{id}, type: postgres.load, from: x.csv, table: \"{{{{ secret('{name}') }}}}\", allowFailure: true}}"
        )
        .unwrap();
    }
    format!("id: cut\nnamespace: n\ntasks:\n{tasks}")
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_texts_show_no_part_of_a_secret() {
    let shapes = [
        "1-2-3",
        "1\t2\t3-tab",
        "1-esc\u{1b}[31m2\u{1b}[0m-3",
        "1-one\n2-two\n3-three",
        r#"{"login": {"apikey": "1-2-3"}}"#,
        r"1\a2-and-\n3-of-it\x41",
    ];
    let hidden = |(index, shape): (usize, &&str)| {
        let grains: Vec<String> = (1..=3).map(|number| format!("zq{number}x{index}kw7v{number}")).collect();
        let value = shape.chars().map(|letter| match letter {
            '1'..='3' if !shape.contains(&format!("[{letter}")) => grains[letter as usize - '1' as usize].clone(),
            other => other.to_string(),
        });
        Hidden { name: format!("C{index}"), value: value.collect(), grains }
    };
    let secrets: Vec<Hidden> = shapes.iter().enumerate().map(hidden).collect();
    let given = secrets.iter().map(|one| (format!("SECRET_{}", one.name), STANDARD.encode(&one.value)));
    let place = Place { variables: given.collect(), ..Place::new() };
    let echo = |axum::extract::Path((form, before)): axum::extract::Path<(String, usize)>, body: String| async move {
        (StatusCode::UNAUTHORIZED, format!("{} {}", "x".repeat(before), in_form(&form, &body)))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let web = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/cut/{form}/{before}", post(echo));
    tokio::spawn(async move { axum::serve(listener, router).await });
    place.write("flows/cut.yaml", repeated(&secrets, &web));
    place.write("flows/x.csv", "a\n1\n");
    let server = place.server();
    let ran = server.json(&["/api/v1/executions/n/cut?wait=true", "-X", "POST"]);
    let id = ran["id"].as_str().unwrap().to_owned();
    assert_eq!(ran["state"]["current"], "WARNING", "{ran}");
    let logs = server.curl(&[&format!("/api/v1/logs/{id}/download")]);
    assert!(logs.matches("the server answered 401").count() >= shapes.len() * FORMS.len() * BEFORE.len(), "{logs}");
    assert!(logs.contains("(a longer line)") && logs.contains("is not a valid table name"), "{logs}");
    let mut sum = leaked("logs", logs.as_bytes(), &secrets);
    for address in [format!("/api/v1/executions/{id}"), format!("/api/v1/logs/{id}")] {
        sum += leaked(&address, server.curl(&[&address]).as_bytes(), &secrets);
    }
    sum += leaked("server's log", server.said.lock().unwrap().join("\n").as_bytes(), &secrets);
    server.stop();
    sum += leaked("home", &home(&place), &secrets);
    assert_eq!(sum, 0, "bytes of secrets were seen");
}
