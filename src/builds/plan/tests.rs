use std::{fs, time::Duration};

use super::*;
use crate::{
    config::{BuildSettings, Config},
    context::{ContextSource, pack},
};

/// What a value may hold that could become YAML, a shell's word or a variable of Kubernetes.
const HOSTILE: &str = "a\nhostNetwork: true # $(HOME) $$ '\"; reboot {{ x }}";

fn settings(more: &[(&str, &str)]) -> BuildSettings {
    let config = Config::from_vars(|name| {
        let found = more.iter().find(|(key, _)| *key == name);
        let value = found.map(|(_, value)| *value).or(match name {
            "K8S_SSH_HOST" => Some("host.example"),
            "K8S_SSH_USERNAME" => Some("admin"),
            "HOME" => Some("/nonexistent"),
            "SSH_AUTH_SOCK" => Some("/nonexistent/agent"),
            "IMAGE_REGISTRY" => Some("registry.example:5000"),
            _ => None,
        });
        value.map(str::to_owned)
    });
    config.unwrap().builds
}

fn id() -> BuildId {
    "build-web-k3f9x2".parse().unwrap()
}

fn packed(noise: usize) -> PackedContext {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = vec![0; noise];
    getrandom::fill(&mut bytes).unwrap();
    fs::write(folder.path().join("Dockerfile"), "FROM scratch\n").unwrap();
    fs::write(folder.path().join("noise"), bytes).unwrap();
    let source = ContextSource::Folder {
        folder: folder.path().to_owned(),
        dockerfile: "Dockerfile".into(),
    };
    pack(&source, |_| std::ops::ControlFlow::Continue(())).unwrap()
}

fn plan(
    settings: &BuildSettings,
    request: &BuildRequest,
    context: Option<PackedContext>,
) -> Result<Plan, Error> {
    let templates = Templates::built_in().unwrap();
    let now = "2026-11-21T01:43:39Z".parse().unwrap();
    request.check(request.builder.unwrap_or(settings.builder))?;
    Plan::new(settings, &templates, request, context, &id(), now)
}

fn git(text: &str, token: Option<&str>) -> BuildRequest {
    let source = BuildSource::Git {
        source: text.parse().unwrap(),
        dockerfile: "Dockerfile".to_owned(),
        token: token.map(|token| Secret::new(token.to_owned())),
    };
    BuildRequest::new("team/web:v1", source).unwrap()
}

fn texts(plan: &Plan) -> String {
    let texts: Vec<_> = plan.manifests.iter().map(Manifest::text).collect();
    texts.join("---\n")
}

