//! What is refused before it is sent: a host name that another has, a group that is otherwise.

use std::fs;

use berth::{
    Error,
    ingress::{Exposure, Rung, ValidateRequest},
    manifest::Templates,
};
use serde_json::{Value, json};

use crate::{
    street::{exposure, group, manifest, publish, web, world, world_in},
    support::bench::{Project, World, skipped_on_a_cluster, text},
};

/// Makes the project's namespace, with nothing in it.
async fn settle(world: &World, project: &Project<'_>) {
    let berth = world.client().await;
    let templates = Templates::built_in().unwrap();
    let namespace = templates.namespace_manifest(&project.owner).unwrap();
    berth.cluster().apply(&[namespace], false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manifest_is_what_the_cluster_takes() {
    let world = world().await;
    let project = world.project();
    settle(&world, &project).await;
    let berth = world.client().await;
    for (listeners, scheme) in [("http", "internal"), ("https", "internet-facing")] {
        let mut world = self::world().await;
        world.set("ALB_LISTENERS", listeners);
        world.set("ALB_SCHEME", scheme);
        world.set(
            "ALB_CERTIFICATE_ARN",
            "arn:aws:acm:eu-west-1:1:certificate/a",
        );
        let ingress = manifest(&project, &exposure(&world, &project));
        let applied = berth.cluster().apply(&[ingress], true).await.unwrap();
        assert_eq!(applied[0].object, "ingress.networking.k8s.io/web");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_project_with_a_host_name_is_refused_with_the_firsts_name() {
    let world = world().await;
    let (first, second) = (world.project(), world.project());
    settle(&world, &first).await;
    let berth = world.client().await;
    let theirs = exposure(&world, &first);
    let before = berth
        .ingress()
        .admit(&first.owner, &web(), &theirs)
        .await
        .unwrap();
    publish(&world, &first, &theirs).await;
    // Its own host name is no conflict.
    let again = berth
        .ingress()
        .admit(&first.owner, &web(), &theirs)
        .await
        .unwrap();
    assert_eq!(again.notes, before.notes);

    let error = berth
        .ingress()
        .admit(&second.owner, &web(), &theirs)
        .await
        .unwrap_err();
    let Error::HostTaken { host, by } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(host, theirs.host.as_str());
    assert_eq!(
        by,
        &format!(
            "project {} (Ingress web in {})",
            first.id(),
            first.namespace()
        )
    );
    let other = "api".parse().unwrap();
    let error = berth
        .ingress()
        .admit(&first.owner, &other, &theirs)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::HostTaken { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_that_does_not_fit_its_group_is_refused() {
    let group = group();
    let world = world_in(&group).await;
    let mut internal = world_in(&group).await;
    internal.set("ALB_SCHEME", "internal");
    let (first, second) = (world.project(), internal.project());
    settle(&world, &first).await;
    publish(&world, &first, &exposure(&world, &first)).await;
    let ours = exposure(&internal, &second);
    let berth = world.client().await;
    let error = berth
        .ingress()
        .admit(&second.owner, &web(), &ours)
        .await
        .unwrap_err();
    let Error::GroupConflict {
        setting,
        ours,
        theirs,
        by,
        ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(setting, "scheme");
    assert_eq!(
        (ours.as_str(), theirs.as_str()),
        ("internal", "internet-facing")
    );
    assert!(by.contains(first.id()), "{by}");
    // A group of its own has no others.
    let own = Exposure::of(&second.owner, &internal.config().ingress, None, true).unwrap();
    berth
        .ingress()
        .admit(&second.owner, &web(), &own)
        .await
        .unwrap();
}

/// A world in which kubectl is a service account that may do what the rules say in one namespace.
async fn restricted(world: &World, project: &Project<'_>, rule: &[&str]) -> World {
    let namespace = project.namespace();
    let own = |args: &[&str]| {
        let args: Vec<_> = [&["-n", namespace.as_str()], args].concat();
        let output = world.bench.kubectl(&args);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    };
    own(&["create", "serviceaccount", "clerk"]);
    own(&[&["create", "role", "clerk"], rule].concat());
    let account = format!("--serviceaccount={namespace}:clerk");
    own(&["create", "rolebinding", "clerk", "--role=clerk", &account]);
    let token = own(&["create", "token", "clerk"]);
    // The sandbox's is JSON.
    let kubeconfig = fs::read(world.bench.var("K8S_KUBECONFIG")).unwrap();
    let mut kubeconfig: Value = serde_json::from_slice(&kubeconfig).unwrap();
    kubeconfig["users"][0]["user"]["token"] = json!(token);
    let mut clerk = world_in(world.config().ingress.shared_group.as_str()).await;
    let file = clerk.scratch.path().join("kubeconfig");
    fs::write(&file, kubeconfig.to_string()).unwrap();
    clerk.set("K8S_KUBECONFIG", file.display().to_string());
    clerk
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_see_all_ingresses_is_told_so_and_sees_the_own() {
    if skipped_on_a_cluster("rights of another user", "it makes a user of its own") {
        return;
    }
    let world = world().await;
    let project = world.project();
    settle(&world, &project).await;
    let ours = exposure(&world, &project);
    publish(&world, &project, &ours).await;
    let rule = [
        "--verb=get,list",
        "--resource=ingresses,services,pods,endpointslices",
    ];
    let clerk = restricted(&world, &project, &rule).await;

    let berth = clerk.client().await;
    let admitted = berth
        .ingress()
        .admit(&project.owner, &web(), &ours)
        .await
        .unwrap();
    let note = admitted.notes.join("\n");
    assert!(note.contains(&project.namespace()), "{note}");
    assert!(
        note.contains("cannot list resource \"ingresses\""),
        "{note}"
    );
    let api = "api".parse().unwrap();
    let error = berth
        .ingress()
        .admit(&project.owner, &api, &ours)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::HostTaken { .. }), "{error:?}");

    let manager = berth.ingress();
    let error = manager.status(None).await.unwrap_err();
    assert_eq!(error.kind(), berth::Kind::Denied);
    let request = ValidateRequest::new(ours.host.as_str()).unwrap();
    let own = request.namespace(project.owner.namespace().clone());
    let report = manager.validate(&own).await.unwrap();
    assert_eq!(report.broken().unwrap().step, Rung::Service);
    assert!(!report.notes.is_empty());
}
