use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{
    answer::{Failure, ask},
    exchange::{Door, Tls},
    login::Login,
    place::Place,
};
use crate::{cluster::Wire, domain::Digest};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Leads each host name to a server of the test's own.
#[derive(Default)]
struct Names(HashMap<&'static str, u16>);

#[async_trait]
impl Door for Names {
    async fn open(&self, host: &str, _: u16) -> Result<Box<dyn Wire>, String> {
        let port = self.0.get(host).ok_or("no such host")?;
        let stream = TcpStream::connect(("127.0.0.1", *port)).await;
        Ok(Box::new(stream.map_err(|error| error.to_string())?))
    }
}

/// A server that answers by these rules, and what it was sent.
struct Server {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                let head = String::from_utf8(head).unwrap();
                let reply = answer(&head);
                seen.lock().unwrap().push(head);
                let _ = stream.write_all(reply.as_bytes()).await;
            }
        });
        Self { port, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    fn authorizations(&self) -> Vec<String> {
        let heads = self.heads().join("");
        let lines = heads.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(name, _)| name.eq_ignore_ascii_case("authorization"))
            .map(|(_, value)| value.to_owned())
            .collect()
    }
}

fn reply(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
}

fn found() -> String {
    reply(
        "200 OK",
        &format!("Docker-Content-Digest: {DIGEST}\r\n"),
        "",
    )
}

fn plain() -> Place {
    let image = "registry.test:5000/team/app:live";
    Place::of(&image.parse().unwrap(), Some("registry.test:5000"))
}

async fn asked(door: &Names, login: Option<&Login>) -> Result<Digest, Failure> {
    ask(door, &Tls::default(), &plain(), login).await
}

fn names(registry: &Server, other: Option<&Server>) -> Names {
    let other = other.map(|other| ("other.test", other.port));
    Names(
        [("registry.test", registry.port)]
            .into_iter()
            .chain(other)
            .collect(),
    )
}

#[tokio::test]
async fn the_digest_of_a_tag_is_what_the_registry_names() {
    let server = Server::start(|_| found()).await;
    let digest = asked(&names(&server, None), None).await.unwrap();
    assert_eq!(digest.as_str(), DIGEST);
    let head = server.heads().remove(0);
    assert!(
        head.starts_with("HEAD /v2/team/app/manifests/live HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("registry.test:5000"), "{head}");
    // A list's digest is the answer, not that of one of its platforms.
    let index = head.find("image.index.v1+json").unwrap();
    assert!(index < head.find("image.manifest.v1+json").unwrap());
}

#[tokio::test]
async fn a_registry_that_names_no_digest_is_asked_for_the_manifest_itself() {
    let server = Server::start(|head| {
        let body = if head.starts_with("GET") { "{}" } else { "" };
        reply("200 OK", "", body)
    })
    .await;
    let digest = asked(&names(&server, None), None).await.unwrap();
    let hash = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    assert_eq!(digest.as_str(), hash);
}

#[tokio::test]
async fn a_login_is_sent_when_it_is_asked_for() {
    let server = Server::start(|head| {
        if head.to_lowercase().contains("authorization: basic dtpw") {
            found()
        } else {
            reply(
                "401 Unauthorized",
                "WWW-Authenticate: Basic realm=\"x\"\r\n",
                "",
            )
        }
    })
    .await;
    let door = names(&server, None);
    assert!(matches!(asked(&door, None).await, Err(Failure::Denied(_))));
    assert!(server.authorizations().is_empty());
    assert!(asked(&door, Some(&Login::new("u", "p"))).await.is_ok());
    let wrong = asked(&door, Some(&Login::new("x", "hunter2"))).await;
    let Err(Failure::Denied(why)) = wrong else {
        panic!("{wrong:?}");
    };
    assert!(!why.contains("hunter2") && why.contains("401"), "{why}");
}

#[tokio::test]
async fn a_token_is_fetched_and_used() {
    let server = Server::start(|head| {
        let head = head.to_lowercase();
        if head.starts_with("get /token?service=reg%20x&scope=repository%3ateam%2fapp%3apull ") {
            reply("200 OK", "", "{\"access_token\": \"t0k\"}")
        } else if head.contains("authorization: bearer t0k") {
            found()
        } else {
            let realm = "Bearer realm=\"http://registry.test:5000/token\",service=\"reg x\"";
            reply(
                "401 Unauthorized",
                &format!("WWW-Authenticate: {realm}\r\n"),
                "",
            )
        }
    })
    .await;
    let door = names(&server, None);
    assert!(asked(&door, None).await.is_ok());
    assert_eq!(server.authorizations(), ["Bearer t0k"]);
    assert!(asked(&door, Some(&Login::new("u", "p"))).await.is_ok());
    assert_eq!(
        server.authorizations(),
        ["Bearer t0k", "Basic dTpw", "Bearer t0k"]
    );
}

#[tokio::test]
async fn no_login_goes_to_another_host() {
    // Along a redirect of an answer to the login.
    let other = Server::start(|_| found()).await;
    let server = Server::start(|head| {
        if head.to_lowercase().contains("authorization:") {
            let there = "Location: http://other.test:5000/v2/team/app/manifests/live\r\n";
            reply("307 Temporary Redirect", there, "")
        } else {
            reply(
                "401 Unauthorized",
                "WWW-Authenticate: Basic realm=\"x\"\r\n",
                "",
            )
        }
    })
    .await;
    let login = Login::new("u", "p");
    let door = names(&server, Some(&other));
    assert!(asked(&door, Some(&login)).await.is_ok());
    assert_eq!(other.heads().len(), 1);
    assert!(other.authorizations().is_empty(), "{:?}", other.heads());

    // To a token service elsewhere without TLS.
    let other = Server::start(|_| reply("200 OK", "", "{\"token\": \"t\"}")).await;
    let server = Server::start(|_| {
        let realm = "WWW-Authenticate: Bearer realm=\"http://other.test/token\"\r\n";
        reply("401 Unauthorized", realm, "")
    })
    .await;
    let door = names(&server, Some(&other));
    assert!(matches!(
        asked(&door, Some(&login)).await,
        Err(Failure::Refused(_))
    ));
    assert!(other.heads().is_empty());
}

#[tokio::test]
async fn what_is_no_digest_is_said() {
    for (answer, wanted) in [
        (
            reply("404 Not Found", "", "{}"),
            "has no such repository or tag",
        ),
        (unknown("MANIFEST_UNKNOWN"), "has no such tag"),
        (reply("429 Too Many Requests", "", ""), "limits the rate"),
        (reply("500 Internal Server Error", "", ""), "HTTP 500"),
        (
            reply("307 Temporary Redirect", "Location: /again\r\n", ""),
            "without end",
        ),
        (
            reply("307 Temporary Redirect", "Location: ftp://x/\r\n", ""),
            "can't be used",
        ),
        (
            reply("200 OK", "Docker-Content-Digest: sha512:00\r\n", ""),
            "not sha256",
        ),
        (reply("401 Unauthorized", "", ""), "without asking"),
        ("SSH-2.0-x\r\n".to_owned(), "can't be reached"),
    ] {
        let server = Server::start(move |_| answer.clone()).await;
        let failure = asked(&names(&server, None), None).await.unwrap_err();
        assert!(failure.to_string().contains(wanted), "{failure}: {wanted}");
    }
    let nowhere = asked(&Names::default(), None).await.unwrap_err();
    assert!(matches!(nowhere, Failure::Unreachable(_)), "{nowhere}");
}

fn unknown(code: &str) -> String {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"x"}}]}}"#);
    reply("404 Not Found", "", &body)
}

