//! What each role may do, over the API and on pages.

use serde_json::Value;

use crate::rest::world::{Place, Server};

const FLOW: &str = "id: hello\nnamespace: shop\ntasks: [{id: say, type: log, message: hello}]\n";
const ROLES: [&str; 4] = ["viewer", "operator", "editor", "admin"];

fn place() -> Place {
    let place = Place::new();
    place.write("flows/hello.yaml", FLOW);
    let user = |role: &&str| format!("  - {{name: {role}, password: hunter22hunter22, role: {role}}}\n");
    let users: String = ROLES.iter().map(user).collect();
    place.write(
        "jitney.yaml",
        format!("users:\n{users}tokens:\n  - a token of an admin\n  - {{token: a token to read, name: grafana, role: viewer}}\n"),
    );
    place
}

/// The code of a request with the login of a role.
fn code(server: &Server, role: &str, request: &str, more: &[&str]) -> String {
    let (method, address) = request.split_once(' ').unwrap();
    let login = format!("{role}:hunter22hunter22");
    server.code(&[&[address, "-X", method, "-u", &login], more].concat())
}

#[test]
fn each_role_may_do_what_those_below_it_may_and_more() {
    let place = place();
    let server = place.server();
    // The least role, and a request that needs it. What is let through fails for a reason of its own, and changes nothing.
    let requests = [
        ("viewer", "GET /"),
        ("viewer", "GET /executions"),
        ("viewer", "GET /api/v1/flows/search"),
        ("viewer", "GET /api/v1/main/executions/search"),
        ("viewer", "POST /api/v1/flows/validate"),
        ("viewer", "GET /metrics"),
        ("viewer", "GET /nothing"),
        ("operator", "POST /executions/none/restart"),
        ("operator", "POST /backfills/none/pause"),
        ("operator", "POST /flows/shop/none/run"),
        ("operator", "POST /api/v1/executions/shop/none"),
        ("operator", "POST /api/v1/main/executions/none/replay"),
        ("operator", "DELETE /api/v1/executions/none/kill"),
        ("operator", "PUT /api/v1/triggers"),
        ("editor", "DELETE /api/v1/flows/shop/none"),
        ("editor", "PUT /api/v1/flows/shop/none"),
        ("editor", "DELETE /api/v1/namespaces/shop/kv/none"),
        ("admin", "GET /settings"),
        ("admin", "GET /secrets.json"),
        ("admin", "DELETE /api/v1/executions/none"),
        ("admin", "POST /executions/none/delete"),
        ("admin", "POST /executions/none/%64elete"),
        ("admin", "POST /api/v1/executions/delete/by-query"),
        ("admin", "POST /api/v1/main/executions/%64%65lete/by-query"),
    ];
    for (least, request) in requests {
        let needed = ROLES.iter().position(|role| *role == least).unwrap();
        for (place, role) in ROLES.iter().enumerate() {
            let code = code(&server, role, request, &[]);
            assert_eq!(code == "403", place < needed, "{role}: {request}: {code}");
        }
    }
}

#[test]
fn a_refusal_names_the_role_and_tokens_have_roles_too() {
    let place = place();
    let server = place.server();
    let refused = server.json(&["/api/v1/flows", "-u", "operator:hunter22hunter22", "--data-binary", FLOW]);
    assert_eq!(refused["message"], "this needs the role editor, and `operator` has the role operator");
    let with = |token: &str| format!("Authorization: Bearer {token}");
    let refused = server.json(&["/api/v1/flows", "-H", &with("a token to read"), "--data-binary", FLOW]);
    assert_eq!(refused["message"], "this needs the role editor, and `grafana` has the role viewer");
    let taken = server.json(&["/api/v1/flows/search", "-H", &with("a token to read")]);
    assert!(taken["results"].is_array() || taken != Value::Null, "{taken}");
    let all = ["/api/v1/executions/none", "-X", "DELETE", "-H", &with("a token of an admin")];
    assert_eq!(server.code(&all), "404");
}

#[test]
fn a_role_that_does_not_exist_is_refused_with_its_place() {
    let place = Place::new();
    let refused = |settings: &str, words: &[&str]| {
        place.write("jitney.yaml", settings);
        let output = place.jitney(&["server", "--listen", "127.0.0.1:0"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(words.iter().all(|word| said.contains(word)) && !said.contains("hunter22"), "{said}");
    };
    refused(
        "users:\n  - name: ada\n    password: hunter22hunter22\n    role: operater\n",
        &["jitney.yaml:4:", "operator"],
    );
    refused("tokens:\n  - {token: hunter22hunter22, role: boss}\n", &["jitney.yaml:2:", "boss"]);
    refused("tokens:\n  - {token: short, role: viewer}\n", &["jitney.yaml:2:", "fewer than 12 characters"]);
    refused("tokens:\n  - {tokn: x}\n", &["jitney.yaml:2:", "did you mean `token`?"]);
}

#[test]
fn pages_show_what_is_forbidden_as_disabled_with_the_reason() {
    let place = place();
    let server = place.server();
    let form = |role: &str| server.curl(&["/flows/shop/hello/run", "-u", &format!("{role}:hunter22hunter22")]);
    let button = "<button class=\"primary\" disabled title=\"this needs the role operator, and &#96;viewer&#96; has the role viewer\">Run";
    let shown = form("viewer").replace('`', "&#96;");
    assert!(shown.contains(button), "{shown}");
    assert!(form("operator").contains("<button class=\"primary\">Run"));
}
