//! The load balancers and their controller.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;

use super::{Problem, Shared, done};

pub(super) async fn describe(State(controls): Shared) -> Json<Value> {
    Json(controls.alb.describe())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    controller: bool,
}

/// Takes the controller out of work, or brings it back.
pub(super) async fn change(
    State(controls): Shared,
    Json(change): Json<Change>,
) -> Result<Json<Value>, Problem> {
    controls.alb.set_working(change.controller).await?;
    Ok(done())
}
