//! Every variable that berth reads, each named once. A test holds `.env.example` equal to this list.

/// A variable's name and the value it has when it is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// The name in the environment.
    pub name: &'static str,
    /// The value when it is not set; `None` when there is none, or when it is found out.
    pub default: Option<&'static str>,
}

macro_rules! variables {
    ($($(#[$about:meta])+ $name:ident $(= $default:literal)?;)+) => {
        $($(#[$about])+
        pub const $name: Variable = Variable {
            name: stringify!($name),
            default: variables!(@default $($default)?),
        };)+

        /// All of them, in the order in which they are explained.
        pub const ALL: &[Variable] = &[$($name),+];
    };
    (@default $default:literal) => { Some($default) };
    (@default) => { None };
}

variables! {
    /// The host on which `kubectl` works: a name or an address. Required.
    K8S_SSH_HOST;
    /// Its SSH port.
    K8S_SSH_PORT = "22";
    /// The user to log in as; by default the user who runs berth.
    K8S_SSH_USERNAME;
    /// The private key's file; a certificate is read from the same name with `-cert.pub`. The file
    /// of a public key (`.pub`) picks that key of the SSH agent. Without key file and key string,
    /// the agent is asked for all of its keys.
    K8S_SSH_KEY_FILE;
    /// The private key itself; its line breaks may be written as `\n`. Wins over the file.
    K8S_SSH_KEY_STRING;
    /// The passphrase of the key.
    K8S_SSH_KEY_PASSPHRASE;
    /// The user's file of known hosts, to which `accept-new` adds. By default `~/.ssh/known_hosts2`
    /// is read as well, as OpenSSH does.
    K8S_SSH_KNOWN_HOSTS = "~/.ssh/known_hosts";
    /// The known hosts of the whole machine, with commas between the files; `none` for no file.
    K8S_SSH_GLOBAL_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts,/etc/ssh/ssh_known_hosts2";
    /// The only host key to accept, as `ssh-keygen -l` prints it: `SHA256:…`.
    K8S_SSH_HOST_KEY;
    /// What to do with a host that is not known: `strict` refuses it, `accept-new` remembers it.
    K8S_SSH_HOST_KEY_POLICY = "strict";
    /// The longest that connecting may take. Logging in may then take as long again, and 30 s at least.
    K8S_SSH_CONNECT_TIMEOUT = "10s";
    /// The pause after which a silent link is probed; after three silent probes it counts as lost.
    K8S_SSH_KEEPALIVE = "10s";
    /// The command that is `kubectl` on the host, with its words: `sudo -n k3s kubectl`.
    K8S_KUBECTL = "kubectl";
    /// The kubeconfig on the host; by default kubectl's own choice.
    K8S_KUBECONFIG;
    /// The context of the kubeconfig; by default its current one.
    K8S_CONTEXT;
    /// The address at which node ports are reached; by default the node's own.
    K8S_NODE_ADDRESS;
    /// `sqlite:///path/to/file` or `postgres://…`; by default a SQLite file in the user's data folder.
    DATABASE_URL;
    /// A folder whose templates replace the built-in ones by name.
    BERTH_TEMPLATES;
    /// The image of a pod that does not say.
    BERTH_IMAGE = "busybox:latest";
    /// The ports of a pod that does not say, with commas between them; `none` for no port.
    BERTH_PORTS = "8080";
    /// The CPU limit of a pod that does not say.
    BERTH_CPU_LIMIT = "200m";
    /// The memory limit of a pod that does not say.
    BERTH_MEMORY_LIMIT = "200Mi";
    /// The CPU request of a pod that does not say.
    BERTH_CPU_REQUEST = "100m";
    /// The memory request of a pod that does not say.
    BERTH_MEMORY_REQUEST = "100Mi";
    /// The registry to which images are pushed, with a path where all names begin with one.
    IMAGE_REGISTRY;
    /// Whether that registry is spoken to without TLS: `true` or `false`.
    IMAGE_REGISTRY_PLAIN_HTTP = "false";
    /// A file with the certificates, in PEM, of the authorities that that registry's is from.
    IMAGE_REGISTRY_CA_FILE;
    /// The namespace in which images are built; it alone has the registry's credentials.
    BUILDER_NAMESPACE = "builder";
    /// What builds images: `kaniko` or `buildkit`.
    BUILDER = "kaniko";
    /// The builder's image; by default a version of its own.
    BUILDER_IMAGE;
    /// The image that receives large build contexts; it needs busybox's programs.
    BUILDER_CONTEXT_IMAGE = "busybox:1.37";
    /// The image that fetches git repositories; it needs git and a shell.
    BUILDER_GIT_IMAGE = "alpine/git:v2.49.1";
    /// A token with which `berth build --git` reads a private repository.
    GIT_TOKEN;
    /// The CPU limit of a build.
    BUILDER_CPU_LIMIT = "2";
    /// The memory limit of a build.
    BUILDER_MEMORY_LIMIT = "4Gi";
    /// The CPU request of a build.
    BUILDER_CPU_REQUEST = "500m";
    /// The memory request of a build.
    BUILDER_MEMORY_REQUEST = "1Gi";
    /// The longest that a build may take.
    BUILDER_TIMEOUT = "30m";
    /// How long a finished build's Job stays in the cluster.
    BUILDER_KEEP = "1h";
    /// The repository that caches layers; by default `cache` beside the image; `none` for no cache.
    BUILD_CACHE_REPO;
    /// An existing namespace for deployments whose caller names neither a project nor a namespace.
    KUBERNETES_NAMESPACE;
    /// The domain below which each project's deployment has its host name.
    DEPLOYMENT_DOMAIN;
    /// The group of Ingresses that share one load balancer.
    ALB_SHARED_GROUP_NAME = "alb-deployments";
    /// Who can reach the load balancer: `internet-facing` or `internal`.
    ALB_SCHEME = "internet-facing";
    /// What it listens to: `http,https` (80 redirects to 443), `https`, or `http`.
    ALB_LISTENERS = "http,https";
    /// The certificate's ARN; by default the controller looks for one of the host's name.
    ALB_CERTIFICATE_ARN;
    /// AWS credentials, which `berth setup-builder` puts where images are built.
    AWS_ACCESS_KEY_ID;
    /// Their secret part.
    AWS_SECRET_ACCESS_KEY;
    /// Their session, when they are temporary.
    AWS_SESSION_TOKEN;
    /// The profile of the AWS CLI's files whose keys `berth setup-builder` takes when neither keys nor
    /// a profile nor a role are named.
    AWS_PROFILE = "default";
    /// The AWS CLI's files; by default `~/.aws/credentials` and `~/.aws/config`.
    AWS_SHARED_CREDENTIALS_FILE;
    /// The other of these.
    AWS_CONFIG_FILE;
    /// The region of ECR and EKS; by default read off the registry's name.
    AWS_DEFAULT_REGION;
    /// The longest that a deployment's rollout may take.
    BERTH_ROLLOUT_TIMEOUT = "10m";
    /// The longest that a pod may take to become ready.
    BERTH_READY_TIMEOUT = "5m";
    /// The longest that a command in a pod may take, when its caller does not say.
    BERTH_EXEC_TIMEOUT = "10m";
    /// The longest that a deletion may take.
    BERTH_DELETE_TIMEOUT = "2m";
    /// How long operations stay on record, for `berth history`; at most 3650d.
    BERTH_HISTORY = "90d";
    /// The most that is kept of each stream of a command in a pod, in bytes.
    BERTH_KEEP_BYTES = "1048576";
}

/// What the names of berth's own variables begin with. Other programs have names like the rest.
const PREFIXES: [&str; 4] = ["K8S_", "BERTH_", "IMAGE_", "BUILDER_"];
/// How many letters of a misspelled name may be otherwise; two that are exchanged count as one.
const MOST_EDITS: usize = 2;

/// Returns the variable that a name is probably a misspelling of.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let is_known = ALL.iter().any(|it| it.name == name);
    if is_known || !PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    let edits = |it: &Variable| strsim::damerau_levenshtein(it.name, name);
    let nearest = ALL.iter().min_by_key(|it| edits(it))?;
    (edits(nearest) <= MOST_EDITS).then_some(nearest.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_name_has_a_nearest_one() {
        for (name, expected) in [
            ("K8S_SSH_HSOT", Some("K8S_SSH_HOST")),
            ("K8S_SSH_KEYFILE", Some("K8S_SSH_KEY_FILE")),
            ("K8S_SSH_KNOWN_HOST", Some("K8S_SSH_KNOWN_HOSTS")),
            ("BERTH_IMGAE", Some("BERTH_IMAGE")),
            ("BERTH_ROLOUT_TIMEOUTS", Some("BERTH_ROLLOUT_TIMEOUT")),
            ("IMAGE_REGISTERY", Some("IMAGE_REGISTRY")),
            ("BUILDER_TIMOUT", Some("BUILDER_TIMEOUT")),
            ("K8S_SSH_HOST", None),
            ("K8S_SSH_HOST_KEY", None),
            ("K8S_CLUSTER", None),
            ("BERTH_SANDBOX_DIR", None),
            ("BERTH_COMMAND", None),
            ("IMAGE_NAME", None),
            ("AWS_REGION", None),
            ("DATABASE_URI", None),
        ] {
            assert_eq!(nearest(name), expected, "{name}");
        }
        for variable in ALL {
            assert_eq!(nearest(variable.name), None);
        }
    }
}
