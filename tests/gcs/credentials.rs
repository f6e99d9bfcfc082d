//! Who a task is, as Google sees it: the requests are signed, and neither key nor token is seen anywhere else.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::google::key;
use super::proxy::{Proxy, fault};
use super::{attempt, lines};

/// Lists a bucket as the account that fields and variables name. Gives the token that came, the log and the error.
async fn list(proxy: &Arc<Proxy>, home: &Path, variables: &[(&str, &str)], fields: Value) -> (String, String) {
    let mut all = vec![("CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE", proxy.url.as_str()), ("STORAGE_EMULATOR_HOST", "")];
    all.extend(variables);
    let (context, log) = attempt::context(home, &all);
    let mut fields = fields;
    fields["from"] = json!("gs://no-such-bucket/");
    let error = attempt::run(context, "gcs.list", fields).await.unwrap_err();
    (proxy.tokens.lock().unwrap().pop().unwrap_or_default(), format!("{error}\n{}", lines(&log)))
}

#[tokio::test]
async fn a_key_signs_as_json_as_a_path_as_base64_and_from_the_environment() {
    let home = tempfile::tempdir().unwrap();
    let Some(proxy) = Proxy::start(vec![]).await else { return };
    let key = key(home.path());
    fs::write(home.path().join("key.json"), &key).unwrap();
    let path = home.path().join("key.json").display().to_string();
    let ways = [
        (vec![], json!({"serviceAccount": key})),
        (vec![], json!({"serviceAccount": "key.json"})),
        (vec![], json!({"serviceAccount": STANDARD.encode(&key)})),
        (vec![("GOOGLE_APPLICATION_CREDENTIALS", path.as_str())], json!({})),
    ];
    for (variables, fields) in ways {
        let (token, reported) = list(&proxy, home.path(), &variables, fields.clone()).await;
        let token = token.strip_prefix("Bearer ").unwrap_or_else(|| panic!("no token came: {reported}"));
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["iss"], json!("load@key-project.iam.gserviceaccount.com"));
        assert!(!reported.contains(token) && !reported.contains("PRIVATE"), "{reported}");
    }
}

#[tokio::test]
async fn a_token_that_google_repeats_in_an_error_is_not_told_on() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("key.json"), key(home.path())).unwrap();
    let Some(proxy) = Proxy::start(vec![fault("GET", 503, "backendError", "Backend error.")]).await else { return };
    let (context, _) = attempt::context(
        home.path(),
        &[("CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE", &proxy.url), ("STORAGE_EMULATOR_HOST", "")],
    );
    let redactor = context.settings.redactor.clone();
    let fields = json!({"from": "gs://no-such-bucket/", "serviceAccount": "key.json"});
    attempt::run(context, "gcs.list", fields).await.unwrap_err();
    let token = proxy.tokens.lock().unwrap().pop().unwrap();
    assert_eq!(redactor.clean(&format!("request with {token}")), "request with Bearer ***");
    let pem = fs::read_to_string(home.path().join("key.pem")).unwrap();
    let line = pem.lines().nth(3).unwrap();
    assert_eq!(redactor.clean(line), "***");
}

#[tokio::test]
async fn a_machine_of_googles_knows_who_it_is() {
    let home = tempfile::tempdir().unwrap();
    let Some(proxy) = Proxy::start(vec![]).await else { return };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let metadata = Router::new().fallback(async |request: Request| {
        let body = match request.uri().path().trim_start_matches("/computeMetadata/v1/") {
            "project/project-id" => "machine-project".to_owned(),
            "instance/service-accounts/default/email" => "vm@machine-project.iam.gserviceaccount.com".to_owned(),
            "instance/service-accounts/default/token" => {
                json!({"access_token": "ya29.of-the-machine", "expires_in": 3600, "token_type": "Bearer"}).to_string()
            }
            _ => return StatusCode::NOT_FOUND.into_response(),
        };
        ([("metadata-flavor", "Google")], body).into_response()
    });
    tokio::spawn(async move { axum::serve(listener, metadata).await.unwrap() });
    let bare = home.path().display().to_string();
    let variables = [("GCE_METADATA_HOST", host.as_str()), ("GOOGLE_APPLICATION_CREDENTIALS", ""), ("HOME", &bare)];
    let (token, reported) = list(&proxy, home.path(), &variables, json!({})).await;
    assert_eq!(token, "Bearer ya29.of-the-machine", "{reported}");
}

