//! The login page, its sessions, and what is written down of whom.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::rest::world::{Place, Server, until};

const FLOW: &str = "id: hello\nnamespace: shop\ninputs: [{id: note, type: STRING, required: false}]\n\
                    tasks: [{id: say, type: log, message: 'hello {{ inputs.note }}'}]\n";
const OTHER: &str = "id: other\nnamespace: shop\ntasks: [{id: say, type: log, message: hello}]\n";
pub(super) const PASSWORD: &str = "correct horse battery";

pub(super) fn place() -> Place {
    let place = Place::new();
    place.write("flows/hello.yaml", FLOW);
    place
}

/// Adds a user by the command, and gives what it said.
pub(super) fn add_user(place: &Place, name: &str, role: &str, more: &[&str]) -> (Option<i32>, String) {
    let mut command = place.command(&[&["user", "add", name, "--role", role], more].concat());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that is wrong does not read it.
    let _ = child.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

/// A browser that keeps its cookies.
pub(super) struct Browser<'a> {
    server: &'a Server,
    jar: String,
}

impl<'a> Browser<'a> {
    pub(super) fn new(place: &Place, server: &'a Server, name: &str) -> Self {
        Self { server, jar: place.path(name).to_str().unwrap().to_owned() }
    }

    pub(super) fn curl(&self, arguments: &[&str]) -> String {
        let own = ["-b", &self.jar, "-c", &self.jar, "-H", "Accept: text/html,*/*"];
        self.server.curl(&[arguments, &own].concat())
    }

    /// The code of the answer, and where it leads.
    pub(super) fn visit(&self, arguments: &[&str]) -> (String, String) {
        let said = self.curl(&[arguments, &["-o", "/dev/null", "-w", "%{http_code} %{redirect_url}"]].concat());
        let (code, target) = said.split_once(' ').unwrap();
        (code.to_owned(), target.replace(&format!("http://{}", self.server.address), ""))
    }

    /// The token of the form on a page.
    pub(super) fn token(&self, address: &str) -> String {
        let html = self.curl(&[address]);
        let (_, rest) = html.split_once("name=\"csrf\" value=\"").unwrap_or_else(|| panic!("no token: {html}"));
        rest.split('"').next().unwrap().to_owned()
    }

    pub(super) fn sign_in(&self, login: &str, name: &str, password: &str) -> (String, String) {
        let token = format!("csrf={}", self.token(login));
        let next = login.split_once("next=").map(|(_, next)| format!("&next={next}")).unwrap_or_default();
        let (name, password) = (format!("name={name}"), format!("password={password}"));
        let fields =
            ["--data-urlencode", &token, "--data", &next, "--data-urlencode", &name, "--data-urlencode", &password];
        self.visit(&[&["/login"], &fields[..]].concat())
    }
}

fn to(code: &str, address: &str) -> (String, String) {
    (code.to_owned(), address.to_owned())
}

