//! A stand-in for the controllers of Deployments, replica sets and Jobs, the scheduler and the kubelet: as
//! much of them as a rollout's or a build's end depends on.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use berth_core::Namespace;
use berth_objects::{
    ApiError,
    ids::{now, suffix},
    json::{as_map, child, integer, items, text},
};
use serde_json::{Value, json};

use super::{InMemory, place};
use crate::{ObjectChange, Resource};

const HASH: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";

/// What becomes of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is ready after this time, and stays so.
    Ready(Duration),
    /// Its containers wait, such as for an image, with this reason and message.
    Waiting(&'static str, &'static str),
    /// Its containers end with this exit code again and again.
    CrashLoop(i32),
    /// Its containers run for this time, and end with this exit code and this termination message.
    Ends(i32, Duration, String),
}

impl InMemory {
    /// Lets Deployments and Jobs have pods from now on, and each pod the fate that `fate` says. A pod that
    /// is [refused](InMemory::refuse) makes its Deployment report a `ReplicaFailure`.
    pub fn run_workloads(&self, fate: impl Fn(&Value) -> Fate + Send + 'static) {
        self.add_controller(move |cluster, change| {
            let (ObjectChange::Is(object) | ObjectChange::Gone(object)) = change;
            match (change.kind(), change) {
                ("Deployment", ObjectChange::Is(_)) => roll(cluster, object, &fate),
                ("Job", ObjectChange::Is(_)) => run(cluster, object, &fate),
                ("Pod", _) => {
                    for owner in owners(cluster, object) {
                        match text(&owner, "/kind") {
                            "Job" => run(cluster, &owner, &fate),
                            _ => roll(cluster, &owner, &fate),
                        }
                    }
                }
                _ => {}
            }
        });
    }
}

/// The Deployment or the Job that a pod is of.
fn owners(cluster: &InMemory, pod: &Value) -> Vec<Value> {
    let resources = [Resource::DEPLOYMENTS, Resource::JOBS];
    let all = resources.into_iter().flat_map(|it| cluster.list(it, None));
    let sets = cluster.list(Resource::REPLICA_SETS, None);
    let is_owner = |owner: &Value| {
        is_owned(pod, owner)
            || sets
                .iter()
                .any(|set| is_owned(pod, set) && is_owned(set, owner))
    };
    all.filter(is_owner).collect()
}

fn is_owned(object: &Value, owner: &Value) -> bool {
    let uid = text(owner, "/metadata/uid");
    let references = items(object, "/metadata/ownerReferences");
    references.iter().any(|it| text(it, "/uid") == uid)
}

/// Brings a Deployment's pods closer to its template, and its status up to date.
fn roll(cluster: &InMemory, deployment: &Value, fate: &impl Fn(&Value) -> Fate) {
    let (ns, name) = place(deployment);
    let Ok(namespace) = ns.parse::<Namespace>() else {
        return;
    };
    let Some(deployment) = cluster.get(Resource::DEPLOYMENTS, Some(&namespace), name) else {
        return;
    };
    let new = replica_set(cluster, &namespace, &deployment);
    let wanted = integer(&deployment, "/spec/replicas").unwrap_or(1);
    let pods_of = |set: &Value| -> Vec<Value> {
        let pods = cluster.list(Resource::PODS, Some(&namespace)).into_iter();
        pods.filter(|pod| is_owned(pod, set)).collect()
    };
    let recreate = text(&deployment, "/spec/strategy/type") == "Recreate";
    let mut sets = cluster.list(Resource::REPLICA_SETS, Some(&namespace));
    sets.retain(|set| is_owned(set, &deployment) && place(set) != place(&new));
    let old: Vec<Value> = sets.iter().flat_map(pods_of).collect();
    let mut refused = None;
    for _ in count(pods_of(&new).len())..wanted {
        refused = start(cluster, &new, fate).err().or(refused);
    }
    let mut pods = pods_of(&new);
    for pod in pods.split_off(pods.len().min(usize::try_from(wanted).unwrap_or(0))) {
        cluster.remove(Resource::PODS, Some(&namespace), place(&pod).1);
    }
    let ready = |pods: &[Value]| count(pods.iter().filter(|pod| is_ready(pod)).count());
    let is_new_ready = ready(&pods) >= wanted;
    let mut old_left = old;
    if is_new_ready || recreate {
        for pod in old_left.drain(..) {
            cluster.remove(Resource::PODS, Some(&namespace), place(&pod).1);
        }
    }
    for set in sets.iter().chain([&new]) {
        let pods = pods_of(set);
        let status = json!({"replicas": pods.len(), "readyReplicas": ready(&pods)});
        write_status(cluster, Resource::REPLICA_SETS, set, status);
    }
    if let Some(revision) = annotation(&new, REVISION) {
        cluster.change(Resource::DEPLOYMENTS, Some(&namespace), name, |stored| {
            annotate(stored, REVISION, revision);
        });
    }
    let all = count(pods.len() + old_left.len());
    let available = ready(&pods) + ready(&old_left);
    let mut conditions = vec![condition("Available", available >= wanted, "", "")];
    if let Some(refused) = refused {
        conditions.push(condition(
            "ReplicaFailure",
            true,
            "FailedCreate",
            &refused.message,
        ));
    }
    let status = json!({
        "observedGeneration": deployment.pointer("/metadata/generation"),
        "replicas": all, "updatedReplicas": pods.len(), "readyReplicas": available,
        "availableReplicas": available, "unavailableReplicas": (wanted - available).max(0),
        "conditions": conditions,
    });
    write_status(cluster, Resource::DEPLOYMENTS, &deployment, status);
}

