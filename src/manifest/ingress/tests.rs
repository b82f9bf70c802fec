use std::fs;

use k8s_openapi::api::networking::v1::Ingress;

use super::*;

fn spec(owner: &str) -> IngressSpec {
    IngressSpec {
        owner: Owner::project(owner).unwrap(),
        name: "web".parse().unwrap(),
        host: "shop.deploy.example.com".parse().unwrap(),
        group: "alb-deployments".parse().unwrap(),
        scheme: Scheme::InternetFacing,
        listeners: Listeners::HttpToHttps,
        certificate_arn: None,
        health_path: "/health".to_owned(),
        service_port: 80,
    }
}

fn render(spec: &IngressSpec) -> Manifest {
    let templates = Templates::built_in().unwrap();
    templates.ingress_manifest(spec).unwrap()
}

/// The controller's annotations without their common beginning.
fn annotations(spec: &IngressSpec) -> Vec<String> {
    let ingress: Ingress = serde_json::from_str(&render(spec).json()).unwrap();
    let all = ingress.metadata.annotations.unwrap();
    let own = all.into_iter().filter_map(|(key, value)| {
        let (_, suffix) = key.split_once("alb.ingress.kubernetes.io/")?;
        Some(format!("{suffix}: {value}"))
    });
    own.collect()
}

#[test]
fn the_ingress_of_a_deployment_behind_the_shared_load_balancer() {
    let manifest = render(&spec("shop"));
    assert_eq!(
        (manifest.kind(), manifest.name(), manifest.namespace()),
        ("Ingress", "web", Some("project-shop"))
    );
    insta::assert_snapshot!(manifest.text(), @r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: "web"
  namespace: "project-shop"
  labels:
    app.kubernetes.io/managed-by: "berth"
    app.kubernetes.io/name: "web"
    berth.dev/deployment: "web"
  annotations:
    berth.dev/owner-id: "shop"
    alb.ingress.kubernetes.io/group.name: "alb-deployments"
    alb.ingress.kubernetes.io/scheme: "internet-facing"
    # Straight to the pods: a Service without node ports is enough.
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/listen-ports: "[{\"HTTP\": 80}, {\"HTTPS\": 443}]"
    alb.ingress.kubernetes.io/ssl-redirect: "443"
    alb.ingress.kubernetes.io/healthcheck-path: "/health"
    # How long a pod that ends still gets the answers to what it was asked.
    alb.ingress.kubernetes.io/target-group-attributes: deregistration_delay.timeout_seconds=30
    # No tags: the controller refuses a group whose Ingresses have different ones. The Service has them.
spec:
  ingressClassName: "alb"
  rules:
    - host: "shop.deploy.example.com"
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: "web"
                port:
                  number: 80
"#);
}

#[test]
fn http_alone_needs_neither_redirect_nor_certificate() {
    let spec = IngressSpec {
        listeners: Listeners::Http,
        scheme: Scheme::Internal,
        certificate_arn: Some("arn:aws:acm:eu-west-1:1:certificate/a".to_owned()),
        ..spec("shop")
    };
    insta::assert_snapshot!(annotations(&spec).join("\n"), @r#"
group.name: alb-deployments
healthcheck-path: /health
listen-ports: [{"HTTP": 80}]
scheme: internal
target-group-attributes: deregistration_delay.timeout_seconds=30
target-type: ip
"#);
}

#[test]
fn https_alone_has_nothing_to_redirect() {
    let spec = IngressSpec {
        listeners: Listeners::Https,
        certificate_arn: Some("arn:aws:acm:eu-west-1:1:certificate/a".to_owned()),
        ..spec("shop")
    };
    insta::assert_snapshot!(annotations(&spec).join("\n"), @r#"
certificate-arn: arn:aws:acm:eu-west-1:1:certificate/a
group.name: alb-deployments
healthcheck-path: /health
listen-ports: [{"HTTPS": 443}]
scheme: internet-facing
target-group-attributes: deregistration_delay.timeout_seconds=30
target-type: ip
"#);
}

#[test]
fn a_certificate_is_named_beside_the_redirect() {
    let arns = "arn:aws:acm:eu-west-1:1:certificate/a,arn:aws:acm:eu-west-1:1:certificate/b";
    let spec = IngressSpec {
        certificate_arn: Some(arns.to_owned()),
        ..spec("shop")
    };
    let annotations = annotations(&spec);
    assert!(annotations.contains(&format!("certificate-arn: {arns}")));
    assert!(annotations.contains(&"ssl-redirect: 443".to_owned()));
}

#[test]
fn what_tags_the_target_group_stands_on_the_service() {
    let spec = spec("shop");
    let (key, value) = IngressSpec::service_tags(&spec.name, &spec.host);
    assert_eq!(key, "alb.ingress.kubernetes.io/tags");
    assert_eq!(value, "deployment=web,hostname=shop.deploy.example.com");
    assert!(!render(&spec).json().contains("io/tags"));
}

#[test]
fn hostile_values_stay_values() {
    for id in [
        "a: b",
        "{{ group }}",
        "\"\\ # 🚢",
        "x}, {y",
        "'; reboot",
        "null",
    ] {
        let mut spec = spec(id);
        spec.name = "hosting/agent-images:v1".parse().unwrap();
        spec.health_path = format!("/{id}\nspec: {{}}");
        let ingress: Ingress = serde_json::from_str(&render(&spec).json()).unwrap();
        let annotations = ingress.metadata.annotations.unwrap();
        assert_eq!(annotations[ANNOTATION_OWNER_ID], id);
        assert_eq!(
            annotations["alb.ingress.kubernetes.io/healthcheck-path"],
            spec.health_path
        );
        assert_eq!(
            ingress.metadata.name.as_deref(),
            Some(spec.name.as_str()),
            "{id}"
        );
        let rules = ingress.spec.unwrap().rules.unwrap();
        let path = &rules[0].http.as_ref().unwrap().paths[0];
        let service = path.backend.service.as_ref().unwrap();
        assert_eq!(service.name, spec.name.as_str());
        assert_eq!(service.port.as_ref().unwrap().number, Some(80));
    }
}

#[test]
fn a_template_of_ones_own_cannot_leave_the_group() {
    let folder = tempfile::tempdir().unwrap();
    let (_, built_in) = TEMPLATES[0];
    let elsewhere = built_in.replace("group.name: {{ group }}", "group.name: elsewhere");
    fs::create_dir(folder.path().join("ingress")).unwrap();
    fs::write(folder.path().join(INGRESS), elsewhere).unwrap();
    let templates = Templates::with_overrides(folder.path()).unwrap();
    let error = templates.ingress_manifest(&spec("shop")).unwrap_err();
    let ManifestError::Differs { field, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(
        field,
        "metadata.annotations[alb.ingress.kubernetes.io/group.name]"
    );
}