#[test]
#[expect(clippy::too_many_lines, reason = "whole manifests are shown")]
fn a_folder_is_built_by_kaniko_from_a_config_map() {
    let request = BuildRequest::folder("team/web:v1", "/tmp/my app").unwrap();
    let request = request.build_arg("GREETING", HOSTILE).unwrap();
    let request = request
        .target("final")
        .unwrap()
        .platform("linux/arm64")
        .unwrap();
    let request = request.builder_arg("--single-snapshot");
    let plan = plan(&settings(&[]), &request, Some(packed(0))).unwrap();
    insta::assert_snapshot!(texts(&plan), @r#"
apiVersion: v1
kind: ConfigMap
metadata:
  name: "instance-702746809129946ee3ab1fbc267c8ea996e7d04a"
  namespace: "builder"
  labels:
    "app.kubernetes.io/managed-by": "berth"
    "berth.dev/context": "instance-702746809129946ee3ab1fbc267c8ea996e7d04a"
  annotations:
    "berth.dev/context-hash": "702746809129946ee3ab1fbc267c8ea996e7d04a50a903b0f2448501cda72558"
    "berth.dev/used-at": "2026-11-21T01:43:39Z"
# Its name is the hash of what is in it: there is nothing to change.
immutable: true
binaryData:
  context.tar.gz: # 306 characters, not shown
---
apiVersion: batch/v1
kind: Job
metadata:
  name: "build-web-k3f9x2"
  namespace: "builder"
  labels:
    "app.kubernetes.io/managed-by": "berth"
    "berth.dev/build": "build-web-k3f9x2"
    "berth.dev/context": "instance-702746809129946ee3ab1fbc267c8ea996e7d04a"
  annotations:
    "berth.dev/image": "registry.example:5000/team/web:v1"
    "berth.dev/source": "folder my app"
    "berth.dev/context-hash": "702746809129946ee3ab1fbc267c8ea996e7d04a50a903b0f2448501cda72558"
spec:
  # A build that failed fails again; one that is tried again could push what nobody waits for.
  backoffLimit: 0
  activeDeadlineSeconds: 1800
  ttlSecondsAfterFinished: 3600
  template:
    metadata:
      labels:
        app: berth-build
        "app.kubernetes.io/managed-by": "berth"
        "berth.dev/build": "build-web-k3f9x2"
        "berth.dev/context": "instance-702746809129946ee3ab1fbc267c8ea996e7d04a"
        # A proxy that a service mesh puts beside the build does not end with it.
        sidecar.istio.io/inject: "false"
      annotations:
        sidecar.istio.io/inject: "false"
        linkerd.io/inject: disabled
    spec:
      restartPolicy: Never
      serviceAccountName: "builder"
      # What a Dockerfile runs gets neither the cluster's credentials nor its Services' addresses.
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 5
      nodeSelector:
        kubernetes.io/os: linux
        kubernetes.io/arch: "arm64"
      containers:
        - name: "build"
          image: "ghcr.io/osscontainertools/kaniko:v1.28.5"
          imagePullPolicy: IfNotPresent
          args:
            - "--context=tar:///context/context.tar.gz"
            - "--dockerfile=.berth/Dockerfile"
            - "--destination=registry.example:5000/team/web:v1"
            - "--digest-file=/dev/termination-log"
            - "--cache=true"
            - "--cache-repo=registry.example:5000/team/web/cache"
            - "--build-arg=GREETING=a\nhostNetwork: true # $$(HOME) $$$$ '\"; reboot {{ x }}"
            - "--target=final"
            - "--custom-platform=linux/arm64"
            - "--single-snapshot"
          env:
            - name: "AWS_SHARED_CREDENTIALS_FILE"
              value: "/var/run/secrets/berth/aws/credentials"
            - name: "AWS_CONFIG_FILE"
              value: "/var/run/secrets/berth/aws/config"
          # The image's digest; of a build that fails, its last lines.
          terminationMessagePolicy: FallbackToLogsOnError
          resources:
            limits:
              cpu: "2"
              memory: "4Gi"
            requests:
              cpu: "500m"
              memory: "1Gi"
          volumeMounts:
            - name: context
              mountPath: "/context"
              readOnly: true
            - name: registry-credentials
              mountPath: "/kaniko/.docker"
              readOnly: true
            - name: aws-credentials
              mountPath: "/var/run/secrets/berth/aws"
              readOnly: true
      volumes:
        - name: context
          configMap:
            name: "instance-702746809129946ee3ab1fbc267c8ea996e7d04a"
        - name: registry-credentials
          secret:
            secretName: "registry-credentials"
            optional: true
            items:
              - key: .dockerconfigjson
                path: config.json
        - name: aws-credentials
          secret:
            secretName: "aws-credentials"
            optional: true
"#);
}

#[test]
#[expect(clippy::too_many_lines, reason = "whole manifests are shown")]
fn a_large_folder_is_waited_for_and_a_plain_registry_is_named() {
    let settings = settings(&[
        ("IMAGE_REGISTRY_PLAIN_HTTP", "true"),
        ("BUILD_CACHE_REPO", "registry.example:5000/layers"),
        ("BUILDER_TIMEOUT", "90s"),
    ]);
    let request = BuildRequest::folder("team/web:v1", "/tmp/app").unwrap();
    let plan = plan(&settings, &request, Some(packed(2 * 1024 * 1024))).unwrap();
    assert!(plan.streamed().is_some());
    let [job] = plan.manifests.as_slice() else {
        panic!("the context is no object");
    };
    let text = job
        .text()
        .replace(&plan.context.as_ref().unwrap().hash().to_string(), "HASH");
    insta::assert_snapshot!(text, @r#"
apiVersion: batch/v1
kind: Job
metadata:
  name: "build-web-k3f9x2"
  namespace: "builder"
  labels:
    "app.kubernetes.io/managed-by": "berth"
    "berth.dev/build": "build-web-k3f9x2"
  annotations:
    "berth.dev/image": "registry.example:5000/team/web:v1"
    "berth.dev/source": "folder app"
    "berth.dev/context-hash": "HASH"
spec:
  # A build that failed fails again; one that is tried again could push what nobody waits for.
  backoffLimit: 0
  activeDeadlineSeconds: 90
  ttlSecondsAfterFinished: 3600
  template:
    metadata:
      labels:
        app: berth-build
        "app.kubernetes.io/managed-by": "berth"
        "berth.dev/build": "build-web-k3f9x2"
        # A proxy that a service mesh puts beside the build does not end with it.
        sidecar.istio.io/inject: "false"
      annotations:
        sidecar.istio.io/inject: "false"
        linkerd.io/inject: disabled
    spec:
      restartPolicy: Never
      serviceAccountName: "builder"
      # What a Dockerfile runs gets neither the cluster's credentials nor its Services' addresses.
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 5
      nodeSelector:
        kubernetes.io/os: linux
      initContainers:
        - name: "receive"
          image: "busybox:1.37"
          imagePullPolicy: IfNotPresent
          command:
            - "/bin/sh"
            - "-c"
            - "set -eu\ncd /context\nmkfifo arrived\nexec 3<>arrived\nsize=unknown\nwhile ! read -r -t \"$$1\" said <&3; do\n    now=none\n    if [ -e incoming ]; then\n        now=$$(wc -c <incoming)\n    fi\n    if [ \"$$now\" = \"$$size\" ]; then\n        echo \"error: the context did not arrive: for $$1 s nothing came\" >&2\n        exit 1\n    fi\n    size=$$now\ndone\nif [ \"$$said\" = hashing ]; then\n    read -r said <&3\nfi\nrm -f arrived\ncase \"$$said\" in\ncomplete*) ;;\n*)\n    rm -f incoming\n    echo \"error: the context did not arrive: $$said\" >&2\n    exit 1\n    ;;\nesac\nleft=5\nfor process in $${said#complete}; do\n    while [ \"$$left\" -gt 0 ] && [ \"$$process\" -gt 1 ] && [ -d \"/proc/$$process\" ]; do\n        sleep 1\n        left=$$((left - 1))\n    done\ndone"
            - "receive"
            - "60"
          terminationMessagePolicy: FallbackToLogsOnError
          resources:
            limits:
              cpu: "2"
              memory: "4Gi"
            requests:
              cpu: "500m"
              memory: "1Gi"
          volumeMounts:
            - name: context
              mountPath: "/context"
      containers:
        - name: "build"
          image: "ghcr.io/osscontainertools/kaniko:v1.28.5"
          imagePullPolicy: IfNotPresent
          args:
            - "--context=tar:///context/context.tar.gz"
            - "--dockerfile=.berth/Dockerfile"
            - "--destination=registry.example:5000/team/web:v1"
            - "--digest-file=/dev/termination-log"
            - "--cache=true"
            - "--cache-repo=registry.example:5000/layers"
            - "--insecure-registry=registry.example:5000"
          env:
            - name: "AWS_SHARED_CREDENTIALS_FILE"
              value: "/var/run/secrets/berth/aws/credentials"
            - name: "AWS_CONFIG_FILE"
              value: "/var/run/secrets/berth/aws/config"
          # The image's digest; of a build that fails, its last lines.
          terminationMessagePolicy: FallbackToLogsOnError
          resources:
            limits:
              cpu: "2"
              memory: "4Gi"
            requests:
              cpu: "500m"
              memory: "1Gi"
          volumeMounts:
            - name: context
              mountPath: "/context"
              readOnly: true
            - name: registry-credentials
              mountPath: "/kaniko/.docker"
              readOnly: true
            - name: aws-credentials
              mountPath: "/var/run/secrets/berth/aws"
              readOnly: true
      volumes:
        - name: context
          emptyDir: {}
        - name: registry-credentials
          secret:
            secretName: "registry-credentials"
            optional: true
            items:
              - key: .dockerconfigjson
                path: config.json
        - name: aws-credentials
          secret:
            secretName: "aws-credentials"
            optional: true
"#);
}

#[test]
#[expect(clippy::too_many_lines, reason = "whole manifests are shown")]
fn a_repository_is_fetched_and_built_by_buildkit() {
    let request = git(
        "https://bob@git.example/team/web.git#main:web",
        Some("hunter2"),
    );
    let request = request.builder(Builder::BuildKit).without_cache();
    let request = request.time_limit(Duration::from_millis(1500));
    let plan = plan(&settings(&[]), &request, None).unwrap();
    let names: Vec<_> = plan
        .manifests
        .iter()
        .map(|it| (it.kind(), it.name()))
        .collect();
    assert_eq!(
        names,
        [
            ("Secret", "build-web-k3f9x2-git"),
            ("Job", "build-web-k3f9x2")
        ]
    );
    let shown = texts(&plan);
    assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMg"));
    assert!(plan.manifests[0].json().contains("aHVudGVyMg"));
    insta::assert_snapshot!(plan.manifests[1].text(), @r#"
apiVersion: batch/v1
kind: Job
metadata:
  name: "build-web-k3f9x2"
  namespace: "builder"
  labels:
    "app.kubernetes.io/managed-by": "berth"
    "berth.dev/build": "build-web-k3f9x2"
  annotations:
    "berth.dev/image": "registry.example:5000/team/web:v1"
    "berth.dev/source": "https://git.example/team/web.git#main:web"
spec:
  # A build that failed fails again; one that is tried again could push what nobody waits for.
  backoffLimit: 0
  activeDeadlineSeconds: 2
  ttlSecondsAfterFinished: 3600
  template:
    metadata:
      labels:
        app: berth-build
        "app.kubernetes.io/managed-by": "berth"
        "berth.dev/build": "build-web-k3f9x2"
        # A proxy that a service mesh puts beside the build does not end with it.
        sidecar.istio.io/inject: "false"
      annotations:
        sidecar.istio.io/inject: "false"
        linkerd.io/inject: disabled
    spec:
      restartPolicy: Never
      serviceAccountName: "builder"
      # What a Dockerfile runs gets neither the cluster's credentials nor its Services' addresses.
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 5
      nodeSelector:
        kubernetes.io/os: linux
      initContainers:
        - name: "fetch"
          image: "alpine/git:v2.49.1"
          imagePullPolicy: IfNotPresent
          command:
            - "/bin/sh"
            - "-c"
            - "set -eu\nexport GIT_TERMINAL_PROMPT=0 GIT_CONFIG_NOSYSTEM=1 HOME=/tmp\nexport GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.quotePath GIT_CONFIG_VALUE_0=false\nexport TOKEN_FILE=\"$$4\"\ndockerfile=\"$$5\"\nhelper='!f() { if [ \"$$1\" = get ]; then echo \"username=$$GIT_USER\"; echo \"password=$$(cat \"$$TOKEN_FILE\")\"; fi; }; f'\nfail() {\n    echo \"error: $$1\" >&2\n    exit \"$${2:-1}\"\n}\ngit init --quiet \"$$3\"\ncd \"$$3\"\nif [ -n \"$$4\" ]; then\n    origin=$$(printf '%s' \"$$1\" | sed 's|^\\([a-z]*://[^/]*\\).*|\\1|')\n    set -- \"$$1\" \"$$2\" -c credential.helper= -c \"credential.$$origin.helper=$$helper\"\nelse\n    set -- \"$$1\" \"$$2\" -c credential.helper=\nfi\nurl=\"$$1\" ref=\"$$2\"\nshift 2\nset -- \"$$@\" -c protocol.allow=never -c protocol.https.allow=always -c protocol.http.allow=always \\\n    -c protocol.git.allow=always -c advice.detachedHead=false\necho \"fetching $$ref of $$url\"\n# Relative URLs of submodules begin here, and LFS asks here.\ngit config remote.origin.url \"$$url\"\ngit \"$$@\" fetch --quiet --depth 1 --no-tags \"$$url\" \"$$ref\"\ngit \"$$@\" checkout --quiet FETCH_HEAD\ncommit=$$(git rev-parse HEAD)\n\n# The path of each submodule, in submodules too.\nsubmodules() {\n    git ls-files --stage | sed -n \"s/^160000 [0-9a-f]* [0-9]$$(printf '\\t')//p\" | while IFS= read -r path; do\n        echo \"$$1$$path\"\n        (cd \"$$path\" 2>/dev/null && [ -e .git ] && submodules \"$$1$$path/\") || true\n    done\n}\nif [ -n \"$$(submodules '')\" ]; then\n    echo \"fetching submodules\"\n    git \"$$@\" submodule --quiet update --init --recursive --depth 1 ||\n        git \"$$@\" submodule --quiet update --init --recursive || {\n        submodules '' | while IFS= read -r path; do\n            [ -e \"$$path/.git\" ] || fail \"the submodule $$path can't be fetched\"\n        done\n        exit 1\n    }\nfi\n\n# The first file in this folder that is still what LFS puts in the place of a file.\npointer() {\n    git grep -l --cached -e '^version https://git-lfs\\.github\\.com/spec/v1$$' | while IFS= read -r path; do\n        case \"$$(git check-attr filter -- \"$$path\")\" in\n        *\": filter: lfs\") ;;\n        *) continue ;;\n        esac\n        if [ \"$$(head -c 42 \"$$path\" 2>/dev/null)\" = \"version https://git-lfs.github.com/spec/v1\" ]; then\n            echo \"$$path\"\n            break\n        fi\n    done\n}\n{\n    echo\n    submodules ''\n} | while IFS= read -r folder; do\n    (\n        cd \"./$$folder\"\n        [ -n \"$$(pointer)\" ] || exit 0\n        echo \"fetching LFS files$${folder:+ of $$folder}\"\n        why=\"git-lfs is not in the image that fetches; set BUILDER_GIT_IMAGE to one that has it\"\n        if git lfs version >/dev/null 2>&1; then\n            why=\"git-lfs left it out\"\n            git \"$$@\" lfs install --local --skip-smudge >/dev/null\n            git \"$$@\" lfs pull\n        fi\n        path=$$(pointer)\n        [ -z \"$$path\" ] || fail \"the LFS file $${folder:+$$folder/}$$path can't be fetched: $$why\"\n    ) || exit 1\ndone\nfind . -name .git -prune -exec rm -rf {} +\n\nif [ -n \"$$dockerfile\" ] && [ -f \"$$dockerfile\" ]; then\n    # As in a folder: logical lines of RUN, COPY and ADD that have a word such as <<EOF.\n    line=$$(awk '\n        BEGIN { quote = sprintf(\"%c\", 39) }\n        /^[ \\t]*(#|$$)/ { next }\n        {\n            if (!open) { number = NR; text = \"\" }\n            open = sub(/\\\\[ \\t\\r]*$$/, \"\")\n            text = text \" \" $$0\n            if (open) next\n            sub(/^[ \\t]+/, \"\", text)\n            # What stands in quotes begins no heredoc, but the end may be quoted.\n            while (match(text, \"<<-?[\\\"\" quote \"][A-Za-z0-9_.]+[\\\"\" quote \"]\")) {\n                text = substr(text, 1, RSTART - 1) \"<<EOF\" substr(text, RSTART + RLENGTH)\n            }\n            gsub(/\"[^\"]*\"/, \"_\", text)\n            gsub(quote \"[^\" quote \"]*\" quote, \"_\", text)\n            sub(/^[Oo][Nn][Bb][Uu][Ii][Ll][Dd][ \\t]+/, \"\", text)\n            if (toupper(text) ~ /^(RUN|COPY|ADD)[ \\t]/ &&\n                text ~ /[ \\t][0-9]*<<-?[A-Za-z0-9_.]+([ \\t\\r]|$$)/) {\n                print number\n                exit\n            }\n        }' \"$$dockerfile\")\n    [ -z \"$$line\" ] || fail \"Dockerfile line $$line has a heredoc, which Kaniko skips; use the builder buildkit\" 65\nfi\necho \"commit $$commit\"\nprintf 'commit %s' \"$$commit\" >/dev/termination-log"
            - "fetch"
            - "https://git.example/team/web.git"
            - "main"
            - "/context/source"
            - "/var/run/secrets/berth/git/token"
            - ""
          env:
            - name: "GIT_USER"
              value: "bob"
          terminationMessagePolicy: FallbackToLogsOnError
          resources:
            limits:
              cpu: "2"
              memory: "4Gi"
            requests:
              cpu: "500m"
              memory: "1Gi"
          volumeMounts:
            - name: context
              mountPath: "/context"
            - name: git-token
              mountPath: "/var/run/secrets/berth/git"
              readOnly: true
      containers:
        - name: "build"
          image: "docker.io/moby/buildkit:v0.29.0-rootless"
          imagePullPolicy: IfNotPresent
          command:
            - "/bin/sh"
            - "-c"
            - "set -eu\narchive=\"$1\" plain=\"$2\" ca=\"$3\"\nshift 3\nexport BUILDKITD_FLAGS=\"--oci-worker-no-process-sandbox\"\nif [ -n \"$archive\" ]; then\n    mkdir -p /work/source\n    # busybox closes a folder before it fills it: only root of a namespace gets in then.\n    tar -xzf \"$archive\" -C /work/source 2>/dev/null ||\n        rootlesskit tar -xzf \"$archive\" -C /work/source\nfi\nif [ -n \"$plain$ca\" ]; then\n    option='http = true'\n    if [ -n \"$ca\" ]; then\n        option='ca = [\"/var/run/secrets/berth/registry-ca/ca.crt\"]'\n    fi\n    printf '[registry.\"%s\"]\\n  %s\\n' \"$plain$ca\" \"$option\" >/work/buildkitd.toml\n    BUILDKITD_FLAGS=\"$BUILDKITD_FLAGS --config /work/buildkitd.toml\"\nfi\nbuildctl-daemonless.sh \"$@\" --metadata-file /work/metadata.json\nsed -n 's/.*\"containerimage.digest\": *\"\\(sha256:[0-9a-f]*\\)\".*/\\1/p' /work/metadata.json >/dev/termination-log"
            - "build"
          args:
            - ""
            - ""
            - ""
            - "build"
            - "--progress=plain"
            - "--frontend=dockerfile.v0"
            - "--local=context=/context/source/web"
            - "--local=dockerfile=/context/source/web"
            - "--opt=filename=Dockerfile"
            - "--output=type=image,name=registry.example:5000/team/web:v1,push=true"
            - "--opt=no-cache="
          env:
            - name: "DOCKER_CONFIG"
              value: "/var/run/secrets/berth/docker"
            - name: "AWS_SHARED_CREDENTIALS_FILE"
              value: "/var/run/secrets/berth/aws/credentials"
            - name: "AWS_CONFIG_FILE"
              value: "/var/run/secrets/berth/aws/config"
          # The image's digest; of a build that fails, its last lines.
          terminationMessagePolicy: FallbackToLogsOnError
          # RootlessKit makes namespaces of its own, which the default profiles forbid:
          # https://github.com/moby/buildkit/blob/master/docs/rootless.md
          securityContext:
            runAsUser: 1000
            runAsGroup: 1000
            seccompProfile:
              type: Unconfined
            appArmorProfile:
              type: Unconfined
          resources:
            limits:
              cpu: "2"
              memory: "4Gi"
            requests:
              cpu: "500m"
              memory: "1Gi"
          volumeMounts:
            - name: context
              mountPath: "/context"
              readOnly: true
            - name: registry-credentials
              mountPath: "/var/run/secrets/berth/docker"
              readOnly: true
            - name: aws-credentials
              mountPath: "/var/run/secrets/berth/aws"
              readOnly: true
            - name: work
              mountPath: "/work"
      volumes:
        - name: context
          emptyDir: {}
        - name: registry-credentials
          secret:
            secretName: "registry-credentials"
            optional: true
            items:
              - key: .dockerconfigjson
                path: config.json
        - name: aws-credentials
          secret:
            secretName: "aws-credentials"
            optional: true
        - name: git-token
          secret:
            secretName: "build-web-k3f9x2-git"
        - name: work
          emptyDir: {}
"#);
}

#[test]
fn every_hostile_value_stays_one_word() {
    let request = BuildRequest::folder("team/web:v1", format!("/tmp/{HOSTILE}")).unwrap();
    let request = request
        .build_arg("A", HOSTILE)
        .unwrap()
        .builder_arg(format!("--label={HOSTILE}"));
    for builder in [Builder::Kaniko, Builder::BuildKit] {
        let request = request.clone().builder(builder);
        let plan = plan(&settings(&[]), &request, Some(packed(0))).unwrap();
        let job = plan.manifests.last().unwrap().object();
        let arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
            .as_array()
            .unwrap();
        // Kubernetes makes `$(HOME)` of `$$(HOME)`.
        let escaped = HOSTILE.replace('$', "$$");
        let with = |start: &str| {
            let wanted = format!("{start}{escaped}");
            arguments.iter().any(|it| it.as_str() == Some(&*wanted))
        };
        assert!(with("--label="), "{arguments:?}");
        assert!(with("--build-arg=A=") || with("--opt=build-arg:A="));
        let spec = job["spec"]["template"]["spec"].as_object().unwrap();
        assert!(!spec.contains_key("hostNetwork"));
        assert!(!plan.source.contains('\n'));
    }
}

#[test]
fn a_context_of_any_size_that_fits_becomes_a_manifest() {
    let request = BuildRequest::folder("team/web:v1", "/tmp/app").unwrap();
    let context = packed(1000 * 1024);
    assert!(context.fits_config_map());
    let plan = plan(&settings(&[]), &request, Some(context)).unwrap();
    let object = plan.manifests[0].object();
    assert_eq!(object["immutable"], true);
    assert!(
        object["binaryData"]["context.tar.gz"]
            .as_str()
            .unwrap()
            .len()
            > 1_300_000
    );
    assert!(plan.manifests[0].text().len() < 2000);
}

#[test]
fn a_builders_image_goes_with_its_kind() {
    let own = settings(&[("BUILDER_IMAGE", "mirror.example/kaniko:1")]);
    let request = BuildRequest::folder("team/web:v1", "/tmp/app").unwrap();
    let image = |request: &BuildRequest| {
        let plan = plan(&own, request, Some(packed(0))).unwrap();
        let job = plan.manifests.last().unwrap().object();
        let containers = &job["spec"]["template"]["spec"]["containers"];
        containers[0]["image"].as_str().unwrap().to_owned()
    };
    assert_eq!(image(&request), "mirror.example/kaniko:1");
    let other = request.builder(Builder::BuildKit);
    assert_eq!(image(&other), Builder::BuildKit.default_image());
}

#[test]
fn a_private_authority_is_mounted_and_named_for_its_registry_alone() {
    let key = rcgen::generate_simple_self_signed(["registry.example".to_owned()]).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), key.cert.pem()).unwrap();
    let path = file.path().to_str().unwrap();
    let settings = settings(&[("IMAGE_REGISTRY_CA_FILE", path)]);
    let make = |name: &str, builder| {
        let request = BuildRequest::folder(name, "/tmp/app")
            .unwrap()
            .builder(builder);
        let plan = plan(&settings, &request, Some(packed(10))).unwrap();
        texts(&plan)
    };
    let text = make("team/web:v1", Builder::Kaniko);
    let file = "/var/run/secrets/berth/registry-ca";
    let flag = format!("--registry-certificate=registry.example:5000={file}/ca.crt");
    assert!(text.contains(&flag), "{text}");
    assert!(
        text.contains("name: \"registry-ca-") && text.contains("BEGIN CERTIFICATE"),
        "{text}"
    );
    assert!(text.contains(&format!("mountPath: \"{file}\"")), "{text}");
    let text = make("team/web:v1", Builder::BuildKit);
    assert!(
        text.contains("            - \"registry.example:5000\"\n            - \"build\""),
        "{text}"
    );
    let text = make("other.example/web:v1", Builder::Kaniko);
    assert!(
        !text.contains("registry-ca") && !text.contains("registry-certificate"),
        "{text}"
    );
}
