//! The control endpoint: HTTP and JSON on loopback, by which tests make faults and look behind the
//! scenes. What each path does is told in the README; nothing here is part of Kubernetes.

mod alb;
pub(crate) mod faults;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use self::faults::Faults;
use crate::alb::Alb;
use crate::host::Host;
use crate::host::processes::running;
use crate::node::Node;
use crate::registry::{Credentials, Registry};

/// What the endpoint can reach.
pub(crate) struct Controls {
    pub(crate) host: Arc<Host>,
    pub(crate) node: Arc<Node>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) alb: Arc<Alb>,
    pub(crate) registry: Arc<Registry>,
}

/// Starts the endpoint and tells its address.
pub(crate) async fn start(controls: Controls) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let routes = Router::new()
        .route("/link", post(link))
        .route("/api", post(api))
        .route("/exec/drop", post(drop_exec))
        .route("/host", get(behaviour).post(change_behaviour))
        .route("/ssh/commands", get(commands))
        .route("/sshd", post(sshd))
        .route("/processes", get(processes))
        .route("/pods/evict", post(evict))
        .route("/alb", get(alb::describe).post(alb::change))
        .route("/registry", post(registry))
        .with_state(Arc::new(controls));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(address)
}

type Shared = State<Arc<Controls>>;

/// An error of ours, as text.
struct Problem(StatusCode, String);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}"))
    }
}

fn bad(message: &str) -> Problem {
    Problem(StatusCode::BAD_REQUEST, message.to_owned())
}

fn done() -> Json<Value> {
    Json(json!({ "ok": true }))
}

/// Takes one act as a word, `"cut"`, or several as fields, `{"delay_ms": 50, "cut": true}`.
async fn link(State(controls): Shared, Json(change): Json<Value>) -> Result<Json<Value>, Problem> {
    let link = &controls.host.link;
    let acts = match change {
        Value::String(act) => vec![(act, Value::Bool(true))],
        Value::Object(fields) => fields.into_iter().collect(),
        _ => Vec::new(),
    };
    if acts.is_empty() {
        return Err(bad(LINK_ACTS));
    }
    for (act, value) in acts {
        match (act.as_str(), value.as_bool(), value.as_u64()) {
            ("delay_ms", _, Some(delay)) => link.delay(Duration::from_millis(delay)),
            ("cut", Some(true), _) => link.cut(),
            ("stall", Some(true), _) => link.stall(),
            ("refuse", Some(true), _) => link.refuse(),
            ("resume", Some(true), _) => link.resume()?,
            _ => return Err(bad(LINK_ACTS)),
        }
    }
    Ok(done())
}

const LINK_ACTS: &str = "one of \"cut\", \"stall\", \"resume\", \"refuse\", {\"delay_ms\": n}";

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ApiChange {
    down: Option<bool>,
    delay_ms: Option<u64>,
}

async fn api(
    State(controls): Shared,
    Json(change): Json<ApiChange>,
) -> Result<Json<Value>, Problem> {
    if let Some(delay) = change.delay_ms {
        controls.faults.delay_api(Duration::from_millis(delay));
    }
    if let Some(down) = change.down {
        controls.faults.take_api_down(down).await;
    }
    Ok(done())
}

async fn drop_exec(State(controls): Shared) -> Json<Value> {
    controls.faults.drop_exec();
    done()
}

async fn behaviour(State(controls): Shared) -> Result<Json<Value>, Problem> {
    let behaviour = controls.host.stage.behaviour()?;
    Ok(Json(
        serde_json::to_value(behaviour).map_err(anyhow::Error::from)?,
    ))
}

/// Changes the fields that are given.
async fn change_behaviour(
    State(controls): Shared,
    Json(change): Json<Value>,
) -> Result<Json<Value>, Problem> {
    let now = controls.host.stage.behaviour()?;
    let mut fields = serde_json::to_value(now).map_err(anyhow::Error::from)?;
    if let (Some(fields), Some(change)) = (fields.as_object_mut(), change.as_object()) {
        fields.extend(change.clone());
    }
    let next = serde_json::from_value(fields).map_err(|error| bad(&error.to_string()))?;
    controls.host.stage.set_behaviour(&next)?;
    Ok(done())
}

async fn commands(State(controls): Shared) -> Result<Json<Value>, Problem> {
    let sessions = controls.host.stage.sessions()?;
    Ok(Json(
        json!({ "count": sessions.len(), "commands": sessions }),
    ))
}

/// Takes the word `"restart"`.
async fn sshd(State(controls): Shared, Json(act): Json<String>) -> Result<Json<Value>, Problem> {
    if act != "restart" {
        return Err(bad("\"restart\""));
    }
    controls.host.restart_sshd()?;
    Ok(done())
}

async fn processes(State(controls): Shared) -> Json<Value> {
    Json(json!({
        "running": running(controls.host.sshd_pid),
        "seen": controls.host.witness.seen(),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Eviction {
    namespace: String,
    name: String,
    #[serde(default)]
    message: Option<String>,
}

async fn evict(
    State(controls): Shared,
    Json(eviction): Json<Eviction>,
) -> Result<Json<Value>, Problem> {
    let message = eviction.message.unwrap_or_else(|| {
        "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 512Mi. ".to_owned()
    });
    if controls
        .node
        .evict(&eviction.namespace, &eviction.name, "Evicted", &message)
    {
        Ok(done())
    } else {
        Err(Problem(
            StatusCode::NOT_FOUND,
            "no such pod on the node".to_owned(),
        ))
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RegistryChange {
    down: Option<bool>,
    read_only: Option<bool>,
    credentials: Asked,
}

/// Whom the registry is to let in.
#[derive(Default)]
enum Asked {
    /// The field is not there.
    #[default]
    AsBefore,
    /// It is null.
    Anybody,
    Only(Credentials),
}

impl<'de> Deserialize<'de> for Asked {
    fn deserialize<D: serde::Deserializer<'de>>(field: D) -> Result<Self, D::Error> {
        let credentials = Option::deserialize(field)?;
        Ok(credentials.map_or(Self::Anybody, Self::Only))
    }
}

async fn registry(
    State(controls): Shared,
    Json(change): Json<RegistryChange>,
) -> Result<Json<Value>, Problem> {
    if let Some(read_only) = change.read_only {
        controls.registry.refuse_pushes(read_only);
    }
    match &change.credentials {
        Asked::AsBefore => {}
        Asked::Anybody => controls.registry.ask_for(None),
        Asked::Only(credentials) => controls.registry.ask_for(Some(credentials)),
    }
    if let Some(down) = change.down {
        controls.registry.take_down(down).await?;
    }
    Ok(done())
}
