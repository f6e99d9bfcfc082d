//! Finds out who sends a request, by password, token or session.

use std::sync::{Arc, LazyLock, PoisonError};

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::accounts::Account;
use super::cookies::{CookieUse, digest, is_masked, random, token_of};
use super::identity::{Identity, Login};
use super::password::verify;
use super::sender::Sender;
use super::{AccessControl, form_token, sessions};
use crate::blocking::run_blocking;
use crate::clock;
use crate::journal::Journal;
use crate::server::api::error::ApiError;

/// How many passwords are compared with hashes at a time: each takes some 20 MB and a processor.
const MAX_VERIFYING: usize = 2;
static VERIFYING: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(MAX_VERIFYING)));
/// The user who has signed in with the code of the first start.
static FIRST: LazyLock<Account> = LazyLock::new(Account::of_first_start);

/// What somebody enters on the login page.
pub(in crate::server) enum Credentials {
    Password {
        name: String,
        password: String,
    },
    /// The code of the first start.
    Code(String),
}

/// The name of somebody who has signed in, and the cookies that say so.
pub(in crate::server) type SignedIn = (String, [Option<HeaderValue>; 2]);

impl AccessControl {
    /// Who has sent a request, if a login is needed. The answer to a wrong one is delayed.
    pub(in crate::server) async fn identify(
        &self,
        sender: &Sender,
        journal: &Journal,
    ) -> Result<Arc<Identity>, ApiError> {
        let unauthorized = || {
            ApiError::new(
                StatusCode::UNAUTHORIZED,
                "log in with a password (Basic) or a token (Bearer), or on the page /login",
            )
        };
        if self.is_open() {
            return Ok(Identity::anybody());
        }
        if let Some(login) = sender.headers.get(header::AUTHORIZATION) {
            let found = self.find_login(login, sender).await;
            return found.map(|account| account.identity.clone()).ok_or_else(unauthorized);
        }
        let session = self.cookies.find(&sender.headers, CookieUse::Session, sender.is_secure);
        let found = session.map(|cookie| self.find_session(cookie, journal)).transpose()?;
        found.flatten().ok_or_else(unauthorized)
    }

    /// Whether a request has something to identify it by.
    pub(in crate::server) fn has_login(&self, sender: &Sender) -> bool {
        let has_session = || self.cookies.find(&sender.headers, CookieUse::Session, sender.is_secure).is_some();
        self.is_open() || sender.headers.contains_key(header::AUTHORIZATION) || has_session()
    }

