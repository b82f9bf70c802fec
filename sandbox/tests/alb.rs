//! The load balancer's stand-in: addresses, routes, targets, and a controller that is away.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(dead_code, reason = "the support module serves several test programs")]

#[path = "support/http.rs"]
mod http;
#[path = "support/ingress.rs"]
mod ingresses;
mod support;

use http::{get, get_secure};
use ingresses::{
    BOTH, SHARED, address, await_event, ingress, path, rollouts, service, until_status, web,
};
use serde_json::{Value, json};
use support::{Sandbox, deployment, eventually};

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
