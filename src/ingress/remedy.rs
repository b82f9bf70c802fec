//! What to do about a warning of the load balancers' controller.
//!
//! Decided on the texts of its events, which quote the errors of AWS and of the API server.

/// The first row that has a word of the text decides.
const REMEDIES: [(&[&str], &str); 8] = [
    (
        &[
            "no matches for kind",
            "could not find the requested resource",
        ],
        "install the controller's CRDs with `kubectl apply -f https://raw.githubusercontent.com/aws/\
         eks-charts/master/stable/aws-load-balancer-controller/crds/crds.yaml`, then restart it",
    ),
    (
        &["failed calling webhook"],
        "check that the controller's pods and its Service aws-load-balancer-webhook-service are \
         ready and reached from the API server; to renew the webhook's certificate, install the \
         controller again",
    ),
    (
        &[
            "nocredentialproviders",
            "no valid providers in chain",
            "get credentials",
            "retrieve credentials",
            "refresh cached credentials",
            "unable to locate credentials",
            "assumerolewithwebidentity",
            "invalidclienttokenid",
            "unrecognizedclient",
            "expiredtoken",
            "expired token",
            "authfailure",
            "signaturedoesnotmatch",
        ],
        "give the controller AWS credentials that work, then restart it: an IAM role that trusts \
         its service account (annotation eks.amazonaws.com/role-arn), or the Secret \
         aws-credentials in its namespace",
    ),
    (
        &[
            "accessdenied",
            "access denied",
            "unauthorized",
            "not authorized",
        ],
        "give the controller's IAM role the policy of its installation guide",
    ),
    (
        &["certificate"],
        "name a certificate of the host with ALB_CERTIFICATE_ARN, or create one in ACM; or listen \
         to http alone with ALB_LISTENERS=http",
    ),
    (
        &["conflicting"],
        "give the Ingresses of the group the same settings; the status of the group names which differ",
    ),
    (
        &["subnet"],
        "tag the subnets with kubernetes.io/role/elb=1 (internal-elb for an internal one)",
    ),
    (&["not found"], "create what is missing, or deploy again"),
];

/// Returns what to do about a warning of the controller, by its message.
#[must_use]
pub fn remedy(message: &str) -> &'static str {
    let message = message.to_ascii_lowercase();
    let fits = |words: &[&str]| words.iter().any(|word| message.contains(word));
    REMEDIES.iter().find(|(words, _)| fits(words)).map_or(
        "fix what it says; the controller retries by itself",
        |row| row.1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of the controller's events and log, as users reported them to its project.
    #[test]
    fn each_text_of_the_controller_has_its_remedy() {
        for (text, part) in [
            (
                "Failed deploy model due to the server could not find the requested resource (post \
                 targetgroupbindings.elbv2.k8s.aws)",
                "CRDs",
            ),
            (
                "Failed deploy model due to no matches for kind \"TargetGroupBinding\" in version \
                 \"elbv2.k8s.aws/v1beta1\"",
                "CRDs",
            ),
            (
                "Failed build model due to NoCredentialProviders: no valid providers in chain. \
                 Deprecated.\n\tFor verbose messaging see aws.Config.CredentialsChainVerboseErrors",
                "AWS credentials",
            ),
            (
                "Failed build model due to couldn't auto-discover subnets: NoCredentialProviders: no \
                 valid providers in chain",
                "AWS credentials",
            ),
            (
                "Failed deploy model due to operation error Elastic Load Balancing v2: \
                 DescribeLoadBalancers, get identity: get credentials: failed to refresh cached \
                 credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, http \
                 response error StatusCode: 404, request to EC2 IMDS failed",
                "AWS credentials",
            ),
            (
                "Failed build model due to WebIdentityErr: failed to retrieve credentials\ncaused by: \
                 AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity\n\tstatus \
                 code: 403",
                "trusts its service account",
            ),
            (
                "Failed build model due to InvalidClientTokenId: The security token included in the \
                 request is invalid.",
                "AWS credentials",
            ),
            (
                "Failed deploy model due to Internal error occurred: failed calling webhook \
                 \"mtargetgroupbinding.elbv2.k8s.aws\": failed to call webhook: Post \
                 \"https://aws-load-balancer-webhook-service.kube-system.svc:443/x\": tls: failed to \
                 verify certificate: x509: certificate signed by unknown authority",
                "webhook",
            ),
            (
                "Failed build model due to couldn't auto-discover subnets: UnauthorizedOperation: You \
                 are not authorized to perform this operation.",
                "policy",
            ),
            (
                "Failed deploy model due to AccessDenied: User: x is not authorized to perform: \
                 elasticloadbalancing:CreateLoadBalancer",
                "policy",
            ),
            (
                "Failed build model due to couldn't auto-discover subnets: unable to resolve at least \
                 one subnet (0 match VPC and tags: [kubernetes.io/role/elb])",
                "tag the subnets",
            ),
            (
                "Failed build model due to ingress: project-a/web: no certificate found for host: \
                 a.example.com",
                "ALB_CERTIFICATE_ARN",
            ),
            (
                "Failed build model due to ingress: project-a/web: services \"web\" not found",
                "create what is missing",
            ),
            (
                "Failed build model due to a new reason",
                "retries by itself",
            ),
        ] {
            assert!(remedy(text).contains(part), "{text}: {}", remedy(text));
        }
    }
}
