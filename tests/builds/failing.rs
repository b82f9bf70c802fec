//! What goes wrong is told with its cause, and the record tells it too.

use std::time::Duration;

use berth::{Error, Kind, builds::BuildRequest, domain::BuildCause};
use serde_json::json;

use crate::{
    support::bench::{World, is_cluster, skipped_on_a_cluster, text},
    yard::{Ears, Yard},
};

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_in_the_dockerfile_have_their_causes() {
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    assert_eq!(yard.cause("COPY nosuch /x").await, BuildCause::MissingFile);
    yard.dockerfile("RUN echo about to fail && exit 9");
    let failure = yard.failure(yard.request()).await;
    assert_eq!(failure.cause, BuildCause::RunFailed);
    assert_eq!(failure.exit_code, Some(9));
    assert!(failure.log_tail.iter().any(|line| line == "about to fail"));
    assert!(failure.message.contains("exit 9"), "{failure}");
    let registry = yard.registry();
    yard.file("Dockerfile", format!("FROM {registry}/no/such:1\n"));
    let failure = yard.failure(yard.request()).await;
    assert_eq!(failure.cause, BuildCause::BaseImage);
    assert_eq!(
        yard.failure(yard.request().builder_arg("--nonsense"))
            .await
            .cause,
        BuildCause::Other
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_past_its_time_is_an_error() {
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    yard.dockerfile("RUN sleep 60");
    let request = yard.request().time_limit(Duration::from_secs(3));
    let failure = yard.failure(request).await;
    assert_eq!(failure.cause, BuildCause::Deadline);
    assert!(failure.message.contains("3 s"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_registry_refuses_is_told() {
    if skipped_on_a_cluster("a registry's faults", "only the sandbox's has them") {
        return;
    }
    let Some(yard) = Yard::on(World::with_sandbox(&[]).await).await else {
        return;
    };
    yard.dockerfile("CMD [\"true\"]");
    let bench = &yard.world.bench;
    bench.control("POST", "/registry", &json!({ "read_only": true }));
    assert_eq!(
        yard.failure(yard.request()).await.cause,
        BuildCause::PushRefused
    );
    bench.control("POST", "/registry", &json!({ "read_only": false }));
    let login = json!({ "credentials": { "username": "robot", "password": "x" } });
    bench.control("POST", "/registry", &login);
    assert_eq!(
        yard.failure(yard.request()).await.cause,
        BuildCause::Credentials
    );
    bench.control(
        "POST",
        "/registry",
        &json!({ "credentials": null, "down": true }),
    );
    assert_eq!(
        yard.failure(yard.request()).await.cause,
        BuildCause::RegistryUnreachable
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_builder_that_cannot_be_pulled_is_told_and_not_left_behind() {
    let mut world = World::sqlite().await;
    if is_cluster() {
        // Nothing is pushed; but an image must have a registry.
        world.set("IMAGE_REGISTRY", "registry.example/team");
    }
    world.set("BUILDER_IMAGE", "never.invalid/kaniko:1");
    let yard = Yard::set_up(world).await;
    yard.dockerfile("CMD [\"true\"]");
    assert_eq!(
        yard.failure(yard.request()).await.cause,
        BuildCause::ImagePull
    );
    let namespace = yard.namespace();
    if !skipped_on_a_cluster(
        "the Job's absence",
        "it is looked for with kubectl on the host",
    ) {
        let jobs = yard
            .world
            .bench
            .kubectl(&["get", "jobs", "-n", &namespace, "-o", "name"]);
        assert_eq!(String::from_utf8_lossy(&jobs.stdout), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_place_to_build_in_nothing_is_begun() {
    let mut world = World::sqlite().await;
    world.set("BUILDER_NAMESPACE", "builder-that-nobody-made");
    let manager = world.client().await.builds().clone();
    let folder = world.scratch.path().to_owned();
    std::fs::write(folder.join("Dockerfile"), "FROM scratch\n").unwrap();
    let request = BuildRequest::folder("a.invalid/app", &folder).unwrap();
    let error = manager.build(request).await.unwrap_err();
    assert!(matches!(error, Error::NoBuilder { .. }), "{error:?}");
    assert_eq!(error.kind(), Kind::Configuration);
    assert!(error.hint().unwrap().contains("set up the builder"));
    let listed = manager
        .list(berth::store::BuildFilter::default())
        .await
        .unwrap();
    let failure = listed.records[0].failure.as_ref().unwrap();
    assert!(failure.message.contains("builder-that-nobody-made"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_dies_before_anything_is_sent() {
    let world = World::sqlite().await;
    let manager = world.client().await.builds().clone();
    let empty = world.scratch.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    for request in [
        BuildRequest::folder("a.invalid/app", &empty).unwrap(),
        BuildRequest::folder("a.invalid/app", empty.join("nosuch")).unwrap(),
        BuildRequest::folder("a.invalid/app", &empty)
            .unwrap()
            .builder_arg("--no-push"),
    ] {
        let error = manager.build(request).await.unwrap_err();
        assert_eq!(error.kind(), Kind::BadInput, "{error:?}");
    }
    let listed = manager
        .list(berth::store::BuildFilter::default())
        .await
        .unwrap();
    assert!(listed.records.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_is_told_at_the_end_of_a_log_that_was_rotated() {
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    // With what the container runtime writes before each line this is more than one log file.
    yard.dockerfile("RUN seq 400000; echo THE-REASON; false");
    let ears = Ears::new();
    let error = yard
        .manager
        .with_events(ears.clone())
        .build(yard.request())
        .await
        .unwrap_err();
    let failure = error.build_failure().unwrap();
    assert_eq!(failure.cause, BuildCause::RunFailed, "{failure:?}");
    let lines = ears.lines();
    let said = |line: &str| lines.iter().filter(|it| *it == line).count();
    assert_eq!(said("THE-REASON"), 1, "{:?}", failure.log_tail);
    assert_eq!(said("400000"), 1);
    assert!(failure.log_tail.iter().any(|it| it == "THE-REASON"));
    if skipped_on_a_cluster(
        "the numbers one by one",
        "a kubelet whose follow was overtaken by a rotation goes on in the new file without a word",
    ) {
        return;
    }
    // Between the first number that could still be read and the last each comes once, or the gap is said.
    let mut last: Option<u32> = None;
    for line in &lines {
        if line.contains("lines may be missing") {
            last = None;
        } else if let Ok(number) = line.parse() {
            assert!(
                last.is_none_or(|last| number == last + 1),
                "{last:?} {number}"
            );
            last = Some(number);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_architecture_that_no_node_has_is_named_in_seconds() {
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    yard.dockerfile("CMD [\"true\"]");
    let begun = std::time::Instant::now();
    // Kubernetes runs on it; no test cluster does.
    let request = yard.request().platform("linux/s390x").unwrap();
    let failure = yard.failure(request).await;
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_eq!(failure.cause, BuildCause::Architecture, "{failure:?}");
    assert!(failure.message.contains("architecture s390x"), "{failure}");
}

/// A pool without nodes may have the architecture: its autoscaler says that it adds one.
#[tokio::test(flavor = "multi_thread")]
async fn an_architecture_that_an_autoscaler_adds_is_waited_for() {
    let Some(yard) = Yard::sqlite().await else {
        return;
    };
    yard.dockerfile("CMD [\"true\"]");
    let request = yard.request().platform("linux/s390x").unwrap();
    // Longer than a pod without such an event is waited for.
    let request = request.time_limit(Duration::from_secs(30));
    let autoscaler = async {
        let namespace = yard.namespace();
        let names = "jsonpath={.items[*].metadata.name}";
        let get = ["get", "pods", "-n", &namespace, "-o", names];
        let pod = loop {
            match text(&yard.world.bench.kubectl(&get).stdout) {
                pod if pod.is_empty() => tokio::time::sleep(Duration::from_millis(200)).await,
                pod => break pod,
            }
        };
        yard.world.bench.kubectl_apply(&json!({
            "apiVersion": "v1", "kind": "Event", "type": "Normal",
            "metadata": { "name": "scale-up", "namespace": namespace },
            "involvedObject": { "kind": "Pod", "namespace": namespace, "name": pod },
            "reason": "TriggeredScaleUp",
            "message": "pod triggered scale-up: [{s390x 0->1 (max: 3)}]",
        }));
    };
    let (failure, ()) = tokio::join!(yard.failure(request), autoscaler);
    assert_eq!(failure.cause, BuildCause::Deadline, "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_a_namespace_that_is_not_there_say_so() {
    let world = World::sqlite().await;
    let output = world
        .berth(&["logs-builder", "-n", "nosuch-namespace"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("nosuch-namespace"), "{said}");
    assert!(said.contains("berth setup-builder"), "{said}");
}
