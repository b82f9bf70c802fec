//! The load balancer's stand-in: addresses, routes, targets, and what it says of ingresses that
//! contradict themselves or each other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(dead_code, reason = "the support module serves several test programs")]

#[path = "support/http.rs"]
mod http;
mod support;

use http::{get, get_secure};
use serde_json::{Value, json};
use support::{Sandbox, deployment, eventually, namespace};

/// A deployment that serves its name at `/`, `ok` at `/health`, and its service.
fn web(name: &str) -> [Value; 2] {
    let script = format!(
        "mkdir -p /www/sub; echo {name} > /www/index.html; echo sub > /www/sub/index.html; \
         echo ok > /www/health; exec httpd -f -p 8080 -h /www"
    );
    let container = json!({
        "command": ["sh", "-c", script],
        "ports": [{ "name": "http", "containerPort": 8080 }],
        "readinessProbe": { "tcpSocket": { "port": "http" }, "periodSeconds": 1 },
    });
    [deployment("default", name, &container), service(name)]
}

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name, "namespace": "default" },
        "spec": {
            "selector": { "app": name },
            "ports": [{ "name": "web", "port": 80, "targetPort": "http" }],
        },
    })
}

/// An ingress of class `alb` for a host, to the service of its own name. Annotations are given
/// without their prefix.
fn ingress(name: &str, host: &str, annotations: &[(&str, &str)]) -> Value {
    let mut own = json!({
        "alb.ingress.kubernetes.io/target-type": "ip",
        "alb.ingress.kubernetes.io/healthcheck-path": "/health",
    });
    for (key, value) in annotations {
        own[format!("alb.ingress.kubernetes.io/{key}")] = json!(value);
    }
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": { "name": name, "namespace": "default", "annotations": own },
        "spec": {
            "ingressClassName": "alb",
            "rules": [{ "host": host, "http": { "paths": [path("/", "Prefix", name)] } }],
        },
    })
}

fn path(path: &str, kind: &str, service: &str) -> Value {
    json!({
        "path": path,
        "pathType": kind,
        "backend": { "service": { "name": service, "port": { "number": 80 } } },
    })
}

