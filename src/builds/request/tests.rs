use super::{naming::random_part, *};
use crate::{
    context::ContextHash,
    domain::{BuildId, Owner},
};

fn hash() -> ContextHash {
    "ab".repeat(32).parse().unwrap()
}

fn id() -> BuildId {
    BuildId::new("build-x", 7)
}

fn image(request: &BuildRequest, hash: Option<ContextHash>) -> String {
    let registry = "a.example/team".parse().unwrap();
    request
        .image(Some(&registry), hash, &id())
        .unwrap()
        .to_string()
}

fn git(text: &str) -> BuildRequest {
    let source = BuildSource::Git {
        source: text.parse().unwrap(),
        dockerfile: "Dockerfile".to_owned(),
        token: None,
    };
    BuildRequest::new("web", source).unwrap()
}

#[test]
fn a_tag_that_nobody_chose_says_what_went_in() {
    let plain = BuildRequest::folder("web", ".").unwrap();
    assert_eq!(
        image(&plain, Some(hash())),
        "a.example/team/web:abababababab"
    );
    let with = plain.clone().build_arg("A", "1").unwrap();
    let other = plain.clone().build_arg("A", "2").unwrap();
    let images = [&plain, &with, &other].map(|it| image(it, Some(hash())));
    assert!(images[0] != images[1] && images[1] != images[2]);
    assert_eq!(image(&with, Some(hash())), images[1]);
    let random = random_part(&id()).to_owned();
    assert_eq!(
        image(&git("https://a.b/c#feature/x"), None),
        format!("a.example/team/web:feature-x-{random}")
    );
    let commit = format!("https://a.b/c#{}", "c".repeat(40));
    assert_eq!(
        image(&git(&commit), None),
        "a.example/team/web:cccccccccccc"
    );
}

#[test]
fn a_chosen_tag_and_a_named_registry_stay() {
    let request = BuildRequest::folder("b.example:5000/web:v1", ".").unwrap();
    assert_eq!(image(&request, Some(hash())), "b.example:5000/web:v1");
    assert!(request.tag("v2").is_err());
    let request = BuildRequest::folder("web", ".").unwrap().tag("v2").unwrap();
    assert_eq!(image(&request, None), "a.example/team/web:v2");
    let nowhere = request.image(None, None, &id()).unwrap_err();
    assert!(nowhere.remedy().contains("IMAGE_REGISTRY"));
}

#[test]
fn what_cannot_be_built_is_refused_by_name() {
    assert!(BuildRequest::folder("Web", ".").is_err());
    let pinned = format!("web@sha256:{}", "a".repeat(64));
    assert!(BuildRequest::folder(&pinned, ".").is_err());
    let request = BuildRequest::folder("web", ".").unwrap();
    for tag in ["", "-a", "a b", "a/b", "a@b", &"a".repeat(129)] {
        assert!(request.clone().tag(tag).is_err(), "{tag}");
    }
    assert!(request.clone().target("a b").is_err());
    assert!(request.clone().build_arg("A B", "").is_err());
    for flag in ["--destination=x", "-d", "x", "--digest-file=y", "--no-push"] {
        let refused = request.clone().builder_arg(flag).check(Builder::Kaniko);
        assert_eq!(refused.unwrap_err().field(), "builder argument", "{flag}");
    }
    let fine = request.clone().builder_arg("--single-snapshot");
    assert_eq!(fine.check(Builder::Kaniko), Ok(()));
    let endless = request.time_limit(Duration::from_secs(1_000_000));
    assert_eq!(
        endless.check(Builder::Kaniko).unwrap_err().field(),
        "time limit"
    );
}

#[test]
fn a_token_is_refused_without_being_shown() {
    let mut request = git("https://a.b/c");
    let BuildSource::Git { token, .. } = &mut request.source else {
        panic!();
    };
    *token = Some(Secret::new("hunter2\n".to_owned()));
    let refused = request.check(Builder::Kaniko).unwrap_err();
    assert!(!format!("{refused} {request:?}").contains("hunter2"));
}

#[test]
fn arguments_that_look_like_secrets_are_warned_of() {
    let request = BuildRequest::folder("web", ".").unwrap();
    let request = request.build_arg("NPM_TOKEN", "x").unwrap();
    let request = request.build_arg("VERSION", "x").unwrap();
    let warnings = request.warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("NPM_TOKEN"));
}

#[test]
fn the_image_of_a_deployment_is_named_after_its_owner() {
    let owner = Owner::project("shop").unwrap();
    let source = || BuildSource::Folder {
        folder: None,
        dockerfile: Dockerfile::default(),
    };
    let named = BuildRequest::of_owner(&owner, Some(&"web".parse().unwrap()), source()).unwrap();
    assert_eq!(named.image_name().as_str(), "project-shop/web");
    let plain = BuildRequest::of_owner(&owner, None, source()).unwrap();
    assert_eq!(plain.image_name().as_str(), "project-shop");
}
