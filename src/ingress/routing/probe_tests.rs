use std::{
    io::{BufRead as _, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener},
    sync::Arc,
    thread,
};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};

use super::*;

const HOST: &str = "shop.example.com";

/// A server that gives these answers, one a connection; the port, and what it was asked.
struct Server {
    port: u16,
    asked: thread::JoinHandle<Vec<String>>,
}

impl Server {
    fn plain(answers: Vec<String>) -> Self {
        Self::start(answers, None)
    }

    fn start(answers: Vec<String>, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = thread::spawn(move || {
            let connections = answers.iter().zip(listener.incoming());
            let asked = connections.filter_map(|(answer, stream)| {
                let stream = stream.unwrap();
                match &tls {
                    None => serve(stream, answer),
                    Some(config) => {
                        let tls = ServerConnection::new(Arc::clone(config)).unwrap();
                        serve(StreamOwned::new(tls, stream), answer)
                    }
                }
            });
            asked.collect()
        });
        Self { port, asked }
    }
}

/// The head of the request; none when the client went away, as one does from a bad certificate.
fn serve(mut stream: impl Read + Write, answer: &str) -> Option<String> {
    let mut head = String::new();
    let mut reader = BufReader::new(&mut stream);
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    stream.write_all(answer.as_bytes()).ok()?;
    stream.flush().ok()?;
    Some(head)
}

