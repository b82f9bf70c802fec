use chrono::TimeZone;
use k8s_openapi::api::{apps::v1::Deployment, batch::v1::Job, core::v1::Service};

use std::{fs, path::Path};

use super::{super::templates, *};
use crate::domain::{Environment, PodCommand, Port, Resources};

fn spec() -> PodSpec {
    PodSpec {
        image: "busybox:latest".parse().unwrap(),
        resources: Resources::new(
            "200m".parse().unwrap(),
            "200Mi".parse().unwrap(),
            "100m".parse().unwrap(),
            "100Mi".parse().unwrap(),
        )
        .unwrap(),
        ports: vec![Port::try_from(8080).unwrap(), Port::try_from(9090).unwrap()],
        environment: Environment::new(),
        command: PodCommand::Idle,
    }
}

fn render(owner: &Owner, spec: &PodSpec) -> Vec<Manifest> {
    Templates::built_in()
        .unwrap()
        .pod_manifests(owner, spec, &PodRender::default())
        .unwrap()
}

fn deployment(manifests: &[Manifest]) -> Deployment {
    serde_json::from_str(&manifests[1].json()).unwrap()
}

#[test]
#[expect(clippy::too_many_lines, reason = "whole manifests are shown")]
fn namespace_deployment_and_service_of_a_plain_pod() {
    let manifests = render(&Owner::project("shop").unwrap(), &spec());
    let names: Vec<_> = manifests
        .iter()
        .map(|m| (m.kind(), m.name(), m.namespace()))
        .collect();
    assert_eq!(
        names,
        [
            ("Namespace", "project-shop", None),
            ("Deployment", "workspace", Some("project-shop")),
            ("Service", "workspace", Some("project-shop")),
        ]
    );
    insta::assert_snapshot!(manifests[0].text(), @r#"
apiVersion: v1
kind: Namespace
metadata:
  name: "project-shop"
  labels:
    "app.kubernetes.io/managed-by": "berth"
    "berth.dev/owner": "project-shop"
    "berth.dev/owner-kind": "project"
  annotations:
    berth.dev/owner-id: "shop"
"#);
    insta::assert_snapshot!(manifests[1].text(), @r#"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: "workspace"
  namespace: "project-shop"
  labels:
    "app.kubernetes.io/managed-by": "berth"
    "berth.dev/owner": "project-shop"
    "berth.dev/owner-kind": "project"
  annotations:
    berth.dev/owner-id: "shop"
    berth.dev/spec: "{\"image\":\"busybox:latest\",\"resources\":{\"cpu_limit\":\"200m\",\"memory_limit\":\"200Mi\",\"cpu_request\":\"100m\",\"memory_request\":\"100Mi\"},\"ports\":[8080,9090],\"environment\":{},\"command\":\"idle\"}"
spec:
  replicas: 1
  # Two pods of one owner never run side by side.
  strategy:
    type: Recreate
  revisionHistoryLimit: 2
  # How long the pod must stay up to count as running; a program may end at once.
  minReadySeconds: 0
  selector:
    matchLabels:
      berth.dev/owner: "project-shop"
  template:
    metadata:
      labels:
        app: "shop"
        "app.kubernetes.io/managed-by": "berth"
        "berth.dev/owner": "project-shop"
        "berth.dev/owner-kind": "project"
      annotations:
        berth.dev/owner-id: "shop"
    spec:
      # What runs in the pod gets neither the cluster's credentials nor its Services' addresses.
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 10
      containers:
        - name: "workspace"
          image: "busybox:latest"
          imagePullPolicy: IfNotPresent
          command:
            - "/bin/sh"
            - "-c"
            - "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"
          ports:
            - name: "port-8080"
              containerPort: 8080
              protocol: TCP
            - name: "port-9090"
              containerPort: 9090
              protocol: TCP
          resources:
            limits:
              cpu: "200m"
              memory: "200Mi"
            requests:
              cpu: "100m"
              memory: "100Mi"
          # A container that ends without a word is known by its last log lines.
          terminationMessagePolicy: FallbackToLogsOnError
          volumeMounts:
            - name: workspace
              mountPath: "/workspace"
      volumes:
        - name: workspace
          emptyDir: {}
"#);
    insta::assert_snapshot!(manifests[2].text(), @r#"
apiVersion: v1
kind: Service
metadata:
  name: "workspace"
  namespace: "project-shop"
  labels:
    "app.kubernetes.io/managed-by": "berth"
    "berth.dev/owner": "project-shop"
    "berth.dev/owner-kind": "project"
  annotations:
    berth.dev/owner-id: "shop"
spec:
  # No node port is named: the cluster gives each a free one and keeps it.
  type: NodePort
  selector:
    berth.dev/owner: "project-shop"
  ports:
    - name: "port-8080"
      port: 8080
      targetPort: "port-8080"
      protocol: TCP
    - name: "port-9090"
      port: 9090
      targetPort: "port-9090"
      protocol: TCP
"#);
}

#[test]
#[expect(clippy::too_many_lines, reason = "whole manifests are shown")]
fn hostile_values_stay_scalars() {
    let owner = Owner::project("a: b #{{ namespace }}{% raw %}\"'--- ").unwrap();
    let mut environment = Environment::new();
    environment.set("A", "a\nhostNetwork: true").unwrap();
    environment
        .set("B", "$(KUBERNETES_SERVICE_HOST)\u{2028}\u{85}\u{7f}🚢")
        .unwrap();
    let spec = PodSpec {
        environment,
        ports: Vec::new(),
        command: PodCommand::Argv(vec!["!!binary".into(), "- x: &a *b".into(), String::new()]),
        ..spec()
    };
    let time = Utc.with_ymd_and_hms(2026, 11, 21, 1, 2, 3).unwrap();
    let manifests = Templates::built_in()
        .unwrap()
        .pod_manifests(
            &owner,
            &spec,
            &PodRender {
                restarted_at: Some(time),
            },
        )
        .unwrap();
    assert_eq!(manifests.len(), 2, "no ports, no Service");
    insta::assert_snapshot!(manifests[0].text(), @r#"
apiVersion: v1
kind: Namespace
metadata:
  name: "project-a-b-namespace-raw--a2c9eed2c347ef2bc136"
  labels:
    "app.kubernetes.io/managed-by": "berth"
    "berth.dev/owner": "project-a-b-namespace-raw--a2c9eed2c347ef2bc136"
    "berth.dev/owner-kind": "project"
  annotations:
    berth.dev/owner-id: "a: b #{{ namespace }}{% raw %}\"'--- "
"#);
    insta::assert_snapshot!(manifests[1].text(), @r#"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: "workspace"
  namespace: "project-a-b-namespace-raw--a2c9eed2c347ef2bc136"
  labels:
    "app.kubernetes.io/managed-by": "berth"
    "berth.dev/owner": "project-a-b-namespace-raw--a2c9eed2c347ef2bc136"
    "berth.dev/owner-kind": "project"
  annotations:
    berth.dev/owner-id: "a: b #{{ namespace }}{% raw %}\"'--- "
    berth.dev/spec: "{\"image\":\"busybox:latest\",\"resources\":{\"cpu_limit\":\"200m\",\"memory_limit\":\"200Mi\",\"cpu_request\":\"100m\",\"memory_request\":\"100Mi\"},\"ports\":[],\"environment\":{\"A\":\"a\\nhostNetwork: true\",\"B\":\"$(KUBERNETES_SERVICE_HOST)\u2028\u0085\u007f🚢\"},\"command\":{\"argv\":[\"!!binary\",\"- x: &a *b\",\"\"]}}"
spec:
  replicas: 1
  # Two pods of one owner never run side by side.
  strategy:
    type: Recreate
  revisionHistoryLimit: 2
  # How long the pod must stay up to count as running; a program may end at once.
  minReadySeconds: 2
  selector:
    matchLabels:
      berth.dev/owner: "project-a-b-namespace-raw--a2c9eed2c347ef2bc136"
  template:
    metadata:
      labels:
        app: "a-b-namespace-raw--a2c9eed2c347ef2bc136"
        "app.kubernetes.io/managed-by": "berth"
        "berth.dev/owner": "project-a-b-namespace-raw--a2c9eed2c347ef2bc136"
        "berth.dev/owner-kind": "project"
      annotations:
        berth.dev/owner-id: "a: b #{{ namespace }}{% raw %}\"'--- "
        kubectl.kubernetes.io/restartedAt: "2026-11-21T01:02:03.000Z"
    spec:
      # What runs in the pod gets neither the cluster's credentials nor its Services' addresses.
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 10
      containers:
        - name: "workspace"
          image: "busybox:latest"
          imagePullPolicy: IfNotPresent
          command:
            - "!!binary"
            - "- x: &a *b"
            - ""
          env:
            - name: "A"
              value: "a\nhostNetwork: true"
            - name: "B"
              value: "$$(KUBERNETES_SERVICE_HOST)\u2028\u0085\u007f🚢"
          resources:
            limits:
              cpu: "200m"
              memory: "200Mi"
            requests:
              cpu: "100m"
              memory: "100Mi"
          # A container that ends without a word is known by its last log lines.
          terminationMessagePolicy: FallbackToLogsOnError
          volumeMounts:
            - name: workspace
              mountPath: "/workspace"
      volumes:
        - name: workspace
          emptyDir: {}
"#);
}

#[test]
fn any_text_arrives_exactly_as_it_was_given() {
    let controls: String = (1..0x20u8).map(char::from).collect();
    let long = "x\n".repeat(32 * 1024);
    let values = [
        "a\nhostNetwork: true",
        "\"",
        "'",
        "\\",
        "{{ image }}",
        "{% if true %}",
        "%}",
        "}}",
        "#",
        " # x",
        ": ",
        "a: b",
        "- ",
        "---",
        "\n---\nkind: Pod",
        "...",
        "!!binary aGk=",
        "&a",
        "*a",
        "<<",
        "? x",
        "|",
        ">",
        "%YAML 1.1",
        "@x",
        "`x`",
        "",
        " ",
        "null",
        "~",
        "yes",
        "010",
        "1e3",
        ".inf",
        "2026-11-21",
        "\u{feff}",
        "\u{85}",
        "\u{2028}\u{2029}",
        "\u{7f}\u{80}\u{9f}",
        "🚢👩‍👩‍👧",
        "\u{10ffff}",
        "\r\n",
        "\t",
        controls.as_str(),
        long.as_str(),
    ];
    for value in values {
        let mut environment = Environment::new();
        environment.set("VALUE", value).unwrap();
        let spec = PodSpec {
            environment,
            command: PodCommand::Argv(vec!["echo".into(), value.into()]),
            ..spec()
        };
        let owner = Owner::project("shop").unwrap();
        let manifests = render(&owner, &spec);
        let deployment = deployment(&manifests);
        let pod = deployment.spec.unwrap().template.spec.unwrap();
        assert_eq!(pod.host_network, None);
        assert_eq!(pod.containers.len(), 1);
        let container = &pod.containers[0];
        let variables = container.env.as_ref().unwrap();
        assert_eq!(variables[0].value.as_deref(), Some(value));
        assert_eq!(container.command.as_ref().unwrap()[1], value);
        let remembered = &deployment.metadata.annotations.unwrap()["berth.dev/spec"];
        assert_eq!(serde_json::from_str::<PodSpec>(remembered).unwrap(), spec);
    }
}

#[test]
fn the_images_own_command_leaves_the_field_out() {
    let manifests = render(
        &Owner::conversation("7").unwrap(),
        &PodSpec {
            command: PodCommand::Image,
            ..spec()
        },
    );
    let pod = deployment(&manifests).spec.unwrap().template.spec.unwrap();
    assert_eq!(pod.containers[0].command, None);
    let service: Service = serde_json::from_str(&manifests[2].json()).unwrap();
    assert_eq!(service.spec.unwrap().ports.unwrap().len(), 2);
}

/// The error of the pod's manifests with `text` in the place of a built-in template.
fn overridden(name: &str, text: &str) -> Result<Vec<Manifest>, ManifestError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    Templates::with_overrides(folder.path())?.pod_manifests(
        &Owner::project("shop").unwrap(),
        &spec(),
        &PodRender::default(),
    )
}

fn built_in(name: &str) -> &'static str {
    templates::built_in()
        .find(|(known, _)| *known == name)
        .unwrap()
        .1
}

/// What is refused when a part of a built-in template is replaced.
fn refused(name: &str, from: &str, to: &str) -> String {
    let text = built_in(name);
    assert!(text.contains(from), "{from}");
    let error = overridden(name, &text.replace(from, to)).unwrap_err();
    assert!(!error.hint().is_empty());
    let message = error.to_string();
    let (folder, rest) = message.split_once(name).unwrap();
    assert!(folder.contains('/'), "the file is named: {message}");
    format!("{name}{rest}")
}

#[test]
fn a_folders_template_replaces_the_built_in_one() {
    let text =
        built_in(DEPLOYMENT).replace("replicas: 1", "replicas: 1\n  progressDeadlineSeconds: 3");
    let manifests = overridden(DEPLOYMENT, &text).unwrap();
    let deployment = deployment(&manifests);
    assert_eq!(deployment.spec.unwrap().progress_deadline_seconds, Some(3));
}

#[test]
fn an_unknown_file_name_is_refused_with_the_known_ones() {
    for name in [
        "pod/deploy.yaml",
        "deployment.yaml",
        "README.md",
        "pod/x/service.yaml",
    ] {
        let error = overridden(name, "").unwrap_err().to_string();
        assert!(
            error.contains("pod/namespace.yaml, pod/deployment.yaml, pod/service.yaml"),
            "{error}"
        );
    }
    overridden(".gitkeep", "").unwrap();
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let error = Templates::with_overrides(Path::new("/no/such/folder")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the manifest templates at /no/such/folder can't be read"
    );
}

#[test]
fn a_fault_in_a_template_names_file_and_line() {
    insta::assert_snapshot!(refused(SERVICE, "{%- endfor %}", "{% endif %}"), @"pod/service.yaml, line 9: Unknown tag");
    insta::assert_snapshot!(refused(SERVICE, "{{ service }}", "{{ servise }}"), @"pod/service.yaml, line 4 can't be filled in: Variable `servise` is not defined. Available variables: app, command, container, cpu_limit, cpu_request, deployment, environment, image, labels, memory_limit, memory_request, min_ready_seconds, namespace, owner_id, ports, restarted_at, service, spec, workspace_path");
}

#[test]
fn yaml_that_is_more_than_one_plain_document_is_refused() {
    insta::assert_snapshot!(refused(SERVICE, "kind: Service", "kind: Service\nkind: Service"), @"pod/service.yaml renders YAML that can't be used: duplicate mapping key: kind, set DuplicateKeyPolicy in Options if acceptable at line 3, column 1");
    insta::assert_snapshot!(refused(SERVICE, "spec:", "---\nspec:"), @"pod/service.yaml renders YAML that can't be used: multiple YAML documents detected; use from_str_multiple or from_str_multiple_with_options at line 13, column 1");
    insta::assert_snapshot!(refused(SERVICE, "  type: NodePort", "  type: &a NodePort"), @"pod/service.yaml renders YAML that can't be used: budget breached: Anchors { anchors: 1 } at line 14, column 12");
    insta::assert_snapshot!(refused(SERVICE, "  type: NodePort", "  <<: {type: NodePort}"), @"pod/service.yaml renders YAML that can't be used: YAML merge keys are not allowed by configured policy at line 14, column 3");
    insta::assert_snapshot!(refused(SERVICE, "  type: NodePort", "  type: !x NodePort"), @"pod/service.yaml renders YAML that can't be used: unsupported tag `!x` at line 14, column 12");
    insta::assert_snapshot!(refused(SERVICE, "name: {{ service }}", "name: \"{{ service }}\""), @"pod/service.yaml renders YAML that can't be used: invalid trailing content after double-quoted scalar at line 4, column 11");
}

#[test]
fn an_object_other_than_the_expected_one_is_refused() {
    insta::assert_snapshot!(refused(SERVICE, "kind: Service", "kind: Secret"), @r#"pod/service.yaml renders kind as "Secret", where it must be "Service""#);
    insta::assert_snapshot!(refused(SERVICE, "apiVersion: v1", "apiVersion: v2"), @r#"pod/service.yaml renders apiVersion as "v2", where it must be "v1""#);
    insta::assert_snapshot!(refused(SERVICE, "namespace: {{ namespace }}", "namespace: default"), @r#"pod/service.yaml renders metadata.namespace as "default", where it must be "project-shop""#);
    insta::assert_snapshot!(refused(SERVICE, "{{ label.value }}", "x"), @r#"pod/service.yaml renders metadata.labels[app.kubernetes.io/managed-by] as "x", where it must be "berth""#);
    insta::assert_snapshot!(refused(NAMESPACE, "berth.dev/owner-id", "owner-id"), @r#"pod/namespace.yaml renders metadata.annotations[berth.dev/owner-id] as null, where it must be "shop""#);
    insta::assert_snapshot!(refused(DEPLOYMENT, "berth.dev/owner: {{ namespace }}", "app: x"), @r#"pod/deployment.yaml renders spec.selector as {"matchLabels":{"app":"x"}}, where it must be {"matchLabels":{"berth.dev/owner":"project-shop"}}"#);
    insta::assert_snapshot!(refused(DEPLOYMENT, "{{ spec }}", "x"), @"pod/deployment.yaml renders metadata.annotations[berth.dev/spec] as something else, where it must be {{ spec }}");
}

#[test]
fn fields_that_kubernetes_does_not_know_are_refused() {
    insta::assert_snapshot!(refused(DEPLOYMENT, "resources:", "resorces:"), @"pod/deployment.yaml renders unknown fields: spec.template.spec.containers.0.resorces");
    insta::assert_snapshot!(refused(DEPLOYMENT, "replicas:", "replica:"), @"pod/deployment.yaml renders unknown fields: spec.replica");
    insta::assert_snapshot!(refused(DEPLOYMENT, "replicas: 1", "replicas: {{ deployment }}"), @"pod/deployment.yaml renders spec.replicas with the wrong type: expected i32");
    insta::assert_snapshot!(refused(SERVICE, "port: {{ port.number }}", "port: {{ port.name }}"), @"pod/service.yaml renders spec.ports[0].port with the wrong type: expected i32");
}

#[test]
fn no_message_shows_a_value_of_the_environment() {
    let mut environment = Environment::new();
    environment.set("TOKEN", "hunter2").unwrap();
    let spec = PodSpec {
        environment,
        ..spec()
    };
    for (from, to) in [
        (
            "value: {{ variable.value }}",
            "value: {{ variable.value }} x",
        ),
        (
            "value: {{ variable.value }}",
            "value: [{{ variable.value }}]",
        ),
        (
            "value: {{ variable.value }}",
            "value: {{ variable.value + 1 }}",
        ),
        ("replicas: 1", "replicas: {{ spec }}"),
        ("{{ spec }}", "{{ container }}{{ spec }}"),
        ("berth.dev/spec: {{ spec }}", "berth.dev/spec: x"),
        ("{{ spec }}", "{{ spec }} x"),
        ("{{ spec }}", "[{{ spec }}]"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("pod")).unwrap();
        fs::write(
            folder.path().join(DEPLOYMENT),
            built_in(DEPLOYMENT).replace(from, to),
        )
        .unwrap();
        let error = Templates::with_overrides(folder.path())
            .unwrap()
            .pod_manifests(
                &Owner::project("shop").unwrap(),
                &spec,
                &PodRender::default(),
            )
            .unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2"), "{to}: {shown}");
    }
}

#[test]
fn an_image_check_is_placed_as_the_pod_of_a_users_template_is() {
    let placed = concat!(
        "      serviceAccountName: puller\n",
        "      imagePullSecrets: [{name: registry}]\n",
        "      nodeSelector: {pool: gpu}\n",
        "      tolerations: [{key: gpu, operator: Exists}]\n",
        "      affinity: {nodeAffinity: {}}\n",
        "      containers:\n",
    );
    let text = built_in(DEPLOYMENT)
        .replace("      containers:\n", placed)
        .replace("IfNotPresent", "Always");
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("pod")).unwrap();
    fs::write(folder.path().join(DEPLOYMENT), text).unwrap();
    let check = |templates: Templates| {
        let spec = spec();
        let render = ImageCheckRender {
            name: "image-check-1",
            spec: &spec,
            deadline: Duration::from_secs(9),
        };
        let owner = Owner::project("shop").unwrap();
        let check = templates.image_check_manifest(&owner, &render).unwrap();
        let job: Job = serde_json::from_str(&check.json()).unwrap();
        job
    };
    let job = check(Templates::with_overrides(folder.path()).unwrap());
    let job_spec = job.spec.unwrap();
    // The status of an ended check stays readable for a while.
    assert_eq!(job_spec.ttl_seconds_after_finished, Some(60));
    for metadata in [&job.metadata, job_spec.template.metadata.as_ref().unwrap()] {
        let labels = metadata.labels.as_ref().unwrap();
        assert_eq!(labels["berth.dev/image-check"], "image-check-1");
    }
    let pod = serde_json::to_value(job_spec.template.spec.unwrap()).unwrap();
    assert_eq!(pod["serviceAccountName"], "puller");
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "registry"}]));
    assert_eq!(pod["nodeSelector"], json!({"pool": "gpu"}));
    let tolerations = json!([{"key": "gpu", "operator": "Exists"}]);
    assert_eq!(pod["tolerations"], tolerations);
    assert_eq!(pod["affinity"], json!({"nodeAffinity": {}}));
    assert_eq!(pod["containers"][0]["imagePullPolicy"], "Always");
    // The check runs its own program, with none of the pod's environment and volumes.
    assert_eq!(pod["containers"][0]["command"], json!(["true"]));
    assert_eq!(pod["volumes"], json!(null));
    let plain = check(Templates::built_in().unwrap()).spec.unwrap().template;
    let plain = serde_json::to_value(plain.spec.unwrap()).unwrap();
    assert_eq!(plain["containers"][0]["imagePullPolicy"], "IfNotPresent");
    assert_eq!(plain["nodeSelector"], json!(null));
}

#[test]
fn what_the_cluster_repeats_of_an_object_shows_no_value() {
    let mut spec = spec();
    spec.environment.set("TOKEN", "hunter22").unwrap();
    let hidden = crate::cluster::redaction(&render(&Owner::project("shop").unwrap(), &spec));
    let said = "admission webhook \"x\" denied the request: env TOKEN=hunter22, value hunter22";
    let shown = hidden.hide(said);
    assert_eq!(
        shown,
        "admission webhook \"x\" denied the request: env [hidden], value [hidden]"
    );
}
