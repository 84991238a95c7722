//! The table of actions: everything that a principal can do over an interface, in one place.
//!
//! ```text
//!   ACTIONS ─┬─▶ permission::permit()   who may
//!            ├─▶ api: routes, OpenAPI   where it answers, and what its description says of security
//!            ├─▶ audit log              whether it is written there, and about which kind of resource
//!            └─▶ tests                  authorisation, audit: one case for each row
//! ```
//!
//! A new operation begins with its row here; `docs/development.md` shows one.

use crate::team::Role;

/// HTTP method of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// `GET`, and `HEAD` with it.
    Get,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `DELETE`.
    Delete,
}

impl Method {
    /// Returns the method as HTTP spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// Principals that may carry out an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Every client, signed in or not.
    Open,
    /// Members of a team with at least this role, and API keys if the action has a scope.
    Team(Role),
    /// Administrators of the platform.
    Platform,
}

/// Part of the interface that an API key can open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Capsules, and the templates that are made of them.
    Capsules,
}

/// Kind of resource that an action is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceKind {
    /// A user's account.
    User,
    /// A capsule.
    Capsule,
    /// A template.
    Template,
    /// A build.
    Build,
    /// An API key.
    ApiKey,
    /// A team.
    Team,
    /// A host.
    Host,
    /// The server itself.
    Server,
}

impl ResourceKind {
    /// Returns the spelling in the audit log and in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Capsule => "capsule",
            Self::Template => "template",
            Self::Build => "build",
            Self::ApiKey => "api_key",
            Self::Team => "team",
            Self::Host => "host",
            Self::Server => "server",
        }
    }
}

/// Rule for the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audit {
    /// The action is not written: it reads, or happens inside a capsule.
    None,
    /// The action is written, once for each time.
    Change,
}

/// Place of an action in the documented interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Documented {
    /// The action is in the OpenAPI document.
    Yes,
    /// The action exists only where the configuration allows fault injection.
    FaultInjection,
}

/// Row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionSpec {
    /// Name in the audit log: a kind of resource and a verb.
    pub name: &'static str,
    /// HTTP method.
    pub method: Method,
    /// Path; parameters are in braces. `/v1/capsules` stands for `/v1/sandboxes`, too, and `/v1` for `/api/v1`.
    pub path: &'static str,
    /// Another path under which older clients know it.
    pub alias: Option<&'static str>,
    /// Principals that may carry it out.
    pub access: Access,
    /// The scope that opens it to API keys; `None` closes it to all of them.
    pub scope: Option<Scope>,
    /// Kind of resource that it is about.
    pub resource: ResourceKind,
    /// Rule for the audit log.
    pub audit: Audit,
    /// Place in the documented interface.
    pub documented: Documented,
}

macro_rules! actions {
    ($(
        $action:ident $name:literal $method:ident $path:literal $(or $alias:literal)?,
        $access:expr, $scope:expr, $resource:ident $audit:ident $(, $documented:ident)?;
    )+) => {
        /// Everything that a principal can do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Action {
            $(#[doc = concat!("`", $name, "`")] $action),+
        }

        impl Action {
            /// Every action, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$action),+];

            /// Returns the action's row.
            pub const fn spec(self) -> &'static ActionSpec {
                match self {
                    $(Self::$action => &ActionSpec {
                        name: $name,
                        method: Method::$method,
                        path: $path,
                        alias: actions!(@alias $($alias)?),
                        access: $access,
                        scope: $scope,
                        resource: ResourceKind::$resource,
                        audit: Audit::$audit,
                        documented: actions!(@documented $($documented)?),
                    }),+
                }
            }
        }
    };
    (@alias) => { None };
    (@alias $alias:literal) => { Some($alias) };
    (@documented) => { Documented::Yes };
    (@documented $documented:ident) => { Documented::$documented };
}

use Access::{Open, Platform, Team};
use Role::Member;

/// Opens a row to API keys that may use capsules.
const KEYS: Option<Scope> = Some(Scope::Capsules);

