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

use crate::{
    scope::{Scope, Scopes},
    team::Role,
};

/// HTTP method of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// `GET`, and `HEAD` with it.
    Get,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
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
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Principals that may carry out an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Every client, signed in or not.
    Open,
    /// Users who have signed in, whether or not they act for a team.
    SignedIn,
    /// Members with at least this role of the team for which they act, and API keys with one of the action's scopes.
    Team(Role),
    /// Members with at least this role of the team that the path names as `{id}`, and API keys of that team with one of the
    /// action's scopes.
    NamedTeam(Role),
    /// Administrators of the platform.
    Platform,
    /// Hosts, with their token. The use case checks that the path names the host itself.
    Host,
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
    /// A member of a team.
    Member,
    /// An invitation to a team.
    Invitation,
    /// A host.
    Host,
    /// A notification channel.
    Channel,
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
            Self::Member => "member",
            Self::Invitation => "invitation",
            Self::Host => "host",
            Self::Channel => "channel",
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
    /// The scopes of which one opens it to an API key; none closes it to all keys.
    pub scopes: Scopes,
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
        $access:expr, $scopes:expr, $resource:ident $audit:ident $(, $documented:ident)?;
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
                        scopes: $scopes,
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

use Access::{NamedTeam, Open, Platform, SignedIn, Team};
use Role::{Admin, Member, Owner};

/// Closes a row to API keys.
const NONE: Scopes = Scopes::of(&[]);
/// Opens a row that changes capsules, or happens inside one.
const CAPSULES: Scopes = Scopes::of(&[Scope::Capsules]);
/// Opens a row that shows capsules or templates.
const CAPSULES_READ: Scopes = Scopes::of(&[Scope::Capsules, Scope::Read]);
/// Opens a row that changes builds.
const BUILDS: Scopes = Scopes::of(&[Scope::Builds]);
/// Opens a row that shows builds.
const BUILDS_READ: Scopes = Scopes::of(&[Scope::Builds, Scope::Read]);
/// Opens a row that administers the team.
const ADMIN: Scopes = Scopes::of(&[Scope::Admin]);
/// Opens a row that shows what the team is.
const ADMIN_READ: Scopes = Scopes::of(&[Scope::Admin, Scope::Read]);
/// Opens the row of events, of which a key follows those that its scopes list.
const EVENTS: Scopes = Scopes::of(Scope::ALL);

