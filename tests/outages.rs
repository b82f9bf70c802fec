//! Outages of 20s: a create, a deploy and a build wait meanwhile, and each comes to its true end.
//!
//! Each outage has a sandbox of its own, and begins when all three operations are in their waits.
//! What they wait for comes after it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail where it stands"
)]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use berth::{
    DeployRequest, Event, EventSink,
    builds::BuildRequest,
    domain::{BuildStatus, DeploymentStatus, Outcome, PodStatus},
    setup::BuilderSetup,
    store::OperationFilter,
};
use serde_json::{Value, json};
use support::bench::{WELL, World, image, skipped_on_a_cluster, until};

const OUTAGE: Duration = Duration::from_secs(20);

/// A request to the sandbox's control endpoint.
type Control = (&'static str, Value);

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_link_ends_no_operation() {
    let cut = json!({ "refuse": true, "cut": true });
    survive("a cut link", &[("/link", cut)], ("/link", json!("resume"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_carries_nothing_ends_no_operation() {
    let stall = ("/link", json!("stall"));
    survive("a stalled link", &[stall], ("/link", json!("resume"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_sshd_ends_no_operation() {
    let restart = [("/link", json!("refuse")), ("/sshd", json!("restart"))];
    survive("a restart of sshd", &restart, ("/link", json!("resume"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_away_ends_no_operation() {
    let away = [("/api", json!({ "down": true }))];
    let back = ("/api", json!({ "down": false }));
    survive("an API server that is away", &away, back).await;
}

async fn survive(outage: &str, begin: &[Control], end: Control) {
    if skipped_on_a_cluster(outage, "only the sandbox has outages when it is asked to") {
        return;
    }
    let mut world = World::with_sandbox(&[]).await;
    let _builder = world.builder_namespace();
    let config = world.config();
    let berth = world.client().await;
    let setup = BuilderSetup {
        namespace: config.builds.namespace.clone(),
        aws: None,
        login: None,
        adopt: false,
    };
    berth.setup().builder(&setup).await.unwrap();
    let (pod, web) = (world.project(), world.project());

    let create = pod.request().image("slow.invalid/workspace:25").unwrap();
    let late = format!("sleep 35; {WELL}");
    let deploy = DeployRequest::new(web.owner.clone(), image().parse().unwrap())
        .unwrap()
        .command(["/bin/sh", "-c", &late].map(str::to_owned).to_vec())
        .unwrap()
        .start_period(Duration::from_mins(2))
        .unwrap()
        .no_ingress();
    let context = world.scratch.path().join("context");
    std::fs::create_dir(&context).unwrap();
    let dockerfile = format!("FROM {}\nRUN echo begun; sleep 45; echo done\n", image());
    std::fs::write(context.join("Dockerfile"), dockerfile).unwrap();
    let build = BuildRequest::folder("outages/app", &context).unwrap();

    let seen = Arc::new(Seen::default());
    let watched = berth.with_events(seen.clone());
    let (pods, deployments, builds) = (
        watched.pods().clone(),
        watched.deployments().clone(),
        watched.builds().clone(),
    );
    // The one whose wait is the longest begins first.
    let building = tokio::spawn(async move { builds.build(build).await });
    until("begun", || seen.has("begun") || building.is_finished()).await;
    let deployed = tokio::spawn(async move { deployments.deploy(deploy).await });
    let rollout = "not ready yet";
    until(rollout, || seen.has(rollout) || deployed.is_finished()).await;
    let created = tokio::spawn(async move { pods.manage(create).await });
    until("pulling", || seen.has("pulling") || created.is_finished()).await;
    let all_wait = !(created.is_finished() || deployed.is_finished() || building.is_finished());
    let control = |(path, body): &Control| world.bench.control("POST", path, body);
    if all_wait {
        for it in begin {
            control(it);
        }
        tokio::time::sleep(OUTAGE).await;
        control(&end);
    }
    let (created, deployed, made) = tokio::join!(created, deployed, building);
    println!("{}", seen.0.lock().unwrap().join("\n"));

    let created = created.unwrap().unwrap();
    assert_eq!(created.record.status, PodStatus::Running);
    let deployed = deployed.unwrap().unwrap();
    assert_eq!(deployed.record.status, DeploymentStatus::Running);
    let made = made.unwrap().unwrap();
    assert_eq!(made.record.status, BuildStatus::Succeeded);
    assert!(made.record.digest.is_some());
    assert!(all_wait, "one ended before the outage");
    // A link that only carries nothing for a while is not lost.
    let is_told = seen.has("the cluster is out of reach");
    assert!(is_told || outage == "a stalled link");
    for line in ["begun", "done"] {
        assert_eq!(seen.count(line), 1, "{line}");
    }
    let history = berth.history(OperationFilter::default()).await.unwrap();
    let ends = history.records.iter().map(|it| it.outcome);
    assert!(ends.clone().count() >= 3);
    assert!(ends.into_iter().all(|it| it == Some(Outcome::Succeeded)));
}

/// The texts of all events.
#[derive(Default)]
struct Seen(Mutex<Vec<String>>);

impl EventSink for Seen {
    fn event(&self, event: &Event) {
        self.0.lock().unwrap().push(event.to_string());
    }
}

impl Seen {
    fn has(&self, text: &str) -> bool {
        self.0.lock().unwrap().iter().any(|it| it.contains(text))
    }

    fn count(&self, text: &str) -> usize {
        let seen = self.0.lock().unwrap();
        seen.iter().filter(|it| it.as_str() == text).count()
    }
}
