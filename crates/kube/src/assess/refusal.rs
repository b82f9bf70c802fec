//! Why the cluster refuses to create a pod: the API server's reason is `Forbidden` for all of it, and only the
//! words of its admission plugins tell them apart.

/// What refuses a pod, or another object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A quota leaves no room (the plugin `ResourceQuota`).
    Quota,
    /// The namespace's Pod Security level forbids it (`PodSecurity`).
    PodSecurity,
    /// Its service account does not exist (`ServiceAccount`).
    NoServiceAccount,
    /// Another rule.
    Other,
}

impl Refusal {
    /// What refuses, by the message of a Status, of an event `FailedCreate`, or of the condition
    /// `ReplicaFailure`.
    #[must_use]
    pub fn of(message: &str) -> Self {
        let says = |words: &str| message.contains(words);
        if says("violates PodSecurity") {
            Self::PodSecurity
        } else if says("exceeded quota") || says("failed quota") {
            Self::Quota
        } else if says("error looking up service account") && says("not found") {
            Self::NoServiceAccount
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admission_plugins_are_told_apart_by_their_words() {
        for (message, refusal) in [
            (
                "pods \"web-1\" is forbidden: failed quota: q: must specify requests.cpu for: app",
                Refusal::Quota,
            ),
            (
                "pods \"web-1\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1",
                Refusal::Quota,
            ),
            (
                "pods \"web-1\" is forbidden: violates PodSecurity \"restricted:latest\": runAsNonRoot != true",
                Refusal::PodSecurity,
            ),
            (
                "pods \"b-1\" is forbidden: error looking up service account builder/builder: \
                 serviceaccount \"builder\" not found",
                Refusal::NoServiceAccount,
            ),
            (
                "admission webhook \"validate.kyverno.svc-fail\" denied the request: serviceaccount \"x\" has no owner, \
                 which was not found",
                Refusal::Other,
            ),
        ] {
            assert_eq!(Refusal::of(message), refusal, "{message}");
        }
    }
}