/// The replica set of the Deployment's present template, made where there is none.
fn replica_set(cluster: &InMemory, namespace: &Namespace, deployment: &Value) -> Value {
    let mut hasher = DefaultHasher::new();
    deployment
        .pointer("/spec/template")
        .map(Value::to_string)
        .hash(&mut hasher);
    let hash = format!("{:08x}", hasher.finish() & 0xffff_ffff);
    let name = format!("{}-{hash}", place(deployment).1);
    let mut sets = cluster.list(Resource::REPLICA_SETS, Some(namespace));
    sets.retain(|set| is_owned(set, deployment));
    let revision = |set: &Value| -> i64 {
        let revision = annotation(set, REVISION).and_then(|it| it.parse().ok());
        revision.unwrap_or(0)
    };
    let last = sets.iter().map(revision).max().unwrap_or(0);
    let mut set = match sets.into_iter().find(|set| place(set).1 == name) {
        Some(set) if revision(&set) == last => return set,
        Some(set) => set,
        None => {
            let mut template = deployment
                .pointer("/spec/template")
                .cloned()
                .unwrap_or_default();
            let labels = child(&mut template, "metadata");
            as_map(labels.entry("labels").or_insert_with(|| json!({})))
                .insert(HASH.to_owned(), hash.into());
            json!({
                "apiVersion": "apps/v1", "kind": "ReplicaSet",
                "metadata": {
                    "name": name, "namespace": namespace.as_str(),
                    "labels": template.pointer("/metadata/labels"),
                    "annotations": deployment.pointer("/metadata/annotations"),
                    "ownerReferences": [reference(deployment)],
                },
                "spec": {
                    "replicas": deployment.pointer("/spec/replicas"),
                    "selector": deployment.pointer("/spec/selector"), "template": template,
                },
            })
        }
    };
    annotate(&mut set, REVISION, &(last + 1).to_string());
    cluster.put(&set)
}

fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(name)?.as_str()
}

fn annotate(object: &mut Value, name: &str, value: &str) {
    let annotations = child(object, "metadata").entry("annotations");
    as_map(annotations.or_insert_with(|| json!({}))).insert(name.to_owned(), value.into());
}

/// Starts a Job's pod, or completes the Job when it has ended.
fn run(cluster: &InMemory, job: &Value, fate: &impl Fn(&Value) -> Fate) {
    let (ns, name) = place(job);
    let Ok(namespace) = ns.parse::<Namespace>() else {
        return;
    };
    let Some(job) = cluster.get(Resource::JOBS, Some(&namespace), name) else {
        return;
    };
    let pods = cluster.list(Resource::PODS, Some(&namespace));
    let pod = pods.into_iter().find(|pod| is_owned(pod, &job));
    let is_over = !items(&job, "/status/conditions").is_empty();
    let status = match pod.as_ref().map(|pod| text(pod, "/status/phase")) {
        _ if is_over => return,
        None => match start(cluster, &job, fate) {
            Ok(()) => json!({"active": 1, "startTime": now()}),
            Err(_) => return,
        },
        Some("Succeeded") => json!({
            "succeeded": 1, "startTime": now(), "completionTime": now(),
            "conditions": [condition("Complete", true, "CompletionsReached", "")],
        }),
        Some("Failed") => {
            let reason = "BackoffLimitExceeded";
            let message = "Job has reached the specified backoff limit";
            let failed = condition("Failed", true, reason, message);
            json!({"failed": 1, "startTime": now(), "conditions": [failed]})
        }
        Some(_) => return,
    };
    write_status(cluster, Resource::JOBS, &job, status);
}

