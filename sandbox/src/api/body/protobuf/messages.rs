//! The field numbers of the messages that `kubectl`'s typed commands send.

/// How a field is written, and what it becomes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Type {
    Text,
    Texts,
    Flag,
    PointerFlag,
    Number,
    Pointer,
    TextMap,
    BytesMap,
    QuantityMap,
    Message(&'static str),
    Messages(&'static str),
    /// Known, and of no use in a create.
    Skip,
}

use Type::{
    BytesMap, Flag, Message, Messages, Number, Pointer, PointerFlag, QuantityMap, Skip, Text,
    TextMap, Texts,
};

type Fields = &'static [(u64, &'static str, Type)];

const META: (u64, &str, Type) = (1, "metadata", Message("ObjectMeta"));
const STATUS: (u64, &str, Type) = (3, "status", Skip);

pub(super) static MESSAGES: &[(&str, Fields)] = &[
    (
        "ObjectMeta",
        &[
            (1, "name", Text),
            (2, "generateName", Text),
            (3, "namespace", Text),
            (4, "selfLink", Skip),
            (5, "uid", Text),
            (6, "resourceVersion", Text),
            (7, "generation", Number),
            (8, "creationTimestamp", Skip),
            (11, "labels", TextMap),
            (12, "annotations", TextMap),
            (14, "finalizers", Texts),
        ],
    ),
    (
        "Namespace",
        &[META, (2, "spec", Message("NamespaceSpec")), STATUS],
    ),
    ("NamespaceSpec", &[(1, "finalizers", Texts)]),
    (
        "ConfigMap",
        &[
            META,
            (2, "data", TextMap),
            (3, "binaryData", BytesMap),
            (4, "immutable", PointerFlag),
        ],
    ),
    (
        "Secret",
        &[
            META,
            (2, "data", BytesMap),
            (3, "type", Text),
            (4, "stringData", TextMap),
            (5, "immutable", PointerFlag),
        ],
    ),
    (
        "ServiceAccount",
        &[META, (4, "automountServiceAccountToken", PointerFlag)],
    ),
    (
        "ResourceQuota",
        &[META, (2, "spec", Message("ResourceQuotaSpec")), STATUS],
    ),
    (
        "ResourceQuotaSpec",
        &[(1, "hard", QuantityMap), (2, "scopes", Texts)],
    ),
    (
        "Service",
        &[META, (2, "spec", Message("ServiceSpec")), STATUS],
    ),
    (
        "ServiceSpec",
        &[
            (1, "ports", Messages("ServicePort")),
            (2, "selector", TextMap),
            (3, "clusterIP", Text),
            (4, "type", Text),
            (5, "externalIPs", Texts),
            (7, "sessionAffinity", Text),
            (8, "loadBalancerIP", Text),
            (10, "externalName", Text),
            (11, "externalTrafficPolicy", Text),
            (12, "healthCheckNodePort", Number),
            (13, "publishNotReadyAddresses", Flag),
        ],
    ),
    (
        "ServicePort",
        &[
            (1, "name", Text),
            (2, "protocol", Text),
            (3, "port", Number),
            (4, "targetPort", Message("IntOrString")),
            (5, "nodePort", Number),
        ],
    ),
    (
        "IntOrString",
        &[
            (1, "type", Number),
            (2, "intVal", Number),
            (3, "strVal", Text),
        ],
    ),
    (
        "Deployment",
        &[META, (2, "spec", Message("DeploymentSpec")), STATUS],
    ),
    (
        "DeploymentSpec",
        &[
            (1, "replicas", Pointer),
            (2, "selector", Message("LabelSelector")),
            (3, "template", Message("PodTemplateSpec")),
            (4, "strategy", Message("DeploymentStrategy")),
            (5, "minReadySeconds", Number),
            (6, "revisionHistoryLimit", Pointer),
            (7, "paused", Flag),
            (9, "progressDeadlineSeconds", Pointer),
        ],
    ),
    ("DeploymentStrategy", &[(1, "type", Text)]),
    ("LabelSelector", &[(1, "matchLabels", TextMap)]),
    ("PodTemplateSpec", &[META, (2, "spec", Message("PodSpec"))]),
    (
        "PodSpec",
        &[
            (2, "containers", Messages("Container")),
            (3, "restartPolicy", Text),
            (4, "terminationGracePeriodSeconds", Pointer),
            (5, "activeDeadlineSeconds", Pointer),
            (6, "dnsPolicy", Text),
            (7, "nodeSelector", TextMap),
            (8, "serviceAccountName", Text),
            (9, "serviceAccount", Text),
            (10, "nodeName", Text),
            (11, "hostNetwork", Flag),
            (12, "hostPID", Flag),
            (13, "hostIPC", Flag),
            (16, "hostname", Text),
            (17, "subdomain", Text),
            (19, "schedulerName", Text),
            (24, "priorityClassName", Text),
        ],
    ),
    (
        "Container",
        &[
            (1, "name", Text),
            (2, "image", Text),
            (3, "command", Texts),
            (4, "args", Texts),
            (5, "workingDir", Text),
            (6, "ports", Messages("ContainerPort")),
            (8, "resources", Message("ResourceRequirements")),
            (13, "terminationMessagePath", Text),
            (14, "imagePullPolicy", Text),
            (16, "stdin", Flag),
            (17, "stdinOnce", Flag),
            (18, "tty", Flag),
            (20, "terminationMessagePolicy", Text),
        ],
    ),
    (
        "ResourceRequirements",
        &[(1, "limits", QuantityMap), (2, "requests", QuantityMap)],
    ),
    (
        "ContainerPort",
        &[
            (1, "name", Text),
            (2, "hostPort", Number),
            (3, "containerPort", Number),
            (4, "protocol", Text),
            (5, "hostIP", Text),
        ],
    ),
    ("Job", &[META, (2, "spec", Message("JobSpec")), STATUS]),
    ("JobSpec", &[(6, "template", Message("PodTemplateSpec"))]),
    ("Role", &[META, (2, "rules", Messages("PolicyRule"))]),
    ("ClusterRole", &[META, (2, "rules", Messages("PolicyRule"))]),
    (
        "PolicyRule",
        &[
            (1, "verbs", Texts),
            (2, "apiGroups", Texts),
            (3, "resources", Texts),
            (4, "resourceNames", Texts),
            (5, "nonResourceURLs", Texts),
        ],
    ),
    (
        "RoleBinding",
        &[
            META,
            (2, "subjects", Messages("Subject")),
            (3, "roleRef", Message("RoleRef")),
        ],
    ),
    (
        "ClusterRoleBinding",
        &[
            META,
            (2, "subjects", Messages("Subject")),
            (3, "roleRef", Message("RoleRef")),
        ],
    ),
    (
        "Subject",
        &[
            (1, "kind", Text),
            (2, "apiGroup", Text),
            (3, "name", Text),
            (4, "namespace", Text),
        ],
    ),
    (
        "RoleRef",
        &[(1, "apiGroup", Text), (2, "kind", Text), (3, "name", Text)],
    ),
    (
        "SelfSubjectAccessReview",
        &[
            META,
            (2, "spec", Message("SelfSubjectAccessReviewSpec")),
            STATUS,
        ],
    ),
    (
        "SelfSubjectAccessReviewSpec",
        &[
            (1, "resourceAttributes", Message("ResourceAttributes")),
            (2, "nonResourceAttributes", Message("NonResourceAttributes")),
        ],
    ),
    (
        "ResourceAttributes",
        &[
            (1, "namespace", Text),
            (2, "verb", Text),
            (3, "group", Text),
            (4, "version", Text),
            (5, "resource", Text),
            (6, "subresource", Text),
            (7, "name", Text),
        ],
    ),
    (
        "NonResourceAttributes",
        &[(1, "path", Text), (2, "verb", Text)],
    ),
    (
        "SelfSubjectRulesReview",
        &[
            META,
            (2, "spec", Message("SelfSubjectRulesReviewSpec")),
            STATUS,
        ],
    ),
    ("SelfSubjectRulesReviewSpec", &[(1, "namespace", Text)]),
    ("SelfSubjectReview", &[META, (2, "status", Skip)]),
    (
        "TokenRequest",
        &[META, (2, "spec", Message("TokenRequestSpec")), STATUS],
    ),
    (
        "TokenRequestSpec",
        &[(1, "audiences", Texts), (4, "expirationSeconds", Pointer)],
    ),
    (
        "DeleteOptions",
        &[
            (1, "gracePeriodSeconds", Pointer),
            (4, "propagationPolicy", Text),
            (5, "dryRun", Texts),
        ],
    ),
];
