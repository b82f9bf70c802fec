use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Secret as SecretObject, Service},
};

use super::*;
use crate::domain::{
    Environment, HealthPath, Port, Public, PublicHost, Resources, SecretUse, secret_of_set_at_key,
};

fn spec() -> DeploymentSpec {
    DeploymentSpec {
        image: "registry.example.com/team/web:1".parse().unwrap(),
        replicas: 2,
        port: Port::try_from(8080).unwrap(),
        resources: Resources::new(
            "200m".parse().unwrap(),
            "200Mi".parse().unwrap(),
            "100m".parse().unwrap(),
            "100Mi".parse().unwrap(),
        )
        .unwrap(),
        environment: Environment::new(),
        secrets: SecretUse::All,
        command: None,
        health_path: HealthPath::default(),
        probe: true,
        start_seconds: 30,
        volumes: Vec::new(),
        pull_secrets: Vec::new(),
        service_account: None,
        public: Public {
            host: PublicHost::Nothing,
            dedicated_alb: false,
        },
    }
}

fn render_with(id: &str, spec: &DeploymentSpec, render: &DeploymentRender) -> Release {
    let owner = Owner::project(id).unwrap();
    let name = "web".parse().unwrap();
    let templates = Templates::built_in().unwrap();
    templates
        .deployment_manifests(&owner, &name, spec, render)
        .unwrap()
}

fn render(spec: &DeploymentSpec) -> Release {
    let render = DeploymentRender {
        limit: Duration::from_mins(10),
        ..DeploymentRender::default()
    };
    render_with("shop", spec, &render)
}

fn deployment(release: &Release) -> Deployment {
    serde_json::from_value(release.manifests[1].object().clone()).unwrap()
}