/// Makes a pod of the owner's template, and lets it have its fate.
fn start(
    cluster: &InMemory,
    owner: &Value,
    fate: &impl Fn(&Value) -> Fate,
) -> Result<(), ApiError> {
    let (ns, name) = place(owner);
    let mut pod = owner.pointer("/spec/template").cloned().unwrap_or_default();
    let metadata = child(&mut pod, "metadata");
    metadata.insert("name".to_owned(), format!("{name}-{}", suffix()).into());
    metadata.insert("namespace".to_owned(), ns.into());
    metadata.insert("ownerReferences".to_owned(), json!([reference(owner)]));
    if text(owner, "/kind") == "Job" {
        let labels = as_map(metadata.entry("labels").or_insert_with(|| json!({})));
        for label in ["job-name", "batch.kubernetes.io/job-name"] {
            labels.insert(label.to_owned(), name.into());
        }
    }
    child(&mut pod, "spec").insert("nodeName".to_owned(), "node-1".into());
    as_map(&mut pod).insert("apiVersion".to_owned(), "v1".into());
    as_map(&mut pod).insert("kind".to_owned(), "Pod".into());
    let fate = fate(&pod);
    let (first, later) = match fate {
        Fate::Ready(after) if !after.is_zero() => {
            (Fate::Waiting("ContainerCreating", ""), Some((after, fate)))
        }
        Fate::Ends(_, after, _) if !after.is_zero() => {
            (Fate::Ready(Duration::ZERO), Some((after, fate)))
        }
        _ => (fate, None),
    };
    let status = pod_status(&pod, &first);
    as_map(&mut pod).insert("status".to_owned(), status);
    let pod = cluster.try_put(&pod)?;
    if let Some((after, fate)) = later {
        let cluster = cluster.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            write_status(&cluster, Resource::PODS, &pod, pod_status(&pod, &fate));
        });
    }
    Ok(())
}

/// A pod's status as the kubelet writes it.
fn pod_status(pod: &Value, fate: &Fate) -> Value {
    let is_ready = matches!(fate, Fate::Ready(_));
    let ended = |code: i32, message: &str| {
        let reason = if code == 0 { "Completed" } else { "Error" };
        json!({"terminated": {"exitCode": code, "reason": reason, "message": message,
            "startedAt": now(), "finishedAt": now()}})
    };
    let (phase, state, last, restarts) = match fate {
        Fate::Ready(_) => (
            "Running",
            json!({"running": {"startedAt": now()}}),
            json!({}),
            0,
        ),
        Fate::Waiting(reason, message) => {
            let waiting = json!({"waiting": {"reason": reason, "message": message}});
            ("Pending", waiting, json!({}), 0)
        }
        Fate::CrashLoop(code) => {
            let message = "back-off 20s restarting failed container";
            let waiting = json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}});
            ("Running", waiting, ended(*code, ""), 2)
        }
        Fate::Ends(0, _, message) => ("Succeeded", ended(0, message), json!({}), 0),
        Fate::Ends(code, _, message) => ("Failed", ended(*code, message), json!({}), 0),
    };
    let of = |containers: &str, state: &Value, last: &Value| -> Vec<Value> {
        let containers = items(pod, containers).iter();
        containers
            .map(|container| {
                json!({
                    "name": container.get("name"), "image": container.get("image"), "imageID": "",
                    "ready": is_ready, "started": is_ready, "restartCount": restarts,
                    "state": state, "lastState": last,
                })
            })
            .collect()
    };
    json!({
        "phase": phase,
        "startTime": now(),
        "conditions": [
            condition("PodScheduled", true, "", ""),
            condition("Initialized", true, "", ""),
            condition("Ready", is_ready, "", ""),
        ],
        "initContainerStatuses": of("/spec/initContainers", &ended(0, ""), &json!({})),
        "containerStatuses": of("/spec/containers", &state, &last),
    })
}

fn write_status(cluster: &InMemory, resource: Resource, object: &Value, status: Value) {
    let (ns, name) = place(object);
    let namespace = ns.parse::<Namespace>().ok();
    let uid = text(object, "/metadata/uid");
    cluster.change(resource, namespace.as_ref(), name, |stored| {
        if text(stored, "/metadata/uid") == uid {
            as_map(stored).insert("status".to_owned(), status);
        }
    });
}

fn is_ready(pod: &Value) -> bool {
    let conditions = items(pod, "/status/conditions").iter();
    let mut ready = conditions.filter(|it| text(it, "/type") == "Ready");
    ready.any(|it| text(it, "/status") == "True")
}

fn condition(kind: &str, is_true: bool, reason: &str, message: &str) -> Value {
    let status = if is_true { "True" } else { "False" };
    json!({"type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": null})
}

fn reference(owner: &Value) -> Value {
    json!({
        "apiVersion": owner.get("apiVersion"), "kind": owner.get("kind"),
        "name": place(owner).1, "uid": text(owner, "/metadata/uid"),
        "controller": true, "blockOwnerDeletion": true,
    })
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
