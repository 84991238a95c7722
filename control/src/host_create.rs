//! Makes the record of a host, and the token with which it registers.
//!
//! An administrator of the platform makes hosts of the platform; owners and admins of a team that may bring hosts of its own
//! make hosts of that team.

use wrenn_domain::{
    action::Action,
    host::{HostKind, NewHost},
    ids::{HostId, TeamId},
    limits::{self, LimitError},
    permission::Denial,
    principal::Principal,
};

use crate::{
    Control,
    host_error::HostError,
    host_shown::{ShownHost, shown},
};

/// A host that somebody wants to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRequest {
    /// Owner of the host.
    pub kind: HostKind,
    /// Team that brings it; the principal's own by default.
    pub team: Option<TeamId>,
    /// Provider from whom the machine is rented.
    pub provider: Option<String>,
    /// Availability zone.
    pub availability_zone: Option<String>,
}

/// Makes the record; returns it with the text of its registration token, which is nowhere else and is good once, for an hour.
///
/// # Errors
/// See [`HostError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    request: HostRequest,
) -> Result<(ShownHost, String), HostError> {
    let pass = control.enter(principal, Action::HostCreate).await?;
    let Principal::User { id: user, membership, is_admin, .. } = *principal else {
        return Err(Denial::NotSignedIn.into());
    };
    let own = membership.map(|membership| membership.team);
    let team_id = match request.kind {
        HostKind::Regular if !is_admin => return Err(Denial::NotAdmin.into()),
        HostKind::Regular => None,
        HostKind::Byoc => Some(request.team.or(own).ok_or(Denial::NoTeam)?),
    };
    let id = HostId::new();
    let intent = pass.intent().of(id).with("type", request.kind);
    let intent = match team_id {
        // Until it is known that the principal belongs to the team, its log has no entry.
        Some(team) if own == Some(team) => intent.in_team(team),
        _ => intent.of_platform(),
    };
    let of_change = team_id.map_or(intent.clone(), |team| intent.clone().in_team(team));
    let created: Result<_, HostError> = async {
        if let (HostKind::Regular, Some(_)) = (request.kind, request.team) {
            let wrong = "a regular host belongs to no team; leave it out, or ask for the type `byoc`".into();
            return Err(LimitError { field: "team_id", wrong }.into());
        }
        for (field, text) in
            [("provider", &request.provider), ("availability_zone", &request.availability_zone)]
        {
            text.as_deref().map_or(Ok(()), |text| limits::check_name(field, text))?;
        }
        let new = NewHost {
            team_id,
            provider: request.provider.clone(),
            availability_zone: request.availability_zone.clone(),
            created_by: Some(user),
        };
        let token = control.new_registration_token();
        let host = control.store().host_bring(id, &new, user, &token.hash(), &of_change).await?;
        Ok((host, token.into_text()))
    }
    .await;
    let created = control.audited(intent, created).await?;
    tracing::info!(host = %id, team_id = team_id.map(tracing::field::display), "host record created");
    let (host, token) = created;
    Ok((shown(control, principal, host).await?, token))
}
