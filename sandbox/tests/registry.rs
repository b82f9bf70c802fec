//! The registry answers as the OCI distribution spec says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(dead_code, reason = "the support module serves several test programs")]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::Sandbox;
use support::registry::{MANIFEST, architecture, digest, tar};

#[test]
fn blobs_arrive_in_every_way_and_are_read_back() {
    let sandbox = Sandbox::start(&[]);
    let base = sandbox.registry("GET", "/v2/", "", b"");
    assert_eq!((base.status, base.body.as_slice()), (200, b"{}".as_slice()));
    let bytes = vec![7_u8; 300_000];
    let blob = sandbox.push_blob("a/one", &bytes);

    let begun = sandbox.registry("POST", "/v2/a/two/blobs/uploads/", "", b"");
    assert_eq!(begun.status, 202);
    let place = begun.header("Location").to_owned();
    let piece = |range: &str, bytes: &[u8]| {
        sandbox.registry(
            "PATCH",
            &place,
            &format!("Content-Range: {range}\r\n"),
            bytes,
        )
    };
    let first = piece("0-99999", &bytes[..100_000]);
    assert_eq!((first.status, first.header("Range")), (202, "0-99999"));
    let gap = piece("100001-200000", &bytes[..100_000]);
    assert_eq!(
        (gap.status, gap.error().as_str()),
        (416, "BLOB_UPLOAD_INVALID")
    );
    assert_eq!(piece("100000-199999", &bytes[100_000..200_000]).status, 202);
    let whole = sandbox.registry(
        "PUT",
        &format!("{place}?digest={blob}"),
        "",
        &bytes[200_000..],
    );
    assert_eq!(whole.status, 201, "{whole:?}");
    assert_eq!(whole.header("Location"), format!("/v2/a/two/blobs/{blob}"));

    let mount = |from: &str| {
        let path = format!("/v2/a/three/blobs/uploads/?mount={blob}&from={from}");
        sandbox.registry("POST", &path, "", b"").status
    };
    assert_eq!((mount("a/none"), mount("a/one")), (202, 201));
    for repository in ["a/one", "a/two", "a/three"] {
        let path = format!("/v2/{repository}/blobs/{blob}");
        let read = sandbox.registry("GET", &path, "", b"");
        assert_eq!(
            (read.status, read.body == bytes),
            (200, true),
            "{repository}"
        );
        let head = sandbox.registry("HEAD", &path, "", b"");
        assert_eq!(head.header("Content-Length"), "300000");
        assert!(head.body.is_empty());
    }
}

#[test]
fn manifests_are_found_by_tag_and_digest() {
    let sandbox = Sandbox::start(&[]);
    let one = sandbox.push("h/app:v1", &[tar(&[("one", 0o644, b"1")])], &json!({}));
    let two = sandbox.push("h/app:v2", &[tar(&[("two", 0o644, b"2")])], &json!({}));
    assert_ne!(one, two);
    for reference in ["v1", one.as_str()] {
        let path = format!("/v2/h/app/manifests/{reference}");
        let read = sandbox.registry("GET", &path, "", b"");
        assert_eq!(digest(&read.body), one);
        let head = sandbox.registry("HEAD", &path, "", b"");
        assert_eq!(head.header("Docker-Content-Digest"), one);
        assert_eq!(head.header("Content-Type"), MANIFEST);
        assert_eq!(head.header("Content-Length"), read.body.len().to_string());
    }
    let tags = |query: &str| -> Value {
        let path = format!("/v2/h/app/tags/list{query}");
        serde_json::from_slice(&sandbox.registry("GET", &path, "", b"").body).unwrap()
    };
    assert_eq!(tags(""), json!({ "name": "h/app", "tags": ["v1", "v2"] }));
    assert_eq!(tags("?n=1&last=v1")["tags"], json!(["v2"]));
    // A tag moves; what it meant before stays where its digest says.
    let config = json!({ "User": "1" });
    let moved = sandbox.push("h/app:v1", &[tar(&[("one", 0o644, b"1")])], &config);
    let by_tag = sandbox.registry("HEAD", "/v2/h/app/manifests/v1", "", b"");
    assert_eq!(by_tag.header("Docker-Content-Digest"), moved);
    let path = format!("/v2/h/app/manifests/{one}");
    assert_eq!(sandbox.registry("HEAD", &path, "", b"").status, 200);
}