const SHARED: (&str, &str) = ("group.name", "shared");
const BOTH: (&str, &str) = ("listen-ports", r#"[{"HTTP": 80}, {"HTTPS": 443}]"#);

/// Waits for an ingress's address: its host name and its local ports.
fn address(sandbox: &Sandbox, ingress: &str) -> (String, Vec<u64>) {
    let found = sandbox.until(&format!("ingress {ingress}"), |ingress| {
        ingress["status"]["loadBalancer"]["ingress"][0]["hostname"].is_string()
    });
    let address = &found["status"]["loadBalancer"]["ingress"][0];
    let ports = address["ports"].as_array().unwrap().iter();
    (
        address["hostname"].as_str().unwrap().to_owned(),
        ports.map(|port| port["port"].as_u64().unwrap()).collect(),
    )
}

/// The reasons and messages of an ingress's events, the latest last.
fn events(sandbox: &Sandbox, ingress: &str) -> Vec<(String, String)> {
    let field = format!("involvedObject.kind=Ingress,involvedObject.name={ingress}");
    let list = sandbox
        .get(&format!("events --field-selector {field}"))
        .unwrap();
    let events = list["items"].as_array().unwrap().iter();
    let mut events: Vec<(u64, String, String)> = events
        .map(|event| {
            let word = |key: &str| event[key].as_str().unwrap().to_owned();
            let revision = event["metadata"]["resourceVersion"].as_str().unwrap();
            (revision.parse().unwrap(), word("reason"), word("message"))
        })
        .collect();
    events.sort();
    events
        .into_iter()
        .map(|(_, reason, message)| (reason, message))
        .collect()
}

fn await_event(sandbox: &Sandbox, ingress: &str, reason: &str, message: &str) {
    let mut seen = Vec::new();
    let wanted = (reason.to_owned(), message.to_owned());
    let deadline = std::time::Instant::now() + support::PATIENCE;
    while !seen.contains(&wanted) {
        assert!(
            std::time::Instant::now() < deadline,
            "{ingress}: no {wanted:?} in {seen:#?}"
        );
        seen = events(sandbox, ingress);
    }
}

fn rollouts(sandbox: &Sandbox, names: &[&str]) {
    for name in names {
        sandbox.ok(&format!(
            "kubectl rollout status deployment/{name} --timeout=30s"
        ));
    }
}

/// Waits until a request is answered with a status, and answers with the body.
fn until_status(port: u64, host: &str, path: &str, status: u16) -> String {
    eventually(&format!("{status} for {host}{path}"), || {
        let reply = get(port, host, path);
        (reply.status == status).then_some(reply.body)
    })
}

#[test]
fn a_group_shares_one_address_that_routes_by_host_and_path() {
    let sandbox = Sandbox::start(&[]);
    assert_eq!(sandbox.setting("DEPLOYMENT_DOMAIN"), "apps.localhost");
    let mut one = ingress("one", "one.apps.localhost", &[SHARED]);
    one["spec"]["rules"][0]["http"]["paths"] = json!([
        path("/", "Prefix", "one"),
        path("/sub", "Prefix", "two"),
        path("/exact", "Exact", "nobody"),
    ]);
    // Through the node's port, which is what a load balancer does unless it is told otherwise.
    let instance = ("target-type", "instance");
    let two = ingress("two", "*.two.apps.localhost", &[SHARED, instance]);
    let mut on_node = web("two");
    on_node[1]["spec"]["type"] = json!("NodePort");
    let alone = ingress("alone", "one.apps.localhost", &[]);
    let objects: Vec<Value> = web("one")
        .into_iter()
        .chain(on_node)
        .chain([one, two, alone])
        .collect();
    sandbox.apply(&objects);
    rollouts(&sandbox, &["one", "two"]);
    let (hostname, ports) = address(&sandbox, "one");
    assert!(
        hostname.starts_with("internal-k8s-shared-") && hostname.ends_with(".elb.localhost"),
        "{hostname}"
    );
    assert_eq!(address(&sandbox, "two"), (hostname.clone(), ports.clone()));
    assert_ne!(address(&sandbox, "alone").0, hostname);
    let port = ports[0];
    assert_eq!(until_status(port, "one.apps.localhost", "/", 200), "one\n");
    assert_eq!(
        until_status(port, "ONE.apps.localhost:80", "/sub/", 200),
        "sub\n"
    );
    assert_eq!(
        until_status(port, "a.b.two.apps.localhost", "/", 200),
        "two\n"
    );
    let exact = get(port, "one.apps.localhost", "/exact");
    assert_eq!(
        (exact.status, &*exact.body),
        (503, "Backend service does not exist")
    );
    assert_eq!(get(port, "one.apps.localhost", "/subway").status, 404);
    let nowhere = get(port, "three.apps.localhost", "/");
    assert_eq!((nowhere.status, &*nowhere.body), (404, ""));
    assert_eq!(nowhere.header("server"), "awselb/2.0");
    let held = |name: &str| {
        sandbox.get(&format!("ingress {name}")).unwrap()["metadata"]["finalizers"].clone()
    };
    assert_eq!(held("one"), json!(["group.ingress.k8s.aws/shared"]));
    assert_eq!(held("alone"), json!(["ingress.k8s.aws/resources"]));
    let wanted = ("SuccessfullyReconciled", "Successfully reconciled");
    await_event(&sandbox, "one", wanted.0, wanted.1);
    let shown = sandbox.ok("kubectl get ingress one");
    assert!(shown.contains(&hostname), "{shown}");

    // Who leaves is let go; the rest stays where it is.
    sandbox.ok("kubectl delete ingress one --timeout=20s");
    assert_eq!(address(&sandbox, "two").1, ports);
    until_status(port, "one.apps.localhost", "/", 404);
    sandbox.ok("kubectl delete ingress two --timeout=20s");
    eventually("the listener's end", || {
        std::net::TcpStream::connect(("127.0.0.1", u16::try_from(port).unwrap()))
            .is_err()
            .then_some(())
    });
}

#[test]
fn plain_http_is_sent_to_the_secure_listener() {
    let sandbox = Sandbox::start(&[]);
    let mut objects = web("web").to_vec();
    objects.push(ingress(
        "web",
        "web.apps.localhost",
        &[BOTH, ("ssl-redirect", "443"), ("scheme", "internet-facing")],
    ));
    sandbox.apply(&objects);
    rollouts(&sandbox, &["web"]);
    let (hostname, ports) = address(&sandbox, "web");
    assert!(hostname.starts_with("k8s-default-web-"), "{hostname}");
    let [plain, secure] = ports.as_slice() else {
        panic!("{ports:?}");
    };
    let sent = get(*plain, "web.apps.localhost", "/sub/?a=b");
    assert_eq!(sent.status, 301);
    assert_eq!(
        sent.header("location"),
        format!("https://web.apps.localhost:{secure}/sub/?a=b")
    );
    let answer = get_secure(*secure, "web.apps.localhost", "/sub/?a=b");
    assert_eq!((answer.status, &*answer.body), (200, "sub\n"));
    let (status, body) = (404, "");
    let other = get_secure(*secure, "other.apps.localhost", "/");
    assert_eq!((other.status, &*other.body), (status, body));
}

#[test]
fn requests_go_to_targets_that_are_ready_and_well() {
    let sandbox = Sandbox::start(&[]);
    // Ready while /tmp/ready is there, well while /www/health is, and silent without httpd.
    let container = json!({
        "command": ["sh", "-c", "mkdir /www; hostname > /www/index.html; echo ok > /www/health; \
            touch /tmp/ready; httpd -p 8080 -h /www; trap 'exit 0' TERM; sleep 1000 & wait"],
        "ports": [{ "name": "http", "containerPort": 8080 }],
        "readinessProbe": {
            "exec": { "command": ["test", "-e", "/tmp/ready"] },
            "periodSeconds": 1,
            "failureThreshold": 1,
        },
    });
    let mut web = deployment("default", "web", &container);
    web["spec"]["replicas"] = json!(2);
    let checked = [
        ("healthcheck-interval-seconds", "5"),
        ("healthcheck-timeout-seconds", "2"),
    ];
    sandbox.apply(&[
        web,
        service("web"),
        ingress("web", "web.apps.localhost", &checked),
    ]);
    rollouts(&sandbox, &["web"]);
    let port = address(&sandbox, "web").1[0];
    let both_answer = || {
        let bodies: std::collections::BTreeSet<String> = (0..4)
            .map(|_| get(port, "web.apps.localhost", "/"))
            .filter(|reply| reply.status == 200)
            .map(|reply| reply.body.trim().to_owned())
            .collect();
        (bodies.len() == 2).then_some(bodies)
    };
    let pods: Vec<String> = eventually("answers of both pods", both_answer)
        .into_iter()
        .collect();
    let states = |wanted: &[&str]| {
        eventually(&format!("targets that are {wanted:?}"), || {
            let told = sandbox.control("GET", "/alb", &json!(null));
            let mut states: Vec<&str> = told["load_balancers"][0]["targets"]
                .as_array()
                .unwrap()
                .iter()
                .map(|target| target["state"].as_str().unwrap())
                .collect();
            states.sort_unstable();
            (states == wanted).then_some(())
        });
    };
    let run =
        |pod: &str, script: &str| sandbox.ok(&format!("kubectl exec {pod} -- sh -c '{script}'"));
    states(&["healthy", "healthy"]);
    run(&pods[0], "rm /www/health");
    states(&["healthy", "unhealthy"]);
    for _ in 0..4 {
        let reply = get(port, "web.apps.localhost", "/");
        assert_eq!((reply.status, reply.body.trim()), (200, pods[1].as_str()));
    }
    // When none is well, all get requests.
    run(&pods[1], "rm /www/health");
    states(&["unhealthy", "unhealthy"]);
    eventually("answers of both pods", both_answer);
    // Who listens no more does not answer.
    for pod in &pods {
        run(pod, "killall httpd");
    }
    let silent = get(port, "web.apps.localhost", "/");
    assert_eq!(silent.status, 502);
    assert!(silent.body.contains("502 Bad Gateway"), "{silent:?}");
    // Who is not ready is no target at all.
    for pod in &pods {
        run(pod, "rm /tmp/ready");
    }
    let body = until_status(port, "web.apps.localhost", "/", 503);
    assert!(
        body.contains("503 Service Temporarily Unavailable"),
        "{body}"
    );
}

#[test]
fn members_of_a_group_that_disagree_are_told_and_keep_what_they_have() {
    let sandbox = Sandbox::start(&[]);
    let scheme = |name: &str, scheme: &str| {
        let host = format!("{name}.apps.localhost");
        ingress(name, &host, &[SHARED, ("scheme", scheme)])
    };
    let mut objects = web("one").to_vec();
    objects.extend([service("two"), scheme("one", "internet-facing")]);
    sandbox.apply(&objects);
    rollouts(&sandbox, &["one"]);
    let before = address(&sandbox, "one");
    sandbox.apply(&[scheme("two", "internal")]);
    for name in ["one", "two"] {
        await_event(
            &sandbox,
            name,
            "FailedBuildModel",
            "Failed build model due to conflicting scheme: map[internal:{} internet-facing:{}]",
        );
    }
    assert_eq!(address(&sandbox, "one"), before);
    until_status(before.1[0], "one.apps.localhost", "/", 200);
    let two = sandbox.get("ingress two").unwrap();
    assert_eq!(two["status"]["loadBalancer"], json!({}));
    // Agreed again, both have the address.
    sandbox.apply(&[scheme("two", "internet-facing")]);
    assert_eq!(address(&sandbox, "two"), before);

    // Tags of ingresses are the load balancer's, so they must agree too.
    let tagged = |name: &str| {
        let host = format!("{name}.apps.localhost");
        let tags = format!("deployment={name}");
        let facing = ("scheme", "internet-facing");
        ingress(name, &host, &[SHARED, facing, ("tags", &tags)])
    };
    sandbox.apply(&[tagged("one"), tagged("two")]);
    await_event(
        &sandbox,
        "two",
        "FailedBuildModel",
        "Failed build model due to conflicting tag deployment: one | two",
    );
    // Even who leaves a group that can't be built is held by it until it can.
    let mut third = tagged("three");
    third["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] = json!("one");
    sandbox.apply(&[third]);
    sandbox.until("ingress three", |three| {
        three["metadata"]["finalizers"].is_array()
    });
    let held = sandbox.ssh("kubectl delete ingress three --timeout=1s");
    assert_eq!(held.code, 1, "{held:?}");
    sandbox.apply(&[
        scheme("one", "internet-facing"),
        scheme("two", "internet-facing"),
    ]);
    sandbox.ok("kubectl wait ingress/three --for=delete --timeout=20s");
}

#[test]
fn an_ingress_that_can_not_be_is_told_why() {
    let sandbox = Sandbox::start(&[]);
    let host = "web.apps.localhost";
    let arn = "arn:aws:acm:us-east-1:123456789012:certificate";
    let json_error = "failed to parse listen-ports configuration: `[{\"HTTP\": 80}`: unexpected end \
                      of JSON input";
    let node_port = "TargetGroup port is empty. When using Instance targets, your service be must \
                     of type 'NodePort' or 'LoadBalancer'";
    let secure = ("listen-ports", r#"[{"HTTPS": 443}]"#);
    let missing = format!("{arn}/missing");
    let cases: [(&str, &str, Vec<(&str, &str)>, &str); 6] = [
        (
            "json",
            host,
            vec![("listen-ports", r#"[{"HTTP": 80}"#)],
            json_error,
        ),
        (
            "tls",
            "web.example.com",
            vec![BOTH],
            "no certificate found for host: web.example.com",
        ),
        (
            "instance",
            host,
            vec![("target-type", "instance")],
            node_port,
        ),
        (
            "redirect",
            host,
            vec![("ssl-redirect", "443")],
            "listener does not exist for SSLRedirect port: 443",
        ),
        (
            "scheme",
            host,
            vec![("scheme", "public")],
            "unknown scheme: public",
        ),
        (
            "port",
            host,
            vec![],
            "unable to find port 81 on service default/web",
        ),
    ];
    let mut objects = vec![service("web")];
    for (name, host, annotations, _) in &cases {
        let mut one = ingress(name, host, annotations);
        let backend = &mut one["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"];
        backend["name"] = json!("web");
        if *name == "port" {
            backend["port"]["number"] = json!(81);
        }
        objects.push(one);
    }
    let named = |name: &str, arn: &str| {
        let mut one = ingress(name, "web.example.com", &[secure, ("certificate-arn", arn)]);
        one["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] = json!("web");
        one
    };
    objects.push(named("absent", &missing));
    objects.push(named("present", &format!("{arn}/0000")));
    sandbox.apply(&objects);
    for (name, _, _, why) in &cases {
        let own = matches!(*name, "json" | "tls" | "instance" | "port");
        let ingress = if own {
            format!("ingress: default/{name}: ")
        } else {
            String::new()
        };
        let message = format!("Failed build model due to {ingress}{why}");
        await_event(&sandbox, name, "FailedBuildModel", &message);
        let found = sandbox.get(&format!("ingress {name}")).unwrap();
        assert_eq!(found["status"]["loadBalancer"], json!({}), "{name}");
    }
    address(&sandbox, "present");
    let told = eventually("the missing certificate's event", || {
        let mut all = events(&sandbox, "absent").into_iter();
        all.find(|(reason, _)| reason == "FailedDeployModel")
    });
    let start = format!(
        "Failed deploy model due to CertificateNotFound: Certificate '{missing}' not found"
    );
    assert!(told.1.starts_with(&start), "{told:?}");
}

#[test]
fn without_its_controller_a_load_balancer_goes_on_and_nothing_new_begins() {
    let sandbox = Sandbox::start(&[]);
    let mut objects = web("web").to_vec();
    objects.push(ingress("web", "web.apps.localhost", &[]));
    sandbox.apply(&objects);
    rollouts(&sandbox, &["web"]);
    let port = address(&sandbox, "web").1[0];
    until_status(port, "web.apps.localhost", "/", 200);
    sandbox.control("POST", "/alb", &json!({ "controller": false }));
    let controller = "deployment aws-load-balancer-controller -n kube-system";
    let deployment = sandbox.get(controller).unwrap();
    assert!(deployment["status"]["availableReplicas"].is_null());
    sandbox.apply(&[ingress("late", "late.apps.localhost", &[])]);
    let gone = sandbox.ssh("kubectl delete ingress web --timeout=1s");
    assert_eq!(gone.code, 1, "{gone:?}");
    assert_eq!(get(port, "web.apps.localhost", "/").status, 200);
    let late = sandbox.get("ingress late").unwrap();
    assert_eq!(late["status"]["loadBalancer"], json!({}));
    assert!(late["metadata"]["finalizers"].is_null());

    sandbox.control("POST", "/alb", &json!({ "controller": true }));
    let pods = sandbox.ok(
        "kubectl get pods -n kube-system -l app.kubernetes.io/name=aws-load-balancer-controller \
         --field-selector status.phase=Running -o name",
    );
    assert!(!pods.is_empty());
    address(&sandbox, "late");
    sandbox.ok("kubectl wait ingress/web --for=delete --timeout=20s");
}

#[test]
fn a_class_is_named_by_the_field_or_the_old_annotation() {
    let sandbox = Sandbox::start(&[]);
    let old = |name: &str, class: &str| {
        let mut one = ingress(name, "web.apps.localhost", &[]);
        one["spec"]
            .as_object_mut()
            .unwrap()
            .remove("ingressClassName");
        one["metadata"]["annotations"]["kubernetes.io/ingress.class"] = json!(class);
        one
    };
    let text = old("old", "alb").to_string();
    let (code, _, stderr) = sandbox.ssh_with("kubectl apply -f -", text.as_bytes());
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(
        stderr,
        "Warning: annotation \"kubernetes.io/ingress.class\" is deprecated, please use \
         'spec.ingressClassName' instead\n"
    );
    let mut unknown = ingress("unknown", "web.apps.localhost", &[]);
    unknown["spec"]["ingressClassName"] = json!("elb");
    let misnamed = ingress(
        "misnamed",
        "web.apps.localhost",
        &[("group.name", "No Group")],
    );
    sandbox.apply(&[old("foreign", "nginx"), unknown, misnamed]);
    address(&sandbox, "old");
    await_event(
        &sandbox,
        "unknown",
        "FailedLoadGroupID",
        "failed load groupID due to invalid ingress class: IngressClass.networking.k8s.io \"elb\" \
         not found",
    );
    await_event(
        &sandbox,
        "misnamed",
        "FailedLoadGroupID",
        "failed load groupID due to invalid ingress group: groupName must consist of lower case \
         alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
    );
    let foreign = sandbox.get("ingress foreign").unwrap();
    assert_eq!(foreign["status"]["loadBalancer"], json!({}));
    assert!(events(&sandbox, "foreign").is_empty());

    let mut both = old("both", "alb");
    both["spec"]["ingressClassName"] = json!("alb");
    let (code, _, stderr) = sandbox.ssh_with("kubectl apply -f -", both.to_string().as_bytes());
    assert_eq!(code, 1);
    assert!(
        stderr.contains("can not be set when the class field is also set"),
        "{stderr}"
    );
}

#[test]
fn a_namespace_with_an_ingress_can_be_deleted() {
    let sandbox = Sandbox::start(&[]);
    let mut one = ingress("web", "web.apps.localhost", &[SHARED]);
    one["metadata"]["namespace"] = json!("gone");
    sandbox.apply(&[namespace("gone"), one]);
    address(&sandbox, "web -n gone");
    sandbox.ok("kubectl delete namespace gone --timeout=30s");
}
