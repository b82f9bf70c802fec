//! The capabilities on a cluster in memory: outages, races, quotas, crash loops and rollbacks, with tokio's
//! clock paused. The end-to-end suites show the same on the sandbox, where it takes its time.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail where it stands"
)]

use std::{
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use berth::{
    Berth, DeployRequest, Error, Event, EventSink, Kind, ManageRequest, Rollback,
    builds::BuildRequest,
    cluster::{
        Client, ObjectChange, Resource,
        in_memory::{ApiError, Away, Fate, InMemory},
    },
    config::Config,
    deployments::{DeployAction, dry_run_with_build},
    domain::{BuildCause, BuildStatus, Cause, Namespace, Operation, Owner, Silent},
    pods::Action,
    store::OperationFilter,
};
use diesel::{Connection as _, RunQueryDsl as _, SqliteConnection};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A cluster, and clients of it that share a database.
struct World {
    cluster: InMemory,
    scratch: TempDir,
}

impl World {
    /// A cluster whose pods have the fate that their first container's image stands for.
    fn new() -> Self {
        let cluster = InMemory::new();
        cluster.run_workloads(|pod| {
            let image = pod["spec"]["containers"][0]["image"].as_str().unwrap();
            match image {
                _ if image.contains("crashing") => Fate::CrashLoop(3),
                _ if pod.to_string().contains("--target=failing") => {
                    Fate::Ends(1, Duration::from_secs(5), String::new())
                }
                _ if pod["metadata"]["labels"]["job-name"].is_string() => {
                    Fate::Ends(0, Duration::from_secs(30), DIGEST.to_owned())
                }
                _ => Fate::Ready(Duration::from_secs(30)),
            }
        });
        cluster.add_controller(|cluster, change| {
            let ObjectChange::Is(pod) = change else {
                return;
            };
            let container = &pod["spec"]["containers"][0];
            let restarts = &pod["status"]["containerStatuses"][0]["restartCount"];
            if change.kind() == "Pod" && restarts == 2 {
                let name = container["name"].as_str().unwrap();
                cluster.print(&namespace(), change.name(), name, "no database");
            }
        });
        cluster.put(&json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "builder"},
        }));
        Self {
            cluster,
            scratch: tempfile::tempdir().unwrap(),
        }
    }

    /// A small folder to build.
    fn build(&self) -> BuildRequest {
        let folder = self.scratch.path().join("context");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("Dockerfile"), "FROM scratch\n").unwrap();
        BuildRequest::folder("shop/web", folder).unwrap()
    }

    /// The image that the project's deployment asks for.
    fn image(&self) -> String {
        let all = self.cluster.list(Resource::DEPLOYMENTS, Some(&namespace()));
        let image = &all[0]["spec"]["template"]["spec"]["containers"][0]["image"];
        image.as_str().unwrap().to_owned()
    }

    fn config(&self) -> Config {
        let folder = self.scratch.path().display();
        let variables = [
            ("K8S_SSH_HOST", "in-memory.invalid".to_owned()),
            ("K8S_SSH_KEY_FILE", "/nonexistent".to_owned()),
            ("DATABASE_URL", format!("sqlite://{folder}/berth.sqlite3")),
            ("IMAGE_REGISTRY", "registry.invalid".to_owned()),
            ("BUILDER_NAMESPACE", "builder".to_owned()),
            ("HOME", folder.to_string()),
            ("USER", "tester".to_owned()),
        ];
        let lookup = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| value.clone())
        };
        Config::from_vars(lookup).unwrap()
    }

    async fn berth(&self) -> Berth {
        Berth::builder()
            .config(self.config())
            .cluster(Client::new(self.cluster.clone()))
            .open()
            .await
            .unwrap()
    }
}

fn shop() -> ManageRequest {
    ManageRequest::project("shop").unwrap()
}

fn deploy(image: &str) -> DeployRequest {
    let image = format!("registry.invalid/{image}@{DIGEST}");
    let owner = Owner::project("shop").unwrap();
    DeployRequest::named(owner, "web".parse().unwrap(), image.parse().unwrap()).no_ingress()
}

fn namespace() -> Namespace {
    Owner::project("shop").unwrap().namespace().clone()
}

/// How long the cluster is out of reach.
const OUTAGE: Duration = Duration::from_secs(20);