    /// The account of an `Authorization` header.
    async fn find_login(&self, authorization: &HeaderValue, sender: &Sender) -> Option<&Account> {
        let (scheme, rest) = authorization.to_str().ok()?.split_once(' ').unwrap_or_default();
        let token = || self.tokens.iter().find(|account| account.digest.get() == Some(&digest(rest.trim())));
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" if token().is_some() => token(),
            "basic" => self.find_user(&STANDARD.decode(rest.trim()).unwrap_or_default(), sender).await,
            _ => {
                self.throttle.enter(sender.peer).await.reject().await;
                None
            }
        }
    }

    /// The user of a login `name:password`.
    async fn find_user(&self, login: &[u8], sender: &Sender) -> Option<&Account> {
        // Comparing digests takes a time that reveals nothing about the password.
        let digest: [u8; 32] = Sha256::digest(login).into();
        let known = self.users.iter().find(|account| account.digest.get() == Some(&digest));
        if known.is_some() {
            return known;
        }
        let slot = self.throttle.enter(sender.peer).await;
        let found = self.find_hashed(login).await;
        match found {
            // It stays the same as long as the password does.
            Some(account) => drop(account.digest.set(digest)),
            None => slot.reject().await,
        }
        found
    }

    /// The user whose password is stored as a hash.
    async fn find_hashed(&self, login: &[u8]) -> Option<&Account> {
        let colon = login.iter().position(|byte| *byte == b':')?;
        let (name, password) = (&login[..colon], &login[colon + 1..]);
        let mut hashed = self.users.iter().filter_map(|account| Some((account, account.hash.as_ref()?)));
        let named = hashed.clone().find(|(account, _)| account.identity.name.as_bytes() == name);
        // A name that nobody has takes as long.
        let (account, hash) = named.or_else(|| hashed.next())?;
        let is_right = verify_beside(password.to_vec(), hash.clone()).await;
        (is_right && named.is_some()).then_some(account)
    }

    /// Who has signed in with a cookie.
    fn find_session(&self, cookie: &str, journal: &Journal) -> Result<Option<Arc<Identity>>, ApiError> {
        let Some(session) = run_blocking(|| sessions::find(journal, cookie, clock::now()))? else { return Ok(None) };
        let first = self.is_first_start().then_some(&*FIRST);
        let account = self.users.iter().chain(first).find(|account| {
            account.identity.name == session.user
                && sessions::bound(cookie, &account.version).as_slice() == session.login
        });
        Ok(account.map(|account| {
            let identity = Identity { login: Login::Session(token_of(cookie)), ..(*account.identity).clone() };
            Arc::new(identity)
        }))
    }

    /// Checks the token of a request that changes something, if it comes with a session, and takes it out of the form.
    pub(in crate::server) async fn check_form(
        &self,
        identity: &Identity,
        request: Request,
    ) -> Result<Request, ApiError> {
        let Login::Session(token) = &identity.login else { return Ok(request) };
        if [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method()) {
            return Ok(request);
        }
        let (request, given) = form_token::take(request).await;
        match given.is_some_and(|given| is_masked(&given, token)) {
            true => Ok(request),
            false => Err(ApiError::new(StatusCode::FORBIDDEN, "the form is out of date: load the page again")),
        }
    }

    /// The cookie and the token of the login page's form.
    pub(in crate::server) fn login_form(&self, sender: &Sender) -> (Option<HeaderValue>, String) {
        let present = self.cookies.find(&sender.headers, CookieUse::LoginForm, sender.is_secure);
        let cookie = present.map_or_else(random, str::to_owned);
        (self.cookies.set(CookieUse::LoginForm, Some(&cookie), sender.is_secure), token_of(&cookie))
    }

    /// Whether a token is that of the form which this browser was given.
    pub(in crate::server) fn is_login_form(&self, sender: &Sender, token: &str) -> bool {
        let cookie = self.cookies.find(&sender.headers, CookieUse::LoginForm, sender.is_secure);
        cookie.is_some_and(|cookie| digest(&token_of(cookie)) == digest(token))
    }

    /// Begins a session, if the credentials are right. The answer to wrong ones is delayed.
    pub(in crate::server) async fn sign_in(
        &self,
        credentials: &Credentials,
        sender: &Sender,
        journal: &Journal,
    ) -> Result<Option<SignedIn>, ApiError> {
        let account = match credentials {
            Credentials::Password { name, password } => {
                self.find_user(format!("{name}:{password}").as_bytes(), sender).await
            }
            Credentials::Code(code) => self.use_code(code, sender).await,
        };
        let Some(account) = account else { return Ok(None) };
        let name = &account.identity.name;
        let cookie = run_blocking(|| sessions::begin(journal, name, &account.version, clock::now()))?;
        let session = self.cookies.set(CookieUse::Session, Some(&cookie), sender.is_secure);
        Ok(Some((name.clone(), [session, self.cookies.set(CookieUse::LoginForm, None, sender.is_secure)])))
    }

    async fn use_code(&self, code: &str, sender: &Sender) -> Option<&Account> {
        let slot = self.throttle.enter(sender.peer).await;
        let is_right = self.first_start.as_ref().is_some_and(|kept| {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            let is_right = *kept == Some(digest(code));
            // It is used once.
            *kept = kept.filter(|_| !is_right);
            is_right
        });
        if !is_right {
            slot.reject().await;
        }
        is_right.then_some(&*FIRST)
    }

    /// The digest under which the session of a request is kept.
    pub(in crate::server) fn session_digest(&self, sender: &Sender) -> Option<[u8; 32]> {
        self.cookies.find(&sender.headers, CookieUse::Session, sender.is_secure).map(digest)
    }

    /// Ends the session of a request, and gives the cookie that says so.
    pub(in crate::server) fn sign_out(
        &self,
        sender: &Sender,
        journal: &Journal,
    ) -> Result<Option<HeaderValue>, ApiError> {
        if let Some(cookie) = self.cookies.find(&sender.headers, CookieUse::Session, sender.is_secure) {
            run_blocking(|| sessions::end(journal, cookie))?;
        }
        Ok(self.cookies.set(CookieUse::Session, None, sender.is_secure))
    }
}

