//! Shows how many capsules the principal's team runs and what is reserved for it: now, and over a range.

use wrenn_domain::{
    action::Action,
    principal::Principal,
    statistics::{StatsRange, TeamStatistics},
};

use crate::{Control, read_error::ReadError};

/// Returns the statistics of a range that ends now. Current values are counted, not sampled; peaks are those of the
/// longest range.
///
/// # Errors
/// See [`ReadError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    range: StatsRange,
) -> Result<TeamStatistics, ReadError> {
    let pass = control.enter(principal, Action::SandboxStats).await?;
    let (store, team) = (control.store(), pass.team());
    let (now, current) = store.team_reserved(team).await?;
    let longest = StatsRange::LONGEST.window(now);
    let rollups = store.team_rollups(team, &longest).await?;
    let peaks = rollups.iter().fold(current, |peaks, rollup| peaks.max(rollup.reserved));
    let series = if range == StatsRange::LONGEST {
        longest.series(rollups, current)
    } else {
        let window = range.window(now);
        window.series(store.team_samples(team, &window).await?, current)
    };
    Ok(TeamStatistics { now, current, peaks, series })
}