fn says(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// A certificate for a name that is valid in these years, and the trust in it.
fn certificate(name: &str, years: (i32, i32)) -> (Arc<ServerConfig>, ClientConfig) {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let der: CertificateDer<'static> = certificate.der().clone();
    let provider = Arc::new(ring::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![der.clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(der).unwrap();
    (Arc::new(server), trusting(roots))
}

fn trusting(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

async fn ask(http: Option<u16>, https: Option<u16>, tls: ClientConfig) -> Heard {
    let balancer = Balancer {
        points: vec!["k8s-a.elb.localhost".to_owned()],
        http,
        https,
        internal: false,
    };
    let probe = Probe {
        host: &HOST.parse().unwrap(),
        path: "/health?deep=1",
        balancer: &balancer,
        tls,
        time_limit: Duration::from_secs(5),
    };
    probe.ask(&[Ipv4Addr::LOCALHOST.into()].into()).await
}

async fn ask_plain(port: u16) -> Heard {
    ask(Some(port), None, trusting(RootCertStore::empty())).await
}

#[tokio::test]
async fn the_host_is_asked_for_by_its_name_wherever_it_is() {
    let server = Server::plain(vec![says(
        "200 OK",
        "Server: awselb/2.0\r\n",
        "well\n then",
    )]);
    let heard = ask_plain(server.port).await;
    let url = format!("http://shop.example.com:{}/health?deep=1", server.port);
    assert_eq!(heard.url, url);
    let End::Answer {
        status,
        server: by,
        body,
    } = heard.end
    else {
        panic!("{heard:?}");
    };
    assert_eq!((status, by.as_deref()), (200, Some("awselb/2.0")));
    assert_eq!(body, "well then");
    let asked = server.asked.join().unwrap();
    assert!(asked[0].starts_with("GET /health?deep=1 HTTP/1.1\r\n"));
    let host = asked[0]
        .lines()
        .find(|line| line.to_lowercase().starts_with("host:"));
    assert_eq!(host.unwrap().to_lowercase(), "host: shop.example.com");
}

#[tokio::test]
async fn a_redirect_to_https_is_followed_to_the_load_balancers_port() {
    let (config, trust) = certificate(HOST, (2000, 2100));
    let secure = Server::start(vec![says("204 No Content", "", "")], Some(config));
    let place = "Location: https://shop.example.com:443/health?deep=1\r\n";
    let plain = Server::plain(vec![says("301 Moved Permanently", place, "")]);
    let heard = ask(Some(plain.port), Some(secure.port), trust).await;
    let place = "https://shop.example.com/health?deep=1".to_owned();
    assert_eq!(heard.redirects, [(301, place.clone())]);
    assert_eq!(heard.url, place);
    assert!(
        matches!(heard.end, End::Answer { status: 204, .. }),
        "{heard:?}"
    );
}

#[tokio::test]
async fn a_redirect_to_another_host_is_told_and_not_followed() {
    let place = "Location: https://login.example.com/\r\n";
    let server = Server::plain(vec![says("302 Found", place, "")]);
    let heard = ask_plain(server.port).await;
    assert_eq!(
        heard.end,
        End::Elsewhere(302, "https://login.example.com/".into())
    );
    let server = Server::plain(vec![says("302 Found", "Location: ftp://a/\r\n", "")]);
    let heard = ask_plain(server.port).await;
    assert_eq!(heard.end, End::BadRedirect(302, "ftp://a/".into()));
}

#[tokio::test]
async fn redirects_in_a_circle_come_to_an_end() {
    let place = says("302 Found", "Location: /health?deep=1\r\n", "");
    let server = Server::plain(vec![place; REDIRECTS + 1]);
    let heard = ask_plain(server.port).await;
    assert_eq!(heard.end, End::Loop);
    assert_eq!(heard.redirects.len(), REDIRECTS + 1);
}

#[tokio::test]
async fn each_fault_of_a_certificate_is_told_apart() {
    let (expired, trusts_expired) = certificate(HOST, (2000, 2001));
    let (young, trusts_young) = certificate(HOST, (2099, 2100));
    let (other, trusts_other) = certificate("www.example.com", (2000, 2100));
    let (strange, _) = certificate(HOST, (2000, 2100));
    let trusts_nobody = trusting(RootCertStore::empty());
    for (config, trust, problem) in [
        (expired, trusts_expired, Problem::Expired),
        (young, trusts_young, Problem::NotYetValid),
        (other, trusts_other, Problem::OtherName),
        (strange, trusts_nobody, Problem::UnknownIssuer),
    ] {
        let server = Server::start(vec![says("200 OK", "", "")], Some(config));
        let heard = ask(None, Some(server.port), trust).await;
        let url = format!("https://shop.example.com:{}/health?deep=1", server.port);
        assert_eq!(heard.url, url);
        assert_eq!(heard.end, End::Certificate(problem));
    }
}

#[tokio::test]
async fn nobody_who_listens_is_no_connection() {
    let port = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.local_addr().unwrap().port()
    };
    let heard = ask_plain(port).await;
    let End::NoConnection(problem) = heard.end else {
        panic!("{heard:?}");
    };
    assert!(problem.to_lowercase().contains("refused"), "{problem}");
}

#[tokio::test]
async fn who_never_answers_runs_into_the_time_limit() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let balancer = Balancer {
        points: Vec::new(),
        http: Some(listener.local_addr().unwrap().port()),
        https: None,
        internal: false,
    };
    let probe = Probe {
        host: &HOST.parse().unwrap(),
        path: "/",
        balancer: &balancer,
        tls: trusting(RootCertStore::empty()),
        time_limit: Duration::from_millis(100),
    };
    let heard = probe.ask(&[Ipv4Addr::LOCALHOST.into()].into()).await;
    assert!(matches!(heard.end, End::TimedOut(_)), "{heard:?}");
}

#[tokio::test]
async fn what_is_no_http_is_broken() {
    let server = Server::plain(vec!["SSH-2.0-OpenSSH_9.2\r\n".to_owned()]);
    let heard = ask_plain(server.port).await;
    assert!(matches!(heard.end, End::Broken(_)), "{heard:?}");
}

#[tokio::test]
async fn an_endless_body_is_read_to_its_beginning() {
    let body = "a".repeat(READ * 8);
    let server = Server::plain(vec![says("500 Internal Server Error", "", &body)]);
    let heard = ask_plain(server.port).await;
    let End::Answer { status, body, .. } = heard.end else {
        panic!("{heard:?}");
    };
    assert_eq!((status, body.len()), (500, SHOWN));
}
