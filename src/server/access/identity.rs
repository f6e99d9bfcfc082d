//! Who sends the request that is being answered.

use std::sync::{Arc, LazyLock};

use super::role::Role;

/// Who sends a request, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::server) struct Identity {
    /// The name of the user or token.
    pub(in crate::server) name: String,
    pub(in crate::server) role: Role,
    pub(in crate::server) login: Login,
}

/// How somebody has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::server) enum Login {
    /// Not at all.
    None,
    /// With a name and password in each request.
    Basic,
    /// With a token in each request.
    Token,
    /// On the login page; the value is the token that forms must bring, each page under a mask of its own.
    Session(String),
}

static NOBODY: LazyLock<Arc<Identity>> =
    LazyLock::new(|| Arc::new(Identity { name: String::new(), role: Role::Viewer, login: Login::None }));
static ANYBODY: LazyLock<Arc<Identity>> =
    LazyLock::new(|| Arc::new(Identity { name: "local".to_owned(), role: Role::Admin, login: Login::None }));

tokio::task_local! {
    static CALLER: Arc<Identity>;
}

impl Identity {
    /// The caller of a server that needs no login.
    pub(in crate::server) fn anybody() -> Arc<Self> {
        ANYBODY.clone()
    }

    /// A caller who has not logged in.
    pub(in crate::server) fn nobody() -> Arc<Self> {
        NOBODY.clone()
    }

    /// The sender of the request that this task answers. It is kept in addition to the request, so that every page's frame, those of
    /// errors included, knows it without each handler passing it on.
    pub(in crate::server) fn current() -> Arc<Self> {
        CALLER.try_with(Clone::clone).unwrap_or_else(|_| NOBODY.clone())
    }

    /// Does work with this identity as the current one.
    pub(in crate::server) async fn scope<T>(self: Arc<Self>, work: impl Future<Output = T>) -> T {
        CALLER.scope(self, work).await
    }

    /// Why a role that is needed is missing, or none if the identity has it.
    pub(in crate::server) fn missing(&self, needed: Role) -> Option<String> {
        let who = if self.name.is_empty() { "you have" } else { &format!("`{}` has", self.name) };
        (self.role < needed).then(|| format!("this needs the role {needed}, and {who} the role {}", self.role))
    }
}
