//! The page of whoever is signed in, the users in the settings, and the end of sessions in every browser.

use serde_json::json;

use super::logins::{Browser, PASSWORD, add_user, place};

#[test]
fn sessions_are_ended_in_every_browser_by_their_user_or_an_admin() {
    let place = place();
    for (name, role) in [("ada", "viewer"), ("eve", "admin")] {
        assert_eq!(add_user(&place, name, role, &[]).0, Some(0));
    }
    let server = place.server();
    let [first, second, admin] = ["first", "second", "admin"].map(|jar| Browser::new(&place, &server, jar));
    for browser in [&first, &second] {
        assert_eq!(browser.sign_in("/login", "ada", PASSWORD).0, "303");
    }
    assert_eq!(admin.sign_in("/login", "eve", PASSWORD).0, "303");
    let html = first.curl(&["/account"]);
    assert!(html.contains("<h1>ada</h1>") && html.contains("viewer, on the login page"), "{html}");
    assert_eq!((html.matches("this one").count(), html.matches(">another<").count()), (1, 1), "{html}");
    assert_eq!(first.visit(&["/account/sign-out", "-X", "POST"]).0, "403", "without the token of a form");
    let token = |browser: &Browser, address: &str| format!("csrf={}", browser.token(address));
    let forbidden = ["/settings/users/sign-out", "-d", &token(&first, "/account"), "-d", "user=eve"];
    assert_eq!(first.visit(&forbidden).0, "403", "a viewer");
    assert_eq!(first.visit(&["/account/sign-out", "-d", &token(&first, "/account")]).0, "303");
    assert_eq!([&first, &second, &admin].map(|browser| browser.visit(&["/flows"]).0), ["303", "303", "200"]);

    assert_eq!(first.sign_in("/login", "ada", PASSWORD).0, "303");
    let settings: serde_json::Value = serde_json::from_str(&admin.curl(&["/settings.json"])).unwrap();
    let users: Vec<_> = settings["users"].as_array().unwrap().iter().collect();
    let shown: Vec<_> = users.iter().map(|user| (&user["name"], &user["role"], &user["sessions"])).collect();
    assert_eq!(shown, [(&json!("ada"), &json!("viewer"), &json!(1)), (&json!("eve"), &json!("admin"), &json!(1))]);
    let end = |name: &str| {
        let (token, user) = (token(&admin, "/settings"), format!("user={name}"));
        admin.visit(&["/settings/users/sign-out", "-d", &token, "-d", &user])
    };
    assert_eq!(end("ada"), ("303".to_owned(), "/settings#users".to_owned()));
    assert_eq!(end("nobody").0, "404");
    assert_eq!([&first, &admin].map(|browser| browser.visit(&["/flows"]).0), ["303", "200"]);
    let audit: serde_json::Value = serde_json::from_str(&admin.curl(&["/audit.json?q=everywhere"])).unwrap();
    let rows: Vec<_> =
        audit.as_array().unwrap().iter().map(|row| (&row["user"], &row["target"], &row["status"])).collect();
    let row = |user: &str, target: &str, status: u16| (json!(user), json!(target), json!(status));
    let expected = [
        row("eve", "nobody", 404),
        row("eve", "ada", 303),
        row("ada", "ada", 303),
        row("ada", "", 403),
        row("ada", "", 403),
    ];
    assert_eq!(rows, expected.iter().map(|(user, target, status)| (user, target, status)).collect::<Vec<_>>());
}

#[test]
fn the_token_of_forms_is_another_text_on_each_page() {
    let place = place();
    add_user(&place, "ada", "operator", &[]);
    let server = place.server();
    let browser = Browser::new(&place, &server, "jar");
    assert_eq!(browser.sign_in("/login", "ada", PASSWORD).0, "303");
    let page = browser.curl(&["/flows/shop/hello/run"]);
    let (_, rest) = page.split_once("name=\"csrf-token\" content=\"").unwrap();
    let first = rest.split('"').next().unwrap().to_owned();
    assert!(page.matches(&first).count() >= 3, "all forms of a page bring the same");
    let second = browser.token("/flows/shop/hello/run");
    let common = first.bytes().zip(second.bytes()).filter(|(one, other)| one == other).count();
    assert!(first.len() > 80 && common < 30, "{first} {second}");
    let run = |token: &str| browser.visit(&["/flows/shop/hello/run", "-F", &format!("csrf={token}")]).0;
    assert_eq!((run(&first), run(&second)), ("303".to_owned(), "303".to_owned()), "both are valid");
    let (mask, rest) = first.split_once('.').unwrap();
    for forged in [rest.to_owned(), format!(".{rest}"), format!("{mask}."), format!("x{first}")] {
        assert_eq!(run(&forged), "403", "{forged}");
    }
}