actions! {
    // Accounts
    SignUp          "user.sign_up"      Post   "/v1/auth/signup", Open, NONE, User Change;
    LogIn           "user.log_in"       Post   "/v1/auth/login", Open, NONE, User None;
    LogOut          "user.log_out"      Post   "/v1/auth/logout", SignedIn, NONE, User Change;
    AuthMethods     "user.auth_methods" Get    "/v1/auth/methods", Open, NONE, User None;
    Activate        "user.activate"     Post   "/v1/auth/activate", Open, NONE, User Change;
    TeamSwitch      "team.switch"       Post   "/v1/auth/switch-team", SignedIn, NONE, Team None;
    ProviderSignIn  "user.provider_sign_in" Get "/v1/auth/oauth/{provider}", Open, NONE, User None;
    ProviderCallback "user.connect_provider" Get "/v1/auth/oauth/{provider}/callback", Open, NONE, User None;
    ProviderConnect "user.begin_provider" Get "/v1/me/providers/{provider}/connect", SignedIn, NONE, User None;
    ProviderDisconnect "user.disconnect_provider" Delete "/v1/me/providers/{provider}", SignedIn, NONE, User Change;
    MeGet           "user.get"          Get    "/v1/me", SignedIn, NONE, User None;
    MeRename        "user.rename"       Patch  "/v1/me", SignedIn, NONE, User Change;
    MeDelete        "user.delete"       Delete "/v1/me", SignedIn, NONE, User Change;
    ActivationSend  "user.send_activation" Post "/v1/me/activation", SignedIn, NONE, User None;
    PasswordChange  "user.change_password" Post "/v1/me/password", SignedIn, NONE, User Change;
    PasswordForget  "user.forget_password" Post "/v1/me/password/reset", Open, NONE, User None;
    PasswordReset   "user.reset_password" Post "/v1/me/password/reset/confirm", Open, NONE, User Change;
    TotpBegin       "user.begin_totp"   Post   "/v1/me/totp", SignedIn, NONE, User Change;
    TotpConfirm     "user.enable_totp"  Post   "/v1/me/totp/confirm", SignedIn, NONE, User Change;
    TotpDisable     "user.disable_totp" Delete "/v1/me/totp", SignedIn, NONE, User Change;
    TeamList        "team.list"         Get    "/v1/teams", SignedIn, NONE, Team None;
    TeamCreate      "team.create"       Post   "/v1/teams", SignedIn, NONE, Team Change;
    TeamGet         "team.get"          Get    "/v1/teams/{id}", NamedTeam(Member), ADMIN_READ, Team None;
    TeamRename      "team.rename"       Patch  "/v1/teams/{id}", NamedTeam(Admin), ADMIN, Team Change;
    TeamDelete      "team.delete"       Delete "/v1/teams/{id}", NamedTeam(Owner), NONE, Team Change;
    TeamLeave       "member.leave"      Post   "/v1/teams/{id}/leave", NamedTeam(Member), NONE, Member Change;
    MemberList      "member.list"       Get    "/v1/teams/{id}/members", NamedTeam(Member), ADMIN_READ, Member None;
    MemberAdd       "member.add"        Post   "/v1/teams/{id}/members", NamedTeam(Admin), ADMIN, Member Change;
    MemberSetRole   "member.set_role"   Patch  "/v1/teams/{id}/members/{uid}", NamedTeam(Admin), ADMIN, Member Change;
    MemberRemove    "member.remove"     Delete "/v1/teams/{id}/members/{uid}", NamedTeam(Admin), ADMIN, Member Change;
    InvitationList  "invitation.list"   Get    "/v1/teams/{id}/invitations", NamedTeam(Admin), ADMIN, Invitation None;
    InvitationCreate "invitation.create" Post  "/v1/teams/{id}/invitations", NamedTeam(Admin), ADMIN, Invitation Change;
    InvitationDelete "invitation.delete" Delete "/v1/teams/{id}/invitations/{iid}", NamedTeam(Admin), ADMIN, Invitation Change;
    InvitationAccept "invitation.accept" Post  "/v1/invitations/accept", SignedIn, NONE, Invitation Change;
    UserSearch      "user.search"       Get    "/v1/users/search", Team(Admin), NONE, User None;
    ApiKeyList      "api_key.list"      Get    "/v1/api-keys", Team(Member), ADMIN_READ, ApiKey None;
    ApiKeyCreate    "api_key.create"    Post   "/v1/api-keys", Team(Member), ADMIN, ApiKey Change;
    ApiKeyDelete    "api_key.delete"    Delete "/v1/api-keys/{id}", Team(Member), ADMIN, ApiKey Change;
    TeamQuotaGet    "team.get_quota"    Get    "/v1/teams/{id}/quota", NamedTeam(Member), ADMIN_READ, Team None;
    AuditList       "audit.list"        Get    "/v1/audit-logs", Team(Admin), ADMIN_READ, Team None;
    EventFollow     "event.follow"      Get    "/v1/events", Team(Member), EVENTS, Team None;
    HostList        "host.list"         Get    "/v1/hosts", Team(Member), ADMIN_READ, Host None;
    HostGet         "host.get"          Get    "/v1/hosts/{id}", SignedIn, NONE, Host None;
    HostCreate      "host.create"       Post   "/v1/hosts", SignedIn, NONE, Host Change;
    HostTokenIssue  "host.issue_token"  Post   "/v1/hosts/{id}/token", SignedIn, NONE, Host Change;
    HostDrain       "host.drain"        Post   "/v1/hosts/{id}/drain", SignedIn, NONE, Host Change;
    HostDeletePreview "host.preview_delete" Get "/v1/hosts/{id}/delete-preview", SignedIn, NONE, Host None;
    HostDelete      "host.delete"       Delete "/v1/hosts/{id}", SignedIn, NONE, Host Change;
    HostTagList     "host.list_tags"    Get    "/v1/hosts/{id}/tags", SignedIn, NONE, Host None;
    HostTagAdd      "host.add_tag"      Post   "/v1/hosts/{id}/tags", SignedIn, NONE, Host Change;
    HostTagRemove   "host.remove_tag"   Delete "/v1/hosts/{id}/tags/{tag}", SignedIn, NONE, Host Change;
    HostRegister    "host.register"     Post   "/v1/hosts/register", Open, NONE, Host Change;
    HostRefresh     "host.refresh"      Post   "/v1/hosts/auth/refresh", Open, NONE, Host None;
    HostHeartbeat   "host.heartbeat"    Post   "/v1/hosts/{id}/heartbeat", Access::Host, NONE, Host None;

    // Notification channels
    ChannelList     "channel.list"      Get    "/v1/channels", Team(Member), NONE, Channel None;
    ChannelCreate   "channel.create"    Post   "/v1/channels", Team(Admin), NONE, Channel Change;
    ChannelTest     "channel.test"      Post   "/v1/channels/test", Team(Admin), NONE, Channel None;
    ChannelGet      "channel.get"       Get    "/v1/channels/{id}", Team(Member), NONE, Channel None;
    ChannelUpdate   "channel.update"    Patch  "/v1/channels/{id}", Team(Admin), NONE, Channel Change;
    ChannelDelete   "channel.delete"    Delete "/v1/channels/{id}", Team(Admin), NONE, Channel Change;
    ChannelConfigure "channel.configure" Put   "/v1/channels/{id}/config", Team(Admin), NONE, Channel Change;

    // Capsules
    SandboxList     "capsule.list"      Get    "/v1/capsules", Team(Member), CAPSULES_READ, Capsule None;
    SandboxCreate   "capsule.create"    Post   "/v1/capsules", Team(Member), CAPSULES, Capsule Change;
    SandboxStats    "capsule.stats"     Get    "/v1/capsules/stats", Team(Member), CAPSULES_READ, Capsule None;
    SandboxUsage    "capsule.usage"     Get    "/v1/capsules/usage", Team(Member), CAPSULES_READ, Capsule None;
    SandboxGet      "capsule.get"       Get    "/v1/capsules/{id}", Team(Member), CAPSULES_READ, Capsule None;
    SandboxMetrics  "capsule.metrics"   Get    "/v1/capsules/{id}/metrics", Team(Member), CAPSULES_READ, Capsule None;
    SandboxDestroy  "capsule.destroy"   Delete "/v1/capsules/{id}", Team(Member), CAPSULES, Capsule Change;
    SandboxPause    "capsule.pause"     Post   "/v1/capsules/{id}/pause", Team(Member), CAPSULES, Capsule Change;
    SandboxResume   "capsule.resume"    Post   "/v1/capsules/{id}/resume", Team(Member), CAPSULES, Capsule Change;
    SandboxPing     "capsule.ping"      Post   "/v1/capsules/{id}/ping", Team(Member), CAPSULES, Capsule None;
    SandboxTimeout  "capsule.timeout"   Post   "/v1/capsules/{id}/timeout", Team(Member), CAPSULES, Capsule Change;
    SandboxHistory  "capsule.history"   Get    "/v1/capsules/{id}/events", Team(Member), CAPSULES_READ, Capsule None;
    SandboxPreview  "capsule.preview"   Put    "/v1/capsules/{id}/preview", Team(Member), CAPSULES, Capsule Change;

    // Inside a capsule
    Exec            "capsule.exec"      Post   "/v1/capsules/{id}/exec", Team(Member), CAPSULES, Capsule None;
    ExecStream      "capsule.exec_stream" Get  "/v1/capsules/{id}/exec/stream", Team(Member), CAPSULES, Capsule None;
    Terminal        "capsule.terminal"  Get    "/v1/capsules/{id}/pty", Team(Member), CAPSULES, Capsule None;
    ProcessList     "process.list"      Get    "/v1/capsules/{id}/processes", Team(Member), CAPSULES, Capsule None;
    ProcessKill     "process.kill"      Delete "/v1/capsules/{id}/processes/{selector}", Team(Member), CAPSULES, Capsule None;
    ProcessStream   "process.stream"    Get    "/v1/capsules/{id}/processes/{selector}/stream", Team(Member), CAPSULES, Capsule None;
    FileList        "file.list"         Post   "/v1/capsules/{id}/files/list", Team(Member), CAPSULES, Capsule None;
    FileRead        "file.read"         Post   "/v1/capsules/{id}/files/read", Team(Member), CAPSULES, Capsule None;
    FileWrite       "file.write"        Post   "/v1/capsules/{id}/files/write", Team(Member), CAPSULES, Capsule None;
    FileMakeDir     "file.mkdir"        Post   "/v1/capsules/{id}/files/mkdir", Team(Member), CAPSULES, Capsule None;
    FileRemove      "file.remove"       Post   "/v1/capsules/{id}/files/remove", Team(Member), CAPSULES, Capsule None;
    FileStat        "file.stat"         Post   "/v1/capsules/{id}/files/stat", Team(Member), CAPSULES, Capsule None;
    FileExists      "file.exists"       Post   "/v1/capsules/{id}/files/exists", Team(Member), CAPSULES, Capsule None;
    FileRename      "file.rename"       Post   "/v1/capsules/{id}/files/rename" or "/v1/capsules/{id}/files/move", Team(Member), CAPSULES, Capsule None;
    FileWatch       "file.watch"        Get    "/v1/capsules/{id}/files/watch", Team(Member), CAPSULES, Capsule None;
    FileStreamRead  "file.stream_read"  Post   "/v1/capsules/{id}/files/stream/read", Team(Member), CAPSULES, Capsule None;
    FileStreamWrite "file.stream_write" Post   "/v1/capsules/{id}/files/stream/write", Team(Member), CAPSULES, Capsule None;

    // Templates
    TemplateList    "template.list"     Get    "/v1/snapshots", Team(Member), CAPSULES_READ, Template None;
    TemplateCreate  "template.create"   Post   "/v1/snapshots", Team(Member), CAPSULES, Template Change;
    TemplateDelete  "template.delete"   Delete "/v1/snapshots/{name}", Team(Member), CAPSULES, Template Change;

    // Builds
    BuildList       "build.list"        Get    "/v1/builds", Team(Member), BUILDS_READ, Build None;
    BuildCreate     "build.create"      Post   "/v1/builds", Team(Member), BUILDS, Build Change;
    BuildCheck      "build.check"       Post   "/v1/builds/check", Team(Member), BUILDS, Build None;
    BuildGet        "build.get"         Get    "/v1/builds/{id}", Team(Member), BUILDS_READ, Build None;
    BuildCancel     "build.cancel"      Post   "/v1/builds/{id}/cancel", Team(Member), BUILDS, Build Change;
    BuildFollow     "build.follow"      Get    "/v1/builds/{id}/logs", Team(Member), BUILDS_READ, Build None;

    // Administration of the platform
    ResetLinkCreate     "user.create_reset_link" Post "/v1/admin/users/{id}/reset-link", Platform, NONE, User Change;
    AdminBuildList      "build.list_all"      Get    "/v1/admin/builds", Platform, NONE, Build None;
    AdminBuildCreate    "build.create_platform" Post "/v1/admin/builds", Platform, NONE, Build Change;
    AdminBuildGet       "build.get_any"       Get    "/v1/admin/builds/{id}", Platform, NONE, Build None;
    AdminBuildCancel    "build.cancel_any"    Post   "/v1/admin/builds/{id}/cancel", Platform, NONE, Build Change;
    AdminBuildFollow    "build.follow_any"    Get    "/v1/admin/builds/{id}/logs", Platform, NONE, Build None;
    AdminTemplateList   "template.list_all"   Get    "/v1/admin/templates", Platform, NONE, Template None;
    AdminTemplateDelete "template.delete_any" Delete "/v1/admin/templates/{name}", Platform, NONE, Template Change;
    AdminTeamList       "team.list_all"       Get    "/v1/admin/teams", Platform, NONE, Team None;
    AdminTeamQuota      "team.quota"          Put    "/v1/admin/teams/{id}/quota", Platform, NONE, Team Change;
    AdminTeamByoc       "team.byoc"           Put    "/v1/admin/teams/{id}/byoc", Platform, NONE, Team Change;
    AdminTeamDelete     "team.delete_any"     Delete "/v1/admin/teams/{id}", Platform, NONE, Team Change;
    AdminUserList       "user.list_all"       Get    "/v1/admin/users", Platform, NONE, User None;
    AdminUserActive     "user.active"         Put    "/v1/admin/users/{id}/active", Platform, NONE, User Change;
    AdminUserAdmin      "user.admin"          Put    "/v1/admin/users/{id}/admin", Platform, NONE, User Change;
    AdminCapsuleList    "capsule.list_all"    Get    "/v1/admin/capsules", Platform, NONE, Capsule None;
    AdminAuditList      "audit.list_all"      Get    "/v1/admin/audit-logs", Platform, NONE, Server None;
    AdminEventFollow    "event.follow_all"    Get    "/v1/admin/events", Platform, NONE, Server None;
    SettingsGet         "settings.get"        Get    "/v1/admin/settings", Platform, NONE, Server None;
    SettingsSet         "settings.set"        Put    "/v1/admin/settings", Platform, NONE, Server Change;
    TokenKeyRotate      "settings.rotate_token_key" Post "/v1/admin/settings/token-key", Platform, NONE, Server Change;

    // The server
    Health          "server.health"     Get    "/health", Open, NONE, Server None;
    InjectPanic     "server.inject_panic" Post "/v1/admin/faults/panic", Platform, NONE, Server None, FaultInjection;
    InjectCut       "server.inject_cut" Post   "/v1/admin/faults/cut", Platform, NONE, Server None, FaultInjection;
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
            let is_team = matches!(spec.access, Access::Team(_) | Access::NamedTeam(_));
            assert!(spec.scopes.is_empty() || is_team, "{action} opens to keys");
            let names_team = spec.path.starts_with("/v1/teams/{id}");
            assert_eq!(matches!(spec.access, Access::NamedTeam(_)), names_team, "{action} names a team");
        }
    }
}
