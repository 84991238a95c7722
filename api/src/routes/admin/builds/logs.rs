//! `GET /v1/admin/builds/{id}/logs`: a build as it goes on, as server-sent events.
//!
//! ```text
//!   event: build    data: the build without its logs: at first, whenever it changes, and when all of it was told
//!   event: step     data: a log entry without its text, when the step begins and when it ends
//!   id: 17
//!   event: line     data: {"step": 3, "stream": "stdout", "text": "…"}
//!   : alive         now and then
//!   event: end      nothing follows
//! ```
//!
//! Everything that is known is told first, then what happens. A client that comes again with the `Last-Event-ID` of a line
//! gets the lines after it; lines of an attempt that is over are not told again.

use std::{collections::BTreeMap, time::Duration};

use actix_web::{HttpRequest, HttpResponse, web::Data};
use serde::Serialize;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use utoipa::ToSchema;
use wrenn_proto::ids::BuildId;

use super::{Build, LogEntry, get::GetBuildError};
use crate::{
    app::App,
    auth::Admin,
    error::{Chain, ErrorBody},
    http::{
        extract::{AuthThen, PathId},
        sse::{self, Events, Left},
    },
};

/// How long a look is put off if nothing is told: the build may be another server's.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So many lines are read at once.
const LINES: u32 = 500;

/// The data of a `line`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogLine {
    step: u32,
    /// `stdout` or `stderr`.
    stream: &'static str,
    /// Without its end.
    text: String,
}

/// Follow a build
///
/// Server-sent events: `step` (a log entry without text) when a step begins and when it ends, `line` for every line that
/// is printed, `build` (without logs) whenever it changes, `end` when nothing follows. `Last-Event-ID` goes on after a
/// line.
#[utoipa::path(
    get, path = "/v1/admin/builds/{id}/logs", tag = "administration", security(("bearerAuth" = [])),
    params(
        ("id" = String, Path, description = "The build"),
        ("Last-Event-ID" = Option<String>, Header, description = "Id of the last `line` that was received"),
    ),
    responses(
        (status = 200, description = "Events, until the build has ended", body = LogLine, content_type = "text/event-stream"),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "Only for administrators of the platform", body = ErrorBody),
        (status = 404, description = "There is no such build", body = ErrorBody),
    ),
)]
pub(crate) async fn follow_build(
    app: Data<App>,
    request: HttpRequest,
    AuthThen(_admin, PathId(id)): AuthThen<Admin, PathId<BuildId>>,
) -> Result<HttpResponse, GetBuildError> {
    let changed = app.control_plane.build_follow(id);
    app.store.build_fetch(id).await?.ok_or(GetBuildError::NotFound(id))?;
    let last = request.headers().get("last-event-id").and_then(|id| id.to_str().ok()?.trim().parse().ok());
    let follower = Follower {
        app: app.clone(),
        id,
        changed,
        seq: last.unwrap_or(0),
        steps: BTreeMap::new(),
        build: None,
    };
    Ok(sse::answer(|events| follower.run(events)))
}

struct Follower {
    app: Data<App>,
    id: BuildId,
    changed: watch::Receiver<()>,
    /// The last line that was told.
    seq: u64,
    /// What was told of the steps, and of the build.
    steps: BTreeMap<u32, LogEntry>,
    build: Option<Build>,
}

impl Follower {
    async fn run(mut self, mut events: Events) -> Result<(), Left> {
        loop {
            self.changed.borrow_and_update();
            match self.look(&mut events).await? {
                Ok(Progress::GoesOn) => {}
                Ok(Progress::Ended) => return events.tell("end", &serde_json::Map::new()).await,
                // The client comes again.
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "a build cannot be followed");
                    return Ok(());
                }
            }
            let look_at = Instant::now() + LOOK_EVERY;
            tokio::select! {
                // That nobody tells anything any more does not mean that nothing happens.
                Ok(()) = self.changed.changed() => {}
                () = sleep_until(look_at.min(events.alive_at())) => {}
                () = self.app.stopping.cancelled() => return Ok(()),
            }
            if Instant::now() >= events.alive_at() {
                events.alive().await?;
            }
        }
    }

    /// Tells what is new. The build is read first and told last: when it has ended, everything else is there. Whoever does
    /// not know it, or not this attempt, is told before, too: lines can be many.
    async fn look(&mut self, events: &mut Events) -> Result<Result<Progress, wrenn_store::StoreError>, Left> {
        let store = &self.app.store;
        let build = match store.build_fetch(self.id).await {
            Ok(Some(build)) => build,
            Ok(None) => return Ok(Ok(Progress::Ended)),
            Err(error) => return Ok(Err(error)),
        };
        let has_ended = build.status.has_ended();
        let build = Build::from(build);
        if self.build.as_ref().is_none_or(|told| told.attempt != build.attempt) {
            self.steps.clear();
            events.tell("build", &build).await?;
        }
        loop {
            // Lines before steps: that way the step of each line is known.
            let lines = match store.build_lines(self.id, self.seq, LINES).await {
                Ok(lines) => lines,
                Err(error) => return Ok(Err(error)),
            };
            let steps = match store.build_steps(self.id).await {
                Ok(steps) => steps,
                Err(error) => return Ok(Err(error)),
            };
            for step in steps {
                let entry = LogEntry::from(step);
                if self.steps.get(&entry.step) != Some(&entry) {
                    events.tell("step", &entry).await?;
                    self.steps.insert(entry.step, entry);
                }
            }
            if lines.is_empty() {
                break;
            }
            for line in lines {
                let data = LogLine { step: line.step, stream: line.stream.as_str(), text: line.line };
                events.tell_at(line.seq, "line", &data).await?;
                self.seq = line.seq;
            }
        }
        if self.build.as_ref() != Some(&build) {
            events.tell("build", &build).await?;
            self.build = Some(build);
        }
        Ok(Ok(if has_ended { Progress::Ended } else { Progress::GoesOn }))
    }
}

enum Progress {
    GoesOn,
    Ended,
}
