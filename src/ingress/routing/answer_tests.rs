use super::*;

fn balancer(internal: bool) -> Balancer {
    Balancer {
        points: vec!["k8s-a.elb".into()],
        http: Some(80),
        https: Some(443),
        internal,
    }
}

fn heard(end: End) -> Heard {
    Heard {
        url: "https://shop.example.com/".into(),
        redirects: vec![(301, "https://shop.example.com:443/".into())],
        end,
    }
}

fn said(end: End) -> String {
    let step = answer(Rung::Answer, &balancer(false), &heard(end));
    format!("{step} -> {}", step.remedy.as_deref().unwrap_or("-"))
}

fn status(status: u16, server: Option<&str>) -> End {
    End::Answer {
        status,
        server: server.map(str::to_owned),
        body: "the body".into(),
    }
}

#[test]
fn an_answer_is_told_with_the_redirects_before_it() {
    assert_eq!(
        said(status(200, None)),
        "ok    answer: 301 to https://shop.example.com:443/, 200 from https://shop.example.com/ -> -"
    );
}

#[test]
fn each_way_that_an_answer_is_no_good_one_is_explained() {
    let all = [
        status(404, Some("awselb/2.0")),
        status(404, Some("nginx")),
        status(401, None),
        status(500, None),
        status(502, Some("awselb/2.0")),
        status(503, Some("awselb/2.0")),
        status(504, None),
        End::Elsewhere(302, "https://login.example.com/".into()),
        End::BadRedirect(302, "ftp://a\u{1b}".into()),
        End::Loop,
        End::NoConnection("connection refused".into()),
        End::TimedOut(10),
        End::Broken("invalid HTTP version parsed".into()),
    ];
    let told: Vec<_> = all.into_iter().map(said).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
FAIL  answer: 301 to https://shop.example.com:443/, 404 from https://shop.example.com/: the body -> the load balancer has no rule for this host and path yet: ask again, then read the controller's warnings in the status of the group
warn  answer: 301 to https://shop.example.com:443/, 404 from https://shop.example.com/: the body -> the route is good; request a path that the application has
warn  answer: 301 to https://shop.example.com:443/, 401 from https://shop.example.com/: the body -> the route is good; the application refuses this request
warn  answer: 301 to https://shop.example.com:443/, 500 from https://shop.example.com/: the body -> the route is good, the application fails: see its log
FAIL  answer: 301 to https://shop.example.com:443/, 502 from https://shop.example.com/: the body -> the pod closed the connection or sent no HTTP: see its log, and that it listens on the Service's target port
FAIL  answer: 301 to https://shop.example.com:443/, 503 from https://shop.example.com/: the body -> no target is registered or healthy: see that the pods answer the health check's path with 200
FAIL  answer: 301 to https://shop.example.com:443/, 504 from https://shop.example.com/: the body -> the pod did not answer in time: see its log, and that the security groups let the load balancer reach the pods
ok    answer: 301 to https://shop.example.com:443/, 302 from https://shop.example.com/ to another host, https://login.example.com/; not followed -> -
FAIL  answer: 301 to https://shop.example.com:443/, 302 from https://shop.example.com/ to "ftp://a\u{1b}", which can't be asked -> mend where the application redirects to
FAIL  answer: 301 to https://shop.example.com:443/, and so on without an end -> an application that redirects to https by itself must heed the header X-Forwarded-Proto
FAIL  answer: 301 to https://shop.example.com:443/, https://shop.example.com/: no connection: connection refused -> see that its security group lets these ports in, and that nothing here keeps them from getting out
FAIL  answer: 301 to https://shop.example.com:443/, https://shop.example.com/: no answer within 10 s -> see that its security group lets these ports in, and that nothing here keeps them from getting out
FAIL  answer: 301 to https://shop.example.com:443/, https://shop.example.com/: invalid HTTP version parsed -> see whether the application speaks HTTP on the Service's target port
"#);
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let all = [
        Problem::Expired,
        Problem::NotYetValid,
        Problem::OtherName,
        Problem::UnknownIssuer,
        Problem::Other("BadEncoding".into()),
    ];
    let told: Vec<_> = all
        .into_iter()
        .map(|it| said(End::Certificate(it)))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
FAIL  answer: 301 to https://shop.example.com:443/, https://shop.example.com/: the certificate has expired -> renew it in ACM; also check the clock of this machine
FAIL  answer: 301 to https://shop.example.com:443/, https://shop.example.com/: the certificate is not valid yet -> renew it in ACM; also check the clock of this machine
FAIL  answer: 301 to https://shop.example.com:443/, https://shop.example.com/: the certificate is for other names -> name one that covers the host with ALB_CERTIFICATE_ARN (such as one for *.DOMAIN), or make one in ACM for the controller to find
FAIL  answer: 301 to https://shop.example.com:443/, https://shop.example.com/: the certificate's issuer is not trusted here -> use a certificate of a public authority; or let SSL_CERT_FILE name your own authority's
FAIL  answer: 301 to https://shop.example.com:443/, https://shop.example.com/: the certificate can't be used: BadEncoding -> use a certificate of a public authority; or let SSL_CERT_FILE name your own authority's
"#);
}

#[test]
fn an_internal_load_balancer_is_to_be_asked_from_within() {
    let step = answer(Rung::Answer, &balancer(true), &heard(End::TimedOut(10)));
    assert!(step.remedy.unwrap().contains("internal"));
}