/// Compares a password with a hash, on a thread of its own, with few others at the same time. It continues when its request is gone, and
/// counts as long.
async fn verify_beside(password: Vec<u8>, hash: String) -> bool {
    let Ok(permit) = VERIFYING.clone().acquire_owned().await else { return false };
    let verified = tokio::task::spawn_blocking(move || {
        let is_right = verify(&password, &hash);
        drop(permit);
        is_right
    });
    verified.await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::super::password::hash;
    use super::super::{ApiToken, Role, User};
    use super::*;

    fn user(name: &str, password: &str) -> User {
        User { name: name.to_owned(), password: password.to_owned(), role: Role::Admin }
    }

    fn sender(login: Option<&str>) -> Sender {
        let login = login.map(|login| (header::AUTHORIZATION, login.parse().unwrap()));
        Sender { headers: login.into_iter().collect::<HeaderMap>(), peer: None, is_secure: false }
    }

    async fn status(access: &AccessControl, login: Option<&str>) -> u16 {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        match access.identify(&sender(login), &journal).await {
            Ok(_) => 200,
            Err(problem) => problem.status().as_u16(),
        }
    }

    fn basic(login: &str) -> String {
        format!("Basic {}", STANDARD.encode(login))
    }

    #[tokio::test]
    async fn a_login_or_token_lets_in_and_anything_else_does_not() {
        let outside = "0.0.0.0:8080".parse().unwrap();
        let access =
            AccessControl::at(outside, &[user("ada@example.com", "pass:word")], &[ApiToken::of("t0ken")], &[]).unwrap();
        assert_eq!(status(&access, Some(&basic("ada@example.com:pass:word"))).await, 200);
        assert_eq!(status(&access, Some(&basic("ada@example.com:other"))).await, 401);
        assert_eq!(status(&access, Some("Bearer t0ken")).await, 200);
        for wrong in ["Bearer nope", "Basic !", "Basic", "", "Digest x"] {
            assert_eq!(status(&access, Some(wrong)).await, 401, "{wrong}");
        }
        assert_eq!(status(&access, None).await, 401);
    }

    #[tokio::test]
    async fn a_hashed_password_is_compared_once_and_then_known_by_its_digest() {
        let hash = hash("correct horse battery").unwrap();
        let access = AccessControl::at(
            "127.0.0.1:1".parse().unwrap(),
            &[user("ada", &hash), user("bob", "pass:word:pass")],
            &[],
            &[],
        )
        .unwrap();
        assert_eq!(status(&access, Some(&basic(&format!("ada:{hash}")))).await, 401, "the hash is no password");
        assert_eq!(status(&access, Some(&basic("bob:correct horse battery"))).await, 401);
        assert!(access.users[0].digest.get().is_none());
        assert_eq!(status(&access, Some(&basic("ada:correct horse battery"))).await, 200);
        assert!(access.users[0].digest.get().is_some());
        assert_eq!(status(&access, Some(&basic("ada:correct horse battery"))).await, 200);
        assert_eq!(status(&access, Some(&basic("ada:wrong"))).await, 401);
        assert_eq!(status(&access, Some(&basic("bob:pass:word:pass"))).await, 200);
    }

    #[tokio::test]
    async fn on_loopback_no_login_is_needed_and_elsewhere_the_code_is() {
        let access = AccessControl::at("127.0.0.1:8080".parse().unwrap(), &[], &[], &[]).unwrap();
        assert_eq!(status(&access, None).await, 200);
        let access = AccessControl::at("0.0.0.0:8080".parse().unwrap(), &[], &[], &[]).unwrap();
        let code = access.first_code().unwrap();
        assert_eq!(status(&access, None).await, 401);
        let mut right = 0;
        for entered in ["", "wrong", &code, &code] {
            right += usize::from(access.use_code(entered, &sender(None)).await.is_some());
        }
        assert_eq!(right, 1, "it works once");
    }
}