/// A repository that is unknown without a login may be a private one, and a 404 without a code may be
/// any server's.
#[tokio::test]
async fn only_a_registrys_own_word_is_a_definite_no() {
    let login = Login::new("u", "p");
    for (code, with_login, expected) in [
        ("MANIFEST_UNKNOWN", false, Failure::NoSuchTag),
        ("MANIFEST_UNKNOWN", true, Failure::NoSuchTag),
        ("NAME_UNKNOWN", false, Failure::Unknown),
        // Another login, such as that of the nodes, may see the repository.
        ("NAME_UNKNOWN", true, Failure::Unknown),
        ("NOT_FOUND", true, Failure::Unknown),
    ] {
        // The answer to a HEAD has no body.
        let server = Server::start(move |head| {
            if head.starts_with("GET") {
                unknown(code)
            } else {
                reply("404 Not Found", "", "")
            }
        })
        .await;
        let login = with_login.then_some(&login);
        let failure = asked(&names(&server, None), login).await.unwrap_err();
        assert_eq!(failure, expected, "{code} {with_login}");
    }
}

/// The certificate of a registry with an authority of its own.
#[tokio::test]
async fn a_registry_that_is_not_trusted_is_not_one_that_is_away() {
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

    let key = rcgen::generate_simple_self_signed(["registry.test".to_owned()]).unwrap();
    let private = PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], PrivateKeyDer::Pkcs8(private))
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(found().as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    let door = Names([("registry.test", port)].into_iter().collect());
    let place = Place::of(&"registry.test/team/app:live".parse().unwrap(), None);
    let asked = async |ca_file| ask(&door, &Tls::trusting(ca_file), &place, None).await;

    let refused = asked(None).await.unwrap_err();
    assert!(matches!(refused, Failure::Untrusted(_)), "{refused:?}");
    let said = refused.to_string();
    assert!(said.contains("IMAGE_REGISTRY_CA_FILE"), "{said}");
    let scratch = tempfile::tempdir().unwrap();
    let ca_file = scratch.path().join("ca.pem");
    std::fs::write(&ca_file, key.cert.pem()).unwrap();
    assert_eq!(asked(Some(ca_file)).await.unwrap().as_str(), DIGEST);
    let nowhere = asked(Some(scratch.path().join("nosuch")))
        .await
        .unwrap_err();
    assert!(
        nowhere.to_string().contains("nosuch can't be read"),
        "{nowhere}"
    );
}

#[test]
fn a_tag_that_ecrs_api_does_not_list_is_missing_only_by_the_registrys_own_word() {
    let not_listed = || Some(Ok(None));
    assert_eq!(
        super::with_ecr(not_listed(), Failure::NoSuchTag),
        Failure::NoSuchTag
    );
    let denied = Failure::Denied("refuses the login (HTTP 401)".to_owned());
    match super::with_ecr(not_listed(), denied) {
        Failure::Refused(why) => {
            assert!(why.contains("lists no such tag"), "{why}");
            assert!(why.contains("HTTP 401"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    let unlisted = Failure::Unreachable("no route".to_owned());
    assert_eq!(super::with_ecr(not_listed(), unlisted.clone()), unlisted);
    let failed = Some(Err("AccessDenied".to_owned()));
    let answered = super::with_ecr(failed, Failure::Unknown);
    assert_eq!(answered, Failure::Refused("AccessDenied".to_owned()));
}