/// What gives out tokens at Google, for credentials that are not revoked.
async fn token_server() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(async |request: Request| {
        let path = request.uri().path().to_owned();
        let body = axum::body::to_bytes(request.into_body(), 65_536).await.unwrap();
        if String::from_utf8_lossy(&body).contains("revoked") {
            let error = json!({"error": "invalid_grant", "error_description": "Token has been expired or revoked."});
            return (StatusCode::BAD_REQUEST, error.to_string()).into_response();
        }
        let token = match path.ends_with(":generateAccessToken") {
            true => json!({"accessToken": "ya29.of-the-account", "expireTime": "2099-01-01T00:00:00Z"}),
            false => json!({"access_token": "ya29.of-the-user", "expires_in": 3600, "token_type": "Bearer"}),
        };
        ([("content-type", "application/json")], token.to_string()).into_response()
    });
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

#[tokio::test]
async fn what_gcloud_keeps_is_used_for_the_user_and_for_an_account_that_the_user_acts_as() {
    let home = tempfile::tempdir().unwrap();
    let Some(proxy) = Proxy::start(vec![]).await else { return };
    let server = token_server().await;
    let user = |refresh: &str| {
        json!({"type": "authorized_user", "client_id": "id", "client_secret": "of-the-client", "refresh_token": refresh,
            "quota_project_id": "mine", "token_uri": format!("{server}/token")})
    };
    let account = json!({"type": "impersonated_service_account", "source_credentials": user("1//good"),
        "service_account_impersonation_url": format!("{server}/v1/projects/-/serviceAccounts/a@p.iam.gserviceaccount.com:generateAccessToken")});
    let folder = home.path().display().to_string();
    let variables = [("GOOGLE_APPLICATION_CREDENTIALS", ""), ("CLOUDSDK_CONFIG", folder.as_str())];
    for (kept, expected) in [(user("1//good"), "Bearer ya29.of-the-user"), (account, "Bearer ya29.of-the-account")] {
        fs::write(home.path().join("application_default_credentials.json"), kept.to_string()).unwrap();
        let (token, reported) = list(&proxy, home.path(), &variables, json!({})).await;
        assert_eq!(token, expected, "{reported}");
    }
    fs::write(home.path().join("application_default_credentials.json"), user("1//revoked").to_string()).unwrap();
    proxy.tokens.lock().unwrap().clear();
    let (token, reported) = list(&proxy, home.path(), &variables, json!({})).await;
    assert_eq!(token, "", "nothing should be asked without a token");
    for words in
        ["credentials from gcloud (", "Token has been expired or revoked", "gcloud auth application-default login"]
    {
        assert!(reported.contains(words), "{words}: {reported}");
    }
    assert!(!reported.contains("1//revoked") && !reported.contains("of-the-client"), "{reported}");
}

#[tokio::test]
async fn without_credentials_the_error_says_where_they_were_looked_for() {
    let home = tempfile::tempdir().unwrap();
    let bare = home.path().display().to_string();
    // Nobody listens there.
    let variables = [
        ("STORAGE_EMULATOR_HOST", ""),
        ("GOOGLE_APPLICATION_CREDENTIALS", ""),
        ("HOME", bare.as_str()),
        ("GCE_METADATA_HOST", "127.0.0.1:9"),
    ];
    let (context, _) = attempt::context(home.path(), &variables);
    let error = attempt::run(context, "gcs.list", json!({"from": "gs://b1/"})).await.unwrap_err();
    assert!(error.message.contains("no GOOGLE_APPLICATION_CREDENTIALS, no gcloud login"), "{error}");
    assert!(error.help.unwrap().contains("gcloud auth application-default login"));
}