#[test]
#[expect(clippy::too_many_lines, reason = "whole manifests are shown")]
fn service_and_deployment_of_a_plain_image() {
    let release = render(&spec());
    insta::assert_snapshot!(release.manifests[0].text(), @r#"
apiVersion: v1
kind: Service
metadata:
  name: "web"
  namespace: "project-shop"
  labels:
    "app.kubernetes.io/managed-by": "berth"
    "app.kubernetes.io/name": "web"
    "berth.dev/deployment": "web"
  annotations:
    berth.dev/owner-id: "shop"
spec:
  type: ClusterIP
  selector:
    berth.dev/deployment: "web"
  ports:
    - name: "http"
      port: 80
      # By its name, so that pods of two revisions may listen on different ports.
      targetPort: "http"
      protocol: TCP
"#);
    insta::assert_snapshot!(release.manifests[1].text(), @r#"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: "web"
  namespace: "project-shop"
  labels:
    "app.kubernetes.io/managed-by": "berth"
    "app.kubernetes.io/name": "web"
    "berth.dev/deployment": "web"
  annotations:
    berth.dev/owner-id: "shop"
    berth.dev/spec: "{\"image\":\"registry.example.com/team/web:1\",\"replicas\":2,\"port\":8080,\"resources\":{\"cpu_limit\":\"200m\",\"memory_limit\":\"200Mi\",\"cpu_request\":\"100m\",\"memory_request\":\"100Mi\"},\"environment\":{},\"secrets\":\"all\",\"command\":null,\"health_path\":\"/health\",\"probe\":true,\"start_seconds\":30,\"volumes\":[],\"pull_secrets\":[],\"service_account\":null,\"public\":{\"host\":\"nothing\",\"dedicated_alb\":false}}"
spec:
  replicas: 2
  # No pod of the earlier revision ends before a new one has taken its place.
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 25%
  revisionHistoryLimit: 10
  # How long a pod must stay up to count where nothing is asked of it; a program may end at once.
  minReadySeconds: 0
  progressDeadlineSeconds: 600
  selector:
    matchLabels:
      berth.dev/deployment: "web"
  template:
    metadata:
      labels:
        app: "shop"
        "app.kubernetes.io/managed-by": "berth"
        "app.kubernetes.io/name": "web"
        "berth.dev/deployment": "web"
      annotations:
        berth.dev/owner-id: "shop"
        berth.dev/release: "6c3525787ef949909fc2"
    spec:
      serviceAccountName: "default"
      # What runs in the pod gets the cluster's credentials only with a service account that is named.
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 30
      securityContext:
        seccompProfile:
          type: RuntimeDefault
      containers:
        - name: "app"
          image: "registry.example.com/team/web:1"
          imagePullPolicy: "Always"
          ports:
            - name: "http"
              containerPort: 8080
              protocol: TCP
          # All of the project's secrets; it may have none.
          envFrom:
            - secretRef:
                name: "project-secrets"
                optional: true
          # Until the first answer the container has its time to start.
          startupProbe:
            httpGet:
              path: "/health"
              port: "http"
            periodSeconds: 1
            timeoutSeconds: 5
            failureThreshold: 60
          readinessProbe:
            httpGet:
              path: "/health"
              port: "http"
            periodSeconds: 2
            timeoutSeconds: 5
            failureThreshold: 5
          livenessProbe:
            httpGet:
              path: "/health"
              port: "http"
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          resources:
            limits:
              cpu: "200m"
              memory: "200Mi"
            requests:
              cpu: "100m"
              memory: "100Mi"
          securityContext:
            allowPrivilegeEscalation: false
          # A container that ends without a word is known by its last log lines.
          terminationMessagePolicy: FallbackToLogsOnError
"#);
}

#[test]
#[expect(clippy::too_many_lines, reason = "whole manifests are shown")]
fn everything_that_can_be_asked_for() {
    let mut full = spec();
    full.environment
        .set("PLAIN", "a: b\nhostNetwork: true")
        .unwrap();
    full.environment.set("VERBATIM", "$(HOME) $$").unwrap();
    full.secrets = SecretUse::Named(["B_TOKEN", "A_KEY"].map(|it| it.parse().unwrap()).into());
    full.command = Some(vec![
        "sh".into(),
        "-c".into(),
        "echo \"{{ x }}\" && exit".into(),
    ]);
    full.health_path = "/up?deep=1&x=%22".parse().unwrap();
    full.volumes = [
        "empty:/a",
        "secret/tls:/b",
        "configmap/app:/c",
        "pvc/data:/d e:ro",
    ]
    .map(|it| it.parse().unwrap())
    .into();
    full.pull_secrets = vec!["registry-credentials".parse().unwrap()];
    full.service_account = Some("robot".parse().unwrap());
    let text = render(&full).manifests[1].text().into_owned();
    let from = text.find("    spec:").unwrap();
    insta::assert_snapshot!(&text[from..], @r#"
spec:
  serviceAccountName: "robot"
  automountServiceAccountToken: true
  enableServiceLinks: false
  terminationGracePeriodSeconds: 30
  securityContext:
    seccompProfile:
      type: RuntimeDefault
  imagePullSecrets:
    - name: "registry-credentials"
  containers:
    - name: "app"
      image: "registry.example.com/team/web:1"
      imagePullPolicy: "Always"
      command:
        - "sh"
        - "-c"
        - "echo \"{{ x }}\" && exit"
      ports:
        - name: "http"
          containerPort: 8080
          protocol: TCP
      env:
        - name: "A_KEY"
          valueFrom:
            secretKeyRef:
              name: "project-secrets"
              key: "A_KEY"
        - name: "B_TOKEN"
          valueFrom:
            secretKeyRef:
              name: "project-secrets"
              key: "B_TOKEN"
        - name: "PLAIN"
          value: "a: b\nhostNetwork: true"
        - name: "VERBATIM"
          value: "$$(HOME) $$$$"
      # Until the first answer the container has its time to start.
      startupProbe:
        httpGet:
          path: "/up?deep=1&x=%22"
          port: "http"
        periodSeconds: 1
        timeoutSeconds: 5
        failureThreshold: 60
      readinessProbe:
        httpGet:
          path: "/up?deep=1&x=%22"
          port: "http"
        periodSeconds: 2
        timeoutSeconds: 5
        failureThreshold: 5
      livenessProbe:
        httpGet:
          path: "/up?deep=1&x=%22"
          port: "http"
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      resources:
        limits:
          cpu: "200m"
          memory: "200Mi"
        requests:
          cpu: "100m"
          memory: "100Mi"
      securityContext:
        allowPrivilegeEscalation: false
      # A container that ends without a word is known by its last log lines.
      terminationMessagePolicy: FallbackToLogsOnError
      volumeMounts:
        - name: "volume-0"
          mountPath: "/a"
          readOnly: false
        - name: "volume-1"
          mountPath: "/b"
          readOnly: true
        - name: "volume-2"
          mountPath: "/c"
          readOnly: true
        - name: "volume-3"
          mountPath: "/d e"
          readOnly: true
  volumes:
    - name: "volume-0"
      emptyDir: {}
    - name: "volume-1"
      secret:
        secretName: "tls"
    - name: "volume-2"
      configMap:
        name: "app"
    - name: "volume-3"
      persistentVolumeClaim:
        claimName: "data"
"#);
}

#[test]
fn no_text_becomes_a_key_or_is_expanded() {
    let hostile = "x\"\nhostNetwork: true\n  - {{ 7 }} {% raw %} $(PATH) 'a' \\ \u{85}\u{2028}";
    let mut spec = spec();
    spec.environment.set("HOSTILE", hostile).unwrap();
    spec.command = Some(vec![hostile.to_owned()]);
    let id = "x\": {} # '{{ 7 }}'";
    let release = render_with(id, &spec, &DeploymentRender::default());
    let deployment = deployment(&release);
    let annotations = deployment.metadata.annotations.unwrap();
    assert_eq!(annotations[ANNOTATION_OWNER_ID], id);
    let kept: DeploymentSpec = serde_json::from_str(&annotations[ANNOTATION_SPEC]).unwrap();
    assert_eq!(kept, spec);
    let pod = deployment.spec.unwrap().template.spec.unwrap();
    assert_eq!(pod.host_network, None);
    let container = &pod.containers[0];
    // The cluster turns `$$` into `$`.
    let sent = hostile.replace('$', "$$");
    assert_eq!(container.command, Some(vec![sent.clone()]));
    assert_eq!(container.env.as_ref().unwrap()[0].value, Some(sent));
}

#[test]
fn a_service_that_is_reached_from_outside_tags_its_target_group() {
    let public = DeploymentRender {
        limit: Duration::from_mins(10),
        host: Some("shop.deploy.example.com".parse().unwrap()),
        ..DeploymentRender::default()
    };
    let release = render_with("shop", &spec(), &public);
    let annotations = &release.manifests[0].object()["metadata"]["annotations"];
    let tags = &annotations["alb.ingress.kubernetes.io/tags"];
    assert_eq!(tags, "deployment=web,hostname=shop.deploy.example.com");
    // Its pods are none the newer for it.
    assert_eq!(release.mark, render(&spec()).mark);
}

#[test]
fn a_release_is_known_by_what_its_pods_are_made_from() {
    let first = render(&spec());
    let pods = deployment(&first).spec.unwrap().template;
    assert_eq!(mark_of(&pods), Some(first.mark.clone()));
    // How many there are is no other release.
    let mut more = spec();
    more.replicas = 9;
    assert_eq!(render(&more).mark, first.mark);
    let mut other = spec();
    other.port = Port::try_from(9090).unwrap();
    assert_ne!(render(&other).mark, first.mark);
    let newer_secret = DeploymentRender {
        secrets: "A=2025;".to_owned(),
        ..DeploymentRender::default()
    };
    assert_ne!(render_with("shop", &spec(), &newer_secret).mark, first.mark);
}

#[test]
fn a_variable_wins_over_a_secret_of_its_name() {
    let mut both = spec();
    both.environment.set("A_KEY", "plain").unwrap();
    both.secrets = SecretUse::Named(["A_KEY", "B_TOKEN"].map(|it| it.parse().unwrap()).into());
    let pod = deployment(&render(&both)).spec.unwrap().template.spec;
    let variables = pod.unwrap().containers[0].env.clone().unwrap();
    let shown: Vec<_> = variables
        .iter()
        .map(|it| (it.name.as_str(), it.value.as_deref()))
        .collect();
    assert_eq!(shown, [("B_TOKEN", None), ("A_KEY", Some("plain"))]);
}

#[test]
fn an_earlier_template_without_a_service_account_takes_the_default_one() {
    let mut earlier = deployment(&render(&spec())).spec.unwrap().template;
    earlier.spec.as_mut().unwrap().service_account_name = None;
    let back = DeploymentRender {
        template: Some(earlier),
        ..DeploymentRender::default()
    };
    let pod = deployment(&render_with("shop", &spec(), &back))
        .spec
        .unwrap()
        .template
        .spec;
    let account = pod.unwrap().service_account_name;
    assert_eq!(account.as_deref(), Some("default"));
}

#[test]
fn an_earlier_template_comes_back_as_it_was() {
    let mut earlier = deployment(&render(&spec())).spec.unwrap().template;
    let labels = earlier.metadata.as_mut().unwrap().labels.as_mut().unwrap();
    labels.insert(TEMPLATE_HASH.to_owned(), "5949".to_owned());
    let pod = earlier.spec.as_mut().unwrap();
    pod.dns_policy = Some("ClusterFirst".to_owned());
    let render = DeploymentRender {
        template: Some(earlier.clone()),
        ..DeploymentRender::default()
    };
    let mut now = spec();
    now.replicas = 7;
    let back = render_with("shop", &now, &render);
    let deployment = deployment(&back).spec.unwrap();
    assert_eq!(deployment.replicas, Some(7));
    let labels = earlier.metadata.as_mut().unwrap().labels.as_mut().unwrap();
    labels.remove(TEMPLATE_HASH);
    assert_eq!(deployment.template, earlier);
    assert_eq!(Some(back.mark), mark_of(&earlier));
}

#[test]
fn a_secret_is_shown_to_nobody() {
    let owner = Owner::project("shop").unwrap();
    let name: EnvName = "_TOKEN_".parse().unwrap();
    let value = Secret::new(b"hunter2\n\0".to_vec());
    let entry = SecretEntry {
        name: &name,
        value: &value,
        set_at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
    };
    let templates = Templates::built_in().unwrap();
    let manifest = templates
        .project_secret_manifest(&owner, Some(&entry))
        .unwrap();
    let encoded = STANDARD.encode(value.expose());
    let hidden = crate::cluster::redaction(std::slice::from_ref(&manifest));
    assert_eq!(hidden.hide(&format!("data: {encoded}")), "data: [hidden]");
    for shown in [
        format!("{manifest:?} {entry:?}"),
        manifest.text().into_owned(),
    ] {
        assert!(
            !shown.contains("hunter2") && !shown.contains(&encoded),
            "{shown}"
        );
    }
    let object: SecretObject = serde_json::from_value(manifest.object().clone()).unwrap();
    assert_eq!(object.data.unwrap()["_TOKEN_"].0, *value.expose());
    let annotations = object.metadata.annotations.unwrap();
    let set_at = annotations.keys().find_map(|key| secret_of_set_at_key(key));
    assert_eq!(set_at, Some(name));
    // Without it, the field manager has no secret any more.
    let none = templates.project_secret_manifest(&owner, None).unwrap();
    assert_eq!(none.object().pointer("/data"), None);
}

#[test]
fn the_service_leads_to_the_port_by_its_name() {
    let release = render(&spec());
    let service: Service = serde_json::from_value(release.manifests[0].object().clone()).unwrap();
    let pod = deployment(&release).spec.unwrap().template.spec.unwrap();
    let port = &service.spec.unwrap().ports.unwrap()[0];
    let named = pod.containers[0].ports.as_ref().unwrap()[0].name.clone();
    assert_eq!(
        serde_json::to_value(&port.target_port).unwrap(),
        json!(named)
    );
}

#[test]
fn a_digest_is_pulled_once_and_a_tag_is_asked_for_each_time() {
    let policy = |image: &str, use_node_copy: bool| {
        let mut spec = spec();
        spec.image = image.parse().unwrap();
        let how = DeploymentRender {
            use_node_copy,
            ..DeploymentRender::default()
        };
        let pod = deployment(&render_with("shop", &spec, &how)).spec.unwrap();
        pod.template.spec.unwrap().containers[0]
            .image_pull_policy
            .clone()
    };
    let pinned = format!("web@sha256:{}", "0f".repeat(32));
    assert_eq!(policy(&pinned, false).as_deref(), Some("IfNotPresent"));
    for tag in ["web", "web:1", "registry.lan:5000/web:live"] {
        assert_eq!(policy(tag, false).as_deref(), Some("Always"), "{tag}");
        assert_eq!(policy(tag, true).as_deref(), Some("IfNotPresent"), "{tag}");
    }
}

#[test]
fn a_number_of_pods_that_is_anothers_is_not_sent() {
    let how = DeploymentRender {
        foreign_replicas: true,
        ..DeploymentRender::default()
    };
    let release = render_with("shop", &spec(), &how);
    let object = release.manifests[1].object();
    assert!(object["spec"].get("replicas").is_none(), "{object}");
    assert_eq!(object["spec"]["revisionHistoryLimit"], 10);
    // The pods are the same ones.
    assert_eq!(
        release.mark,
        render_with("shop", &spec(), &DeploymentRender::default()).mark
    );
}
