//! New hosts and sandboxes, as tests of the store and of the actors want them.

use uuid::Uuid;
use wrenn_domain::{
    action::Action,
    audit::AuditIntent,
    host::{Attachment, HostCapacity, NewHost},
    ids::{HostId, SandboxId, ServerId, TeamId, TemplateId},
    lifecycle::{Lifecycle, SandboxStatus},
    principal::SystemReason,
    sandbox::NewSandbox,
    template::Template,
};
use wrenn_store::Store;

/// Returns an audit entry of the control plane itself. Its action does not matter.
pub fn intent() -> AuditIntent {
    AuditIntent::system(SystemReason::Build, Action::SandboxCreate)
}

/// Returns a sandbox of the platform from the template `minimal`, which every database has.
pub fn new_sandbox() -> NewSandbox {
    NewSandbox {
        id: SandboxId::new(),
        team_id: TeamId::PLATFORM,
        template_id: TemplateId(Uuid::from_u128(1)),
        template_name: "minimal".to_owned(),
        template_image: Some("minimal.ext4".to_owned()),
        template_hosts: None,
        vcpus: 1,
        memory_mb: 512,
        disk_size_mb: 5120,
        timeout_sec: 0,
        auto_resume: false,
        default_user: "root".to_owned(),
        envs: [].into(),
        metadata: [].into(),
        preview_access: Default::default(),
        build: None,
    }
}

/// Returns a sandbox of the platform from a template; the hosts that have the template are known.
pub async fn new_sandbox_of(store: &Store, template: &Template) -> NewSandbox {
    let template_hosts = match &template.image {
        Some(_) => None,
        None => Some(store.template_hosts(template.id).await.unwrap()),
    };
    NewSandbox {
        template_id: template.id,
        template_name: template.name.clone(),
        template_image: template.image.clone(),
        template_hosts,
        ..new_sandbox()
    }
}

/// Records a host of the platform.
pub async fn host(store: &Store) -> HostId {
    store.host_create(&NewHost::default()).await.unwrap().id
}

/// Records a host of the platform, and attaches it to a server of its own.
pub async fn attached_host(store: &Store) -> Attachment {
    let (host, server) = (host(store).await, ServerId::new());
    store.server_register(server).await.unwrap();
    store.host_attached(host, server, HostCapacity::default()).await.unwrap().unwrap()
}

/// Returns the attachment of a host that has one.
pub async fn attachment(store: &Store, host: HostId) -> Attachment {
    store.host_attachment(host).await.unwrap().unwrap()
}

/// Returns the settled state of a sandbox that runs.
pub fn running(from: &Lifecycle) -> Lifecycle {
    Lifecycle { status: SandboxStatus::Running, operation: None, ..from.clone() }
}