/// Notes an operation's events from the first of a step on, and lets the cluster be away from one of them on.
struct Cut {
    cluster: InMemory,
    how: Away,
    step: &'static str,
    at: usize,
    events: Mutex<Vec<String>>,
}

impl Cut {
    fn new(cluster: &InMemory, how: Away, step: &'static str, at: usize) -> Arc<Self> {
        Arc::new(Self {
            cluster: cluster.clone(),
            how,
            step,
            at,
            events: Mutex::default(),
        })
    }
}

impl EventSink for Cut {
    fn event(&self, event: &Event) {
        let event = format!("{:?}", event.kind);
        let mut events = self.events.lock().unwrap();
        if events.is_empty() && !event.starts_with(&format!("Step({}", self.step)) {
            return;
        }
        if events.len() == self.at {
            self.cluster.be_away(self.how, OUTAGE);
        }
        events.push(event);
    }
}

/// Runs the operation in a new world for each of its events, from the first that is of this step to the
/// end, and cuts the connection for a while at that event.
async fn survives_an_outage_at_each_step(
    step: &'static str,
    operation: impl AsyncFn(&World, Arc<dyn EventSink>) -> Result<(), Error>,
) {
    let world = World::new();
    let uncut = Cut::new(&world.cluster, Away::Link, step, usize::MAX);
    operation(&world, uncut.clone()).await.unwrap();
    let events = uncut.events.lock().unwrap().clone();
    assert!(events.len() > 1, "{events:?}");
    for how in [Away::Link, Away::ApiServer] {
        for (at, event) in events.iter().enumerate() {
            let world = World::new();
            let begun = Instant::now();
            let cut = Cut::new(&world.cluster, how, step, at);
            let done = operation(&world, cut).await;
            done.unwrap_or_else(|error| panic!("{how:?} at {event}: {error:?}"));
            // No longer than the pods take, and the outage.
            let longest = Duration::from_secs(30) + OUTAGE * 2;
            let took = begun.elapsed();
            assert!(took < longest, "{how:?} at {event}: {took:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_create_survives_an_outage_at_each_step() {
    survives_an_outage_at_each_step("Applying", async |world, sink| {
        let pods = world.berth().await.pods().with_events(sink);
        let managed = pods.manage(shop()).await?;
        assert_eq!(managed.action, Action::Created);
        Ok(())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_deploy_survives_an_outage_at_each_step() {
    survives_an_outage_at_each_step("Applying", async |world, sink| {
        let deployments = world.berth().await.deployments().with_events(sink);
        let deployed = deployments.deploy(deploy("good")).await?;
        assert_eq!(deployed.action, DeployAction::Created);
        Ok(())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_build_survives_an_outage_at_each_step() {
    survives_an_outage_at_each_step("Waiting", async |world, sink| {
        let builds = world.berth().await.builds().with_events(sink);
        let built = builds.build(world.build()).await?;
        assert_eq!(built.record.status, BuildStatus::Succeeded);
        assert_eq!(built.digest.to_string(), DIGEST);
        Ok(())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_does_not_end_fails_the_operation_in_time() {
    let world = World::new();
    let berth = world.berth().await;
    let begun = Instant::now();
    let cut = async {
        sleep(Duration::from_secs(5)).await;
        world
            .cluster
            .be_away(Away::ApiServer, Duration::from_hours(9));
    };
    let (deployed, ()) = tokio::join!(berth.deployments().deploy(deploy("good")), cut);
    let error = deployed.unwrap_err();
    assert!(
        matches!(
            error.kind(),
            Kind::Unreachable | Kind::TimedOut | Kind::LinkLost
        ),
        "{error:?}"
    );
    assert!(begun.elapsed() < Duration::from_hours(1));
    let history = berth.history(OperationFilter::default()).await.unwrap();
    assert!(history.records[0].error.is_some());
    // The next one finds what is there.
    world.cluster.come_back();
    berth.deployments().deploy(deploy("good")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_not_taken_for_a_workload_that_does_not_run() {
    let world = World::new();
    let berth = world.berth().await;
    berth.deployments().deploy(deploy("good")).await.unwrap();
    let (release, pod) = (deploy("better").rollback_on_failure(true), shop());
    let silence = async {
        sleep(Duration::from_secs(5)).await;
        world.cluster.be_away(Away::Silent, Duration::from_hours(9));
        // Both are ready meanwhile.
        sleep(Duration::from_hours(2)).await;
        world.cluster.come_back();
    };
    let (deployed, created, ()) = tokio::join!(
        berth.deployments().deploy(release),
        berth.pods().manage(pod),
        silence
    );
    for error in [deployed.unwrap_err(), created.unwrap_err()] {
        assert_eq!(error.kind(), Kind::TimedOut, "{error:?}");
    }
    assert!(world.image().contains("better"), "nothing was rolled back");
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_created_once() {
    let world = World::new();
    let berth = world.berth().await;
    let created = berth.pods().manage(shop()).await.unwrap();
    assert_eq!(created.action, Action::Created);
    let before = world.cluster.calls();
    let again = berth.pods().manage(shop()).await.unwrap();
    assert_eq!(again.action, Action::Unchanged);
    assert_eq!(world.cluster.calls()["apply"], before["apply"]);
}

#[tokio::test(start_paused = true)]
async fn two_creates_at_once_make_one_pod() {
    let world = World::new();
    let (one, two) = (world.berth().await, world.berth().await);
    let (one, two) = tokio::join!(one.pods().manage(shop()), two.pods().manage(shop()));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.record.pod_name, two.record.pod_name);
    let mut actions = [one.action, two.action].map(|it| it.to_string());
    actions.sort();
    assert_eq!(actions, ["created", "unchanged"]);
    let pods = world.cluster.list(Resource::PODS, Some(&namespace()));
    assert_eq!(pods.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_two_deploys_at_once_one_is_refused_or_waits() {
    let world = World::new();
    let (one, two) = (world.berth().await, world.berth().await);
    let first = one.deployments().deploy(deploy("first"));
    let second = async {
        sleep(Duration::from_secs(5)).await;
        let refused = two.deployments().deploy(deploy("second")).await;
        let waits = deploy("second").wait_for_turn(true);
        (refused, two.deployments().deploy(waits).await)
    };
    let (first, (refused, second)) = tokio::join!(first, second);
    assert_eq!(first.unwrap().action, DeployAction::Created);
    assert_eq!(refused.unwrap_err().kind(), Kind::Busy);
    assert_eq!(second.unwrap().action, DeployAction::Updated);
    assert!(world.image().contains("second"));
}

#[tokio::test(start_paused = true)]
async fn a_deploy_that_has_lost_its_lease_writes_nothing_more() {
    let world = World::new();
    let berth = world.berth().await;
    let steal = async {
        sleep(Duration::from_secs(10)).await;
        let path = world.scratch.path().join("berth.sqlite3");
        let mut database = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
        let stolen = diesel::sql_query("DELETE FROM leases");
        assert_eq!(stolen.execute(&mut database).unwrap(), 1);
    };
    let (deployed, ()) = tokio::join!(berth.deployments().deploy(deploy("good")), steal);
    let error = deployed.unwrap_err();
    assert!(
        error.to_string().contains("lease") || error.kind() == Kind::Busy,
        "{error:?}"
    );
    let history = berth.history(OperationFilter::default()).await.unwrap();
    assert!(history.records[0].error.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_quota_ends_the_wait_at_once() {
    let world = World::new();
    world.cluster.refuse(|object| {
        let words = "pods \"web\" is forbidden: exceeded quota: small, requested: pods=1, \
                     used: pods=0, limited: pods=0";
        (object["kind"] == "Pod").then(|| ApiError::new(403, "Forbidden", words))
    });
    let berth = world.berth().await;
    let begun = Instant::now();
    let error = berth
        .deployments()
        .deploy(deploy("good"))
        .await
        .unwrap_err();
    let Error::DeployFailed { diagnosis, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(diagnosis.cause, Cause::Quota);
    let error = berth.pods().manage(shop()).await.unwrap_err();
    let Error::PodFailed { diagnosis, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(diagnosis.cause, Cause::Quota);
    assert!(
        begun.elapsed() < Duration::from_mins(2),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_is_told_with_its_cause_and_its_last_lines() {
    let world = World::new();
    let berth = world.berth().await;
    let deployments = berth.deployments();
    deployments.deploy(deploy("good")).await.unwrap();
    let error = deployments.deploy(deploy("crashing")).await.unwrap_err();
    let Error::DeployFailed {
        diagnosis, serving, ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(
        (diagnosis.cause, diagnosis.exit_code),
        (Cause::CrashLoop, Some(3))
    );
    assert_eq!(diagnosis.log_tail, ["no database"]);
    assert!(serving.as_ref().unwrap().contains("good"));
    assert!(world.image().contains("crashing"));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_fails_is_rolled_back_when_asked() {
    let world = World::new();
    let berth = world.berth().await;
    let deployments = berth.deployments();
    deployments.deploy(deploy("good")).await.unwrap();
    let request = deploy("crashing").rollback_on_failure(true);
    let error = deployments.deploy(request).await.unwrap_err();
    let Error::DeployFailed { rollback, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(rollback, Rollback::Done { .. }), "{rollback:?}");
    assert!(world.image().contains("good"));

    deployments.deploy(deploy("better")).await.unwrap();
    let owner = Owner::project("shop").unwrap();
    let back = deployments
        .rollback(&owner, deploy("good").name(), None)
        .await
        .unwrap();
    assert_eq!(back.action, DeployAction::RolledBack);
    assert!(world.image().contains("good"));
}

#[tokio::test(start_paused = true)]
async fn what_was_built_is_deployed_by_its_digest() {
    let world = World::new();
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&events);
    let sink = move |event: &Event| sink.lock().unwrap().push(event.operation);
    let berth = world.berth().await.with_events(Arc::new(sink));
    let build = world.build();
    // The image of the request is replaced.
    let done = berth.build_and_deploy(build, deploy("older")).await;
    let done = done.unwrap();
    let image = format!("registry.invalid/shop/web@{DIGEST}");
    assert_eq!(done.built.image.to_string(), image);
    assert_eq!(done.deployed.record.image.to_string(), image);
    assert_eq!(done.deployed.record.name.as_str(), "web");
    assert_eq!(world.image(), image);

    let mut told = events.lock().unwrap().clone();
    told.dedup();
    assert_eq!(told, [Operation::Build, Operation::Deploy]);
    let history = berth.history(OperationFilter::default()).await.unwrap();
    let done: Vec<_> = history.records.iter().map(|it| it.operation).collect();
    assert_eq!(done, [Operation::Deploy, Operation::Build]);
}

#[tokio::test(start_paused = true)]
async fn a_build_that_fails_changes_no_deployment() {
    let world = World::new();
    let berth = world.berth().await;
    berth.deployments().deploy(deploy("good")).await.unwrap();
    let build = world.build().target("failing").unwrap();
    let error = berth.build_and_deploy(build, deploy("next")).await;
    let error = error.unwrap_err();
    let failure = error.build_failure().unwrap_or_else(|| panic!("{error:?}"));
    assert_ne!(failure.cause, BuildCause::NoBuilder, "{failure:?}");
    assert!(world.image().contains("good"));
    let history = berth.history(OperationFilter::default()).await.unwrap();
    assert_eq!(history.records[0].operation, Operation::Build);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_can_not_be_is_refused_before_its_image_is_built() {
    let world = World::new();
    let berth = world.berth().await;
    // There is no domain below which it could have a name.
    let exposed = DeployRequest::project("shop", "web").unwrap();
    let too_little = deploy("web").memory_limit("1Mi").unwrap();
    let too_little = too_little.memory_request("2Mi").unwrap();
    for request in [exposed, too_little] {
        let error = berth.build_and_deploy(world.build(), request).await;
        assert_eq!(error.unwrap_err().kind(), Kind::BadInput);
    }
    let history = berth.history(OperationFilter::default()).await.unwrap();
    assert!(history.records.is_empty(), "{:?}", history.records);
    assert_eq!(world.cluster.calls().get("apply"), None);
}

#[tokio::test]
async fn a_build_and_its_deployment_can_be_shown_before() {
    let world = World::new();
    let (config, events) = (world.config(), Arc::new(Silent));
    let shown = dry_run_with_build(&config, &world.build(), &deploy("web"), events).await;
    let (build, deploy) = shown.unwrap();
    let image = build.image.to_string();
    assert!(image.starts_with("registry.invalid/shop/web:"), "{image}");
    let deploy = serde_json::to_string(&deploy).unwrap();
    assert!(deploy.contains(&image), "{deploy}");
}