#[test]
fn a_browser_is_led_to_the_login_page_and_back() {
    let place = place();
    let (code, said) = add_user(&place, "ada@example.com", "editor", &[]);
    assert_eq!(code, Some(0), "{said}");
    let settings = std::fs::read_to_string(place.path("home/jitney.yaml")).unwrap();
    assert!(
        settings.contains("$argon2id$") && !settings.contains(PASSWORD) && !said.contains(PASSWORD),
        "{settings}{said}"
    );
    let server = place.server();
    let browser = Browser::new(&place, &server, "jar");
    assert_eq!(browser.visit(&["/"]), to("303", "/login"));
    let login = "/login?next=%2Fflows%3Fq%3Dhel";
    assert_eq!(browser.visit(&["/flows?q=hel"]), to("303", login));
    assert_eq!(server.code(&["/flows"]), "401", "a program is not led there");
    assert_eq!(
        browser.visit(&["/login", "-d", "name=ada@example.com", "-d", &format!("password={PASSWORD}")]).0,
        "403"
    );
    assert_eq!(browser.sign_in(login, "ada@example.com", "wrong").0, "401");
    assert_eq!(browser.sign_in(login, "bob", PASSWORD).0, "401");
    assert_eq!(browser.visit(&["/"]).0, "303");
    assert_eq!(browser.sign_in(login, "ada@example.com", PASSWORD), to("303", "/flows?q=hel"));
    let html = browser.curl(&["/flows"]);
    assert!(html.contains("ada@example.com") && html.contains("Sign out"), "{html}");
    assert_eq!(browser.visit(&["/login?next=//evil.example"]), to("303", "/"), "who is signed in needs no form");
    assert_eq!(browser.visit(&["/api/v1/flows/search"]).0, "200");
    let kept = std::fs::read_to_string(place.path("jar")).unwrap();
    assert!(kept.contains("#HttpOnly_127.0.0.1") && kept.contains("jitney-session-0"), "{kept}");
    // What changes something needs the token of the session, as a field of a form or as a header.
    let run = |fields: &[&str]| browser.visit(&[&["/flows/shop/hello/run"], fields].concat());
    assert_eq!(run(&["-F", "note=x"]).0, "403");
    assert_eq!(run(&["-F", "csrf=0123", "-F", "note=x"]).0, "403");
    let token = browser.token("/flows/shop/hello/run");
    let (code, execution) = run(&["-F", &format!("csrf={token}"), "-F", "note=x"]);
    assert!(code == "303" && execution.starts_with("/executions/"), "{code} {execution}");
    assert!(!browser.curl(&[&execution]).contains(&format!("csrf={token}")), "the token is no input");
    assert_eq!(run(&["-F", &format!("csrf={token}")]).0, "303", "a form without any other field");
    let replay = format!("{execution}/replay");
    assert_eq!(browser.visit(&[&replay, "-X", "POST"]).0, "403");
    assert_eq!(browser.visit(&[&replay, "-d", &format!("csrf={token}")]).0, "303");
    let api = ["/api/v1/flows", "--data-binary", OTHER];
    assert_eq!(browser.visit(&api).0, "403");
    let header = format!("X-CSRF-Token: {token}");
    assert_eq!(browser.visit(&[&api[..], &["-H", &header]].concat()).0, "200");
    let again = server.code(&[&api[..], &["-u", &format!("ada@example.com:{PASSWORD}")]].concat());
    assert_eq!(again, "409", "a program needs no token, and the flow is there");
    // The cookie is worth nothing once its owner has signed out.
    std::fs::copy(place.path("jar"), place.path("stolen")).unwrap();
    assert_eq!(browser.visit(&["/logout", "-d", &format!("csrf={token}")]), to("303", "/login"));
    assert_eq!(browser.visit(&["/"]).0, "303");
    assert_eq!(Browser::new(&place, &server, "stolen").visit(&["/"]).0, "303");
}

#[test]
fn sessions_survive_a_restart_and_end_with_the_password() {
    let place = place();
    add_user(&place, "ada", "viewer", &[]);
    let server = place.server();
    let browser = Browser::new(&place, &server, "jar");
    assert_eq!(browser.sign_in("/login", "ada", PASSWORD), to("303", "/"));
    server.stop();
    let server = place.server();
    let browser = Browser::new(&place, &server, "jar");
    assert_eq!(browser.visit(&["/"]).0, "200");
    for cookie in
        ["jitney-session-0=forged", "jitney-session-0=", "jitney-session-1=x", "jitney-session-0=a; jitney-session-0=b"]
    {
        assert_eq!(server.code(&["/", "-H", &format!("Cookie: {cookie}")]), "401", "{cookie}");
    }
    server.stop();
    // Another home does not know it, and neither does this one with another hash.
    let other = self::place();
    add_user(&other, "ada", "viewer", &[]);
    std::fs::copy(place.path("jar"), other.path("jar")).unwrap();
    let foreign = other.server();
    assert_eq!(Browser::new(&other, &foreign, "jar").visit(&["/"]).0, "303");
    std::fs::remove_file(place.path("home/jitney.yaml")).unwrap();
    add_user(&place, "ada", "viewer", &[]);
    let server = place.server();
    assert_eq!(Browser::new(&place, &server, "jar").visit(&["/"]).0, "303");
}