actions! {
    // Accounts
    SignUp          "user.sign_up"      Post   "/v1/auth/signup", Open, None, User Change;
    LogIn           "user.log_in"       Post   "/v1/auth/login", Open, None, User None;
    MeGet           "user.get"          Get    "/v1/me", Team(Member), None, User None;
    TeamList        "team.list"         Get    "/v1/teams", Team(Member), None, Team None;
    ApiKeyList      "api_key.list"      Get    "/v1/api-keys", Team(Member), None, ApiKey None;
    ApiKeyCreate    "api_key.create"    Post   "/v1/api-keys", Team(Member), None, ApiKey Change;
    ApiKeyDelete    "api_key.delete"    Delete "/v1/api-keys/{id}", Team(Member), None, ApiKey Change;
    HostList        "host.list"         Get    "/v1/hosts", Team(Member), None, Host None;

    // Capsules
    SandboxList     "capsule.list"      Get    "/v1/capsules", Team(Member), KEYS, Capsule None;
    SandboxCreate   "capsule.create"    Post   "/v1/capsules", Team(Member), KEYS, Capsule Change;
    SandboxGet      "capsule.get"       Get    "/v1/capsules/{id}", Team(Member), KEYS, Capsule None;
    SandboxDestroy  "capsule.destroy"   Delete "/v1/capsules/{id}", Team(Member), KEYS, Capsule Change;
    SandboxPause    "capsule.pause"     Post   "/v1/capsules/{id}/pause", Team(Member), KEYS, Capsule Change;
    SandboxResume   "capsule.resume"    Post   "/v1/capsules/{id}/resume", Team(Member), KEYS, Capsule Change;
    SandboxPing     "capsule.ping"      Post   "/v1/capsules/{id}/ping", Team(Member), KEYS, Capsule None;
    SandboxTimeout  "capsule.timeout"   Post   "/v1/capsules/{id}/timeout", Team(Member), KEYS, Capsule Change;
    SandboxPreview  "capsule.preview"   Put    "/v1/capsules/{id}/preview", Team(Member), KEYS, Capsule Change;

    // Inside a capsule
    Exec            "capsule.exec"      Post   "/v1/capsules/{id}/exec", Team(Member), KEYS, Capsule None;
    ExecStream      "capsule.exec_stream" Get  "/v1/capsules/{id}/exec/stream", Team(Member), KEYS, Capsule None;
    Terminal        "capsule.terminal"  Get    "/v1/capsules/{id}/pty", Team(Member), KEYS, Capsule None;
    ProcessList     "process.list"      Get    "/v1/capsules/{id}/processes", Team(Member), KEYS, Capsule None;
    ProcessKill     "process.kill"      Delete "/v1/capsules/{id}/processes/{selector}", Team(Member), KEYS, Capsule None;
    ProcessStream   "process.stream"    Get    "/v1/capsules/{id}/processes/{selector}/stream", Team(Member), KEYS, Capsule None;
    FileList        "file.list"         Post   "/v1/capsules/{id}/files/list", Team(Member), KEYS, Capsule None;
    FileRead        "file.read"         Post   "/v1/capsules/{id}/files/read", Team(Member), KEYS, Capsule None;
    FileWrite       "file.write"        Post   "/v1/capsules/{id}/files/write", Team(Member), KEYS, Capsule None;
    FileMakeDir     "file.mkdir"        Post   "/v1/capsules/{id}/files/mkdir", Team(Member), KEYS, Capsule None;
    FileRemove      "file.remove"       Post   "/v1/capsules/{id}/files/remove", Team(Member), KEYS, Capsule None;
    FileStat        "file.stat"         Post   "/v1/capsules/{id}/files/stat", Team(Member), KEYS, Capsule None;
    FileExists      "file.exists"       Post   "/v1/capsules/{id}/files/exists", Team(Member), KEYS, Capsule None;
    FileRename      "file.rename"       Post   "/v1/capsules/{id}/files/rename" or "/v1/capsules/{id}/files/move", Team(Member), KEYS, Capsule None;
    FileWatch       "file.watch"        Get    "/v1/capsules/{id}/files/watch", Team(Member), KEYS, Capsule None;
    FileStreamRead  "file.stream_read"  Post   "/v1/capsules/{id}/files/stream/read", Team(Member), KEYS, Capsule None;
    FileStreamWrite "file.stream_write" Post   "/v1/capsules/{id}/files/stream/write", Team(Member), KEYS, Capsule None;

    // Templates
    TemplateList    "template.list"     Get    "/v1/snapshots", Team(Member), KEYS, Template None;
    TemplateCreate  "template.create"   Post   "/v1/snapshots", Team(Member), KEYS, Template Change;
    TemplateDelete  "template.delete"   Delete "/v1/snapshots/{name}", Team(Member), KEYS, Template Change;

    // Administration of the platform
    BuildList       "build.list"        Get    "/v1/admin/builds", Platform, None, Build None;
    BuildCreate     "build.create"      Post   "/v1/admin/builds", Platform, None, Build Change;
    BuildGet        "build.get"         Get    "/v1/admin/builds/{id}", Platform, None, Build None;
    BuildCancel     "build.cancel"      Post   "/v1/admin/builds/{id}/cancel", Platform, None, Build Change;
    BuildFollow     "build.follow"      Get    "/v1/admin/builds/{id}/logs", Platform, None, Build None;
    AdminTemplateList   "template.list_all"   Get    "/v1/admin/templates", Platform, None, Template None;
    AdminTemplateDelete "template.delete_any" Delete "/v1/admin/templates/{name}", Platform, None, Template Change;

    // The server
    Health          "server.health"     Get    "/health", Open, None, Server None;
    InjectPanic     "server.inject_panic" Post "/v1/admin/faults/panic", Platform, None, Server None, FaultInjection;
    InjectCut       "server.inject_cut" Post   "/v1/admin/faults/cut", Platform, None, Server None, FaultInjection;
}

impl Action {
    /// Returns the action's name in the audit log.
    pub const fn name(self) -> &'static str {
        self.spec().name
    }

    /// Returns the action's path.
    pub const fn path(self) -> &'static str {
        self.spec().path
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_and_addresses_are_unique() {
        let mut names = HashSet::new();
        let mut addresses = HashSet::new();
        for action in Action::ALL {
            let spec = action.spec();
            assert!(names.insert(spec.name), "{} stands twice", spec.name);
            for path in [Some(spec.path), spec.alias].into_iter().flatten() {
                assert!(
                    addresses.insert((spec.method, path)),
                    "{} {path} stands twice",
                    spec.method.as_str()
                );
            }
        }
    }

    #[test]
    fn reads_are_not_audited_and_keys_open_no_administration() {
        for action in Action::ALL {
            let spec = action.spec();
            assert!(spec.method != Method::Get || spec.audit == Audit::None, "{action} is a read");
            assert!(spec.scope.is_none() || matches!(spec.access, Access::Team(_)), "{action} opens to keys");
        }
    }
}