#[test]
fn refusals_are_those_of_the_spec() {
    let sandbox = Sandbox::start(&[]);
    let mut manifest = sandbox.image("h/app", &[tar(&[])], &json!({}), architecture());
    sandbox.push_manifest("h/app", "v1", &manifest);
    let absent = digest(b"absent");
    let refused = |method: &str, path: &str, headers: &str, body: &[u8]| {
        let reply = sandbox.registry(method, path, headers, body);
        (reply.status, reply.error())
    };
    let is = |status: u16, code: &str| (status, code.to_owned());
    let get = |path: &str| refused("GET", path, "", b"");
    assert_eq!(get("/v2/h/app/manifests/v9"), is(404, "MANIFEST_UNKNOWN"));
    assert_eq!(get("/v2/h/none/manifests/v1"), is(404, "NAME_UNKNOWN"));
    assert_eq!(get("/v2/h/none/tags/list"), is(404, "NAME_UNKNOWN"));
    assert_eq!(
        get(&format!("/v2/h/app/blobs/{absent}")),
        is(404, "BLOB_UNKNOWN")
    );
    assert_eq!(get("/v2/h/app/blobs/sha256:xyz"), is(400, "DIGEST_INVALID"));
    assert_eq!(get("/v2/H/app/tags/list"), is(400, "NAME_INVALID"));
    assert_eq!(get("/v2/h/../../x/tags/list"), is(400, "NAME_INVALID"));
    assert_eq!(
        refused("DELETE", "/v2/h/app/manifests/v1", "", b""),
        is(405, "UNSUPPORTED")
    );
    let path = format!("/v2/h/app/blobs/uploads/?digest={absent}");
    assert_eq!(
        refused("POST", &path, "", b"other"),
        is(400, "DIGEST_INVALID")
    );
    let path = "/v2/h/app/blobs/uploads/00000000-0000-0000-0000-000000000000";
    assert_eq!(
        refused("PATCH", path, "", b"x"),
        is(404, "BLOB_UPLOAD_UNKNOWN")
    );

    let kind = format!("Content-Type: {MANIFEST}\r\n");
    let put = |to: &str, manifest: &Value, kind: &str| {
        let path = format!("/v2/{to}");
        refused("PUT", &path, kind, manifest.to_string().as_bytes())
    };
    let by_digest = format!("h/app/manifests/{absent}");
    assert_eq!(put(&by_digest, &manifest, &kind), is(400, "DIGEST_INVALID"));
    let other = "Content-Type: application/json\r\n";
    assert_eq!(
        put("h/app/manifests/v1", &manifest, other),
        is(400, "MANIFEST_INVALID")
    );
    assert_eq!(
        put("h/app/manifests/v1", &json!([]), &kind),
        is(400, "MANIFEST_INVALID")
    );
    // What another repository has is not this one's.
    assert_eq!(
        put("h/b/manifests/v1", &manifest, &kind),
        is(400, "MANIFEST_BLOB_UNKNOWN")
    );
    manifest["layers"][0]["digest"] = json!(absent);
    assert_eq!(
        put("h/app/manifests/v2", &manifest, &kind),
        is(400, "MANIFEST_BLOB_UNKNOWN")
    );
}

#[test]
fn the_registry_can_be_read_only_private_and_away() {
    let sandbox = Sandbox::start(&[]);
    let image = sandbox.push("h/app:v1", &[tar(&[])], &json!({}));
    let set = |change: Value| sandbox.control("POST", "/registry", &change);
    let post = |headers: &str| sandbox.registry("POST", "/v2/h/app/blobs/uploads/", headers, b"");
    let head = |headers: &str| sandbox.registry("HEAD", "/v2/h/app/manifests/v1", headers, b"");
    set(json!({ "read_only": true }));
    assert_eq!(
        (post("").status, post("").error().as_str()),
        (403, "DENIED")
    );
    assert_eq!(head("").status, 200);
    let credentials = json!({ "username": "me", "password": "se:cret" });
    set(json!({ "read_only": false, "credentials": credentials }));
    let refused = sandbox.registry("GET", "/v2/", "", b"");
    assert_eq!(
        (refused.status, refused.error().as_str()),
        (401, "UNAUTHORIZED")
    );
    assert!(
        refused
            .header("WWW-Authenticate")
            .starts_with("Basic realm=")
    );
    let login = |text: &str| format!("Authorization: Basic {}\r\n", STANDARD.encode(text));
    assert_eq!(head(&login("me:wrong")).status, 401);
    assert_eq!(post(&login("me:se:cret")).status, 202);
    // What is not named stays.
    set(json!({ "read_only": false }));
    assert_eq!(head("").status, 401);
    set(json!({ "credentials": null, "down": true }));
    let address = sandbox.setting("IMAGE_REGISTRY");
    assert!(std::net::TcpStream::connect(address).is_err());
    set(json!({ "down": false }));
    assert_eq!(head("").header("Docker-Content-Digest"), image);
}