#[test]
fn the_first_person_is_let_in_by_the_printed_code_once() {
    let place = place();
    let mut server = place.server_on("0.0.0.0:0");
    server.address = server.address.replace("0.0.0.0", "127.0.0.1");
    let browser = Browser::new(&place, &server, "jar");
    assert_eq!(server.code(&["/api/v1/flows/search"]), "401");
    assert_eq!(browser.visit(&["/"]), to("303", "/login"));
    let link = loop {
        let said = server.log();
        if let Some((_, rest)) = said.split_once("/login?code=") {
            break rest.split_whitespace().next().unwrap().to_owned();
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let enter = |browser: &Browser, code: &str| {
        let token = format!("csrf={}", browser.token("/login"));
        browser.visit(&["/login", "--data-urlencode", &token, "--data-urlencode", &format!("code={code}")])
    };
    assert!(browser.curl(&[&format!("/login?code={link}")]).contains(&link), "the form is filled in");
    assert_eq!(enter(&browser, "wrong").0, "401");
    assert_eq!(enter(&browser, &link), to("303", "/"));
    assert_eq!(browser.visit(&["/audit"]).0, "200", "as an admin");
    assert_eq!(enter(&Browser::new(&place, &server, "second"), &link).0, "401");
    server.stop();
    add_user(&place, "ada", "admin", &[]);
    let server = place.server();
    assert_eq!(Browser::new(&place, &server, "jar").visit(&["/"]).0, "303", "users are there now");
}

#[test]
fn what_people_change_and_what_is_refused_is_in_the_audit_log() {
    let place = place();
    for role in ["viewer", "admin"] {
        add_user(&place, role, role, &[]);
    }
    let server = place.server();
    let login = |name: &str| format!("{name}:{PASSWORD}");
    let send = |name: &str, arguments: &[&str]| server.code(&[arguments, &["-u", &login(name)]].concat());
    let hostile = "/flows/shop/%3Cscript%3Ealert(1)%3C%2Fscript%3E/run";
    assert_eq!(send("admin", &["/flows/shop/hello/run", "-F", "note=a secret input"]), "303");
    assert_eq!(send("admin", &[hostile, "-F", "note=x"]), "404");
    assert_eq!(send("viewer", &["/api/v1/executions/shop/hello", "-X", "POST"]), "403");
    assert_eq!(send("admin", &["/api/v1/flows", "--data-binary", OTHER]), "200");
    assert_eq!(server.code(&["/api/v1/flows", "--data-binary", OTHER]), "401");
    assert_eq!(server.code(&["/api/v1/executions/webhook/shop/hello/a-key-of-a-webhook", "-X", "POST"]), "404");
    let browser = Browser::new(&place, &server, "jar");
    assert_eq!(browser.sign_in("/login", "viewer", "not the password").0, "401");
    assert_eq!(browser.sign_in("/login", "not a name but a password", "x").0, "401");
    assert_eq!(browser.sign_in("/login", "admin", PASSWORD).0, "303");
    let rows = |query: &str| -> Vec<(String, String, String, u64)> {
        let all = server.json(&[&format!("/api/v1/audit{query}"), "-u", &login("admin")]);
        let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
        let row = |row: &Value| {
            assert_eq!(row["address"], "127.0.0.1");
            (text(row, "user"), text(row, "action"), text(row, "target"), row["status"].as_u64().unwrap())
        };
        all.as_array().unwrap().iter().rev().map(row).collect()
    };
    let row = |user: &str, action: &str, target: &str, status| {
        (user.to_owned(), action.to_owned(), target.to_owned(), status)
    };
    let expected = [
        row("admin", "run flow", "shop.hello", 303),
        row("admin", "run flow", "shop.<script>alert(1)</script>", 404),
        row("viewer", "create execution", "shop.hello", 403),
        row("admin", "create flow", "shop.other", 200),
        row("", "create flow", "", 401),
        row("", "call webhook", "shop.hello", 404),
        row("viewer", "sign in", "", 401),
        row("", "sign in", "", 401),
        row("admin", "sign in", "", 303),
    ];
    assert_eq!(rows(""), expected);
    assert_eq!(rows("?user=viewer&result=refused").len(), 2);
    assert_eq!(rows("?q=EXECUTION"), expected[2..3]);
    assert_eq!(rows("?result=failed&user=admin"), expected[1..2]);
    assert!(rows("?since=2999-01-01").is_empty());
    for address in ["/audit", "/audit.json", "/api/v1/audit"] {
        assert_eq!(send("viewer", &[address]), "403", "{address}");
    }
    let html = browser.curl(&["/audit"]);
    assert!(html.contains("shop.&#60;script&#62;") && !html.contains("<script>"), "{html}");
    assert!(!html.contains("secret input") && !html.contains("not the password"), "{html}");
    assert!(browser.curl(&["/audit.json"]).contains("run flow"));
    let refused = send("admin", &["/api/v1/audit?result=bad"]);
    assert_eq!(refused, "422");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_logins_on_the_page_are_delayed_and_reported_too() {
    let place = place();
    add_user(&place, "ada", "viewer", &[]);
    let server = place.server();
    let browser = Browser::new(&place, &server, "jar");
    for password in ["a", "b", "c"] {
        assert_eq!(browser.sign_in("/login", "ada", password).0, "401");
    }
    let lines = || server.log().matches("wrong login or token from 127.0.0.1").count();
    until("it is reported", async || lines() > 0).await;
    assert_eq!(lines(), 1, "{}", server.log());
}

#[test]
fn a_user_is_added_once_with_a_password_that_is_long_enough() {
    let place = Place::new();
    place.write(
        "jitney.yaml",
        "# ours\nusers:\n  - {name: bob, password: \"{{ secret('PW') }}\"}\nretention: {files: 7d}\n",
    );
    let (code, said) = add_user(&place, "ada", "viewer", &["--print"]);
    assert!(code == Some(0) && said.contains("- name: \"ada\"") && said.contains("role: viewer"), "{said}");
    assert_eq!(add_user(&place, "ada", "viewer", &[]).0, Some(0));
    let text = std::fs::read_to_string(place.path("jitney.yaml")).unwrap();
    assert!(
        text.starts_with("# ours\nusers:\n  - {name: bob") && text.ends_with("role: viewer\nretention: {files: 7d}\n"),
        "{text}"
    );
    let (code, said) = add_user(&place, "ada", "viewer", &[]);
    assert!(code == Some(3) && said.contains("there is a user `ada` already"), "{said}");
    let (code, said) = add_user(&place, "a:b", "viewer", &[]);
    assert!(code == Some(3) && said.contains("has a colon in it"), "{said}");
    assert_eq!(add_user(&place, "eve", "boss", &[]).0, Some(2));
}

#[test]
fn every_page_has_the_policy_and_escapes_what_comes_from_outside() {
    let hostile = "\"><img src=x onerror=alert(1)>";
    let place = place();
    let yaml = format!(
        "id: bad\nnamespace: shop\ndescription: '{hostile}'\nlabels: {{team: '{hostile}'}}\ninputs:\n  \
         - {{id: note, type: STRING, displayName: '{hostile}', defaults: '{hostile}'}}\n  \
         - {{id: choice, type: SELECT, values: ['{hostile}', b], required: false}}\ntasks:\n  \
         - {{id: say, type: log, message: '{{{{ inputs.note }}}}'}}\n  \
         - {{id: give, type: output_values, values: {{cell: '{{{{ inputs.note }}}}'}}}}\n  \
         - {{id: stop, type: fail, errorMessage: '{{{{ inputs.note }}}}'}}\n"
    );
    place.write("flows/\"><img src=x>.yaml", yaml);
    place.write("flows/<img src=x onerror=y>.yaml", format!("id: worse\nnamespace: shop\nx: '{hostile}'\ntasks: [\n"));
    assert_eq!(add_user(&place, hostile, "admin", &[]).0, Some(0));
    let server = place.server();
    let browser = Browser::new(&place, &server, "jar");
    assert_eq!(browser.sign_in("/login", hostile, PASSWORD), to("303", "/"));
    let token = format!("csrf={}", browser.token("/flows/shop/bad/run"));
    let (code, execution) =
        browser.visit(&["/flows/shop/bad/run", "-F", &token, "--form-string", &format!("note={hostile}")]);
    assert_eq!(code, "303");
    while !browser.curl(&[&execution]).contains("failed") {
        std::thread::sleep(std::time::Duration::from_millis(30));
    }
    let quoted = "%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E";
    let searches =
        ["/executions?q=", "/flows?q=", "/audit?q=", "/audit?user=", "/login?next=", "/flows/shop/bad/backfill?from="];
    let searches = searches.map(|address| format!("{address}{quoted}"));
    let missing = [
        format!("/flows/shop/{quoted}"),
        format!("/executions/{quoted}"),
        format!("{execution}?task={quoted}&q={quoted}"),
    ];
    let pages = [
        "/",
        "/flows",
        "/flows/shop/bad",
        "/flows/shop/bad/run",
        "/flows/shop/bad/partitions",
        "/flows/shop/bad/backfill",
        "/executions",
        "/audit",
        &execution,
    ];
    let anybody = Browser::new(&place, &server, "empty");
    let login = [format!("/login?next={quoted}"), format!("/login?code={quoted}")];
    let own = pages.into_iter().chain(searches.iter().chain(&missing).map(String::as_str)).map(|page| (&browser, page));
    for (browser, address) in own.chain(login.iter().map(|page| (&anybody, page.as_str()))) {
        let said = browser.curl(&[address, "-D", "-", "-L"]);
        assert!(!said.contains("<img src=x"), "{address}: {said}");
        let (head, _) = said.rsplit_once("\r\n\r\n").unwrap();
        if head.to_lowercase().contains("content-type: text/html") {
            assert!(head.to_lowercase().contains("content-security-policy: default-src 'none'"), "{address}: {head}");
        }
    }
    let refused = browser.curl(&["/flows/shop/bad/run", "-X", "POST", "-D", "-"]);
    assert!(refused.contains("403 Forbidden") && refused.contains("default-src 'none'"), "{refused}");
}

#[test]
fn tls_is_spoken_with_the_certificate_that_the_files_hold() {
    let place = place();
    add_user(&place, "ada", "viewer", &[]);
    let certify = |name: &str| {
        let request =
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
        let mut command = Command::new("openssl");
        let made =
            command.args(request).args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]).args([
                "-keyout",
                place.path(&format!("{name}.key")).to_str().unwrap(),
                "-out",
                place.path(&format!("{name}.pem")).to_str().unwrap(),
            ]);
        assert!(made.output().unwrap().status.success());
    };
    certify("first");
    certify("second");
    let server = place.server_with(&["--tls-cert", "first.pem", "--tls-key", "first.key"]);
    let port = server.address.rsplit(':').next().unwrap().to_owned();
    let curl = |certificate: &str, arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-s", "--max-time", "20", "--cacert", place.path(certificate).to_str().unwrap()]);
        let output =
            command.arg(format!("https://localhost:{port}{}", arguments[0])).args(&arguments[1..]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(curl("first.pem", &["/health"]).contains("UP"));
    assert_eq!(curl("second.pem", &["/health"]), "", "another certificate is not believed");
    assert_eq!(server.curl(&["/health"]), "", "nothing is answered without TLS");
    let headers = curl("first.pem", &["/login", "-D", "-", "-o", "/dev/null"]);
    assert!(headers.contains("__Host-jitney-login-0=") && headers.contains("; Secure"), "{headers}");
    for end in ["key", "pem"] {
        std::fs::copy(place.path(&format!("second.{end}")), place.path(&format!("first.{end}.new"))).unwrap();
        std::fs::rename(place.path(&format!("first.{end}.new")), place.path(&format!("first.{end}"))).unwrap();
    }
    while !server.log().contains("the certificate was read again") {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(curl("second.pem", &["/health"]).contains("UP"));
    certify("other");
    server.stop();
    let refused =
        place.jitney(&["server", "--listen", "127.0.0.1:0", "--tls-cert", "second.pem", "--tls-key", "other.key"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(3) && said.contains("cannot be used with the certificate"), "{said}");
}

#[test]
fn forwarded_addresses_count_only_from_a_trusted_proxy() {
    let place = place();
    add_user(&place, "ada", "operator", &[]);
    place.write(
        "jitney.yaml",
        std::fs::read_to_string(place.path("home/jitney.yaml")).unwrap() + "hosts: [jitney.example.com]\n",
    );
    let forwarded = |server: &Server| {
        let headers =
            ["X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https", "X-Forwarded-Host: jitney.example.com"];
        let headers = headers.map(|header| ["-H", header]).concat();
        let said = server.curl(&[&["/login", "-D", "-", "-o", "/dev/null"], &headers[..]].concat());
        let login = format!("ada:{PASSWORD}");
        let origin = ["-H", "Origin: https://jitney.example.com", "-u", &login, "-X", "POST"];
        let code = server.code(&[&["/executions/none/restart"], &origin[..], &headers[..]].concat());
        (said.contains("; Secure"), code == "403")
    };
    let server = place.server_with(&["--trust-proxy", "127.0.0.0/8"]);
    assert_eq!(forwarded(&server), (true, false), "the page's host is that of the proxy");
    server.stop();
    let server = place.server();
    assert_eq!(forwarded(&server), (false, true));
    server.stop();
    let refused = place.jitney(&["server", "--listen", "127.0.0.1:0", "--trust-proxy", "proxy"]);
    assert_eq!(refused.status.code(), Some(3));
}
