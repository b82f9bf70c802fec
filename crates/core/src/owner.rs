//! The owner of a pod or a deployment.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Invalid, LABEL_MANAGED_BY, LABEL_OWNER, LABEL_OWNER_KIND, MANAGED_BY, Namespace};

/// The longest id of an owner, in characters.
const LONGEST_ID: usize = 255;

/// What kind of thing an [`Owner`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OwnerKind {
    /// A project.
    Project,
    /// A conversation.
    Conversation,
    /// A namespace that berth did not create, and in which it has deployments.
    Namespace,
}

impl OwnerKind {
    /// `project`, `conversation` or `namespace`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Conversation => "conversation",
            Self::Namespace => "namespace",
        }
    }

    fn field(self) -> &'static str {
        match self {
            Self::Project => "project id",
            Self::Conversation => "conversation id",
            Self::Namespace => "namespace",
        }
    }
}

impl fmt::Display for OwnerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OwnerKind {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "project" => Ok(Self::Project),
            "conversation" => Ok(Self::Conversation),
            "namespace" => Ok(Self::Namespace),
            _ => Err(Invalid::new(
                "owner kind",
                text,
                "is not known",
                "use project, conversation or namespace",
            )),
        }
    }
}

/// The project or conversation that a pod belongs to; each has at most one pod. Deployments may also
/// belong to a namespace that berth did not create.
///
/// What follows from the kind and the id is computed once, here: the namespace of the owner's objects, and
/// the labels by which they are found.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Owner {
    kind: OwnerKind,
    id: String,
    #[serde(skip)]
    namespace: Namespace,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<String>,
}

impl Owner {
    /// The project with this id.
    ///
    /// # Errors
    /// When the id is empty, longer than 255 characters, or has control characters.
    pub fn project(id: &str) -> Result<Self, Invalid> {
        Self::new(OwnerKind::Project, id)
    }

    /// The conversation with this id.
    ///
    /// # Errors
    /// As [`Owner::project`].
    pub fn conversation(id: &str) -> Result<Self, Invalid> {
        Self::new(OwnerKind::Conversation, id)
    }

    /// The owner of deployments in a namespace that berth did not create.
    #[must_use]
    pub fn of_namespace(namespace: &Namespace) -> Self {
        Self {
            kind: OwnerKind::Namespace,
            id: namespace.to_string(),
            namespace: namespace.clone(),
            conversation: None,
        }
    }

    /// The owner that two optional ids name: the project when there is one, else the conversation.
    /// With both, the pod is the project's, and the conversation is remembered beside it.
    ///
    /// # Errors
    /// When both are missing, or one of them can't be used.
    pub fn from_ids(project: Option<&str>, conversation: Option<&str>) -> Result<Self, Invalid> {
        match (project, conversation) {
            (Some(project), conversation) => {
                let mut owner = Self::project(project)?;
                owner.conversation = conversation
                    .map(|id| Self::conversation(id).map(|owner| owner.id))
                    .transpose()?;
                Ok(owner)
            }
            (None, Some(conversation)) => Self::conversation(conversation),
            (None, None) => Err(Invalid::new(
                "owner",
                "",
                "is missing: there is neither a project id nor a conversation id",
                "give the id of a project or of a conversation",
            )),
        }
    }

    /// The owner with this kind and id.
    ///
    /// # Errors
    /// As [`Owner::project`].
    pub fn new(kind: OwnerKind, id: &str) -> Result<Self, Invalid> {
        if kind == OwnerKind::Namespace {
            return Ok(Self::of_namespace(&id.parse()?));
        }
        let refuse =
            |problem: String, remedy: &str| Err(Invalid::new(kind.field(), id, problem, remedy));
        if id.trim().is_empty() {
            return refuse("is empty".into(), "give the id of the owner");
        }
        let length = id.chars().count();
        if length > LONGEST_ID {
            return refuse(
                format!("has {length} characters"),
                "use an id of at most 255 characters",
            );
        }
        if id.chars().any(char::is_control) {
            return refuse(
                "has control characters".into(),
                "use an id without line breaks, tabs and other control characters",
            );
        }
        Ok(Self {
            kind,
            id: id.to_owned(),
            namespace: Namespace::of(kind, id),
            conversation: None,
        })
    }

    /// Whether the owner is a project, a conversation or a namespace.
    #[must_use]
    pub fn kind(&self) -> OwnerKind {
        self.kind
    }

    /// The id, just as it was given.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The project's id, when the owner is a project.
    #[must_use]
    pub fn project_id(&self) -> Option<&str> {
        (self.kind == OwnerKind::Project).then_some(&self.id)
    }

    /// The conversation's id: the owner's own, or the one that was given beside a project's.
    #[must_use]
    pub fn conversation_id(&self) -> Option<&str> {
        match self.kind {
            OwnerKind::Project => self.conversation.as_deref(),
            OwnerKind::Conversation => Some(&self.id),
            OwnerKind::Namespace => None,
        }
    }

    /// The value of the label `app` on the owner's pods: the id, or where that is no label, a readable part
    /// of it and its hash.
    #[must_use]
    pub fn app_label(&self) -> String {
        super::label::of(&self.id, super::label::LONGEST)
    }

    /// The namespace of this owner's objects. No other owner of the same kind has it.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The labels of this owner's objects, as key and value.
    #[must_use]
    pub fn labels(&self) -> [(&'static str, &str); 3] {
        [
            (LABEL_MANAGED_BY, MANAGED_BY),
            (LABEL_OWNER, self.namespace.as_str()),
            (LABEL_OWNER_KIND, self.kind.as_str()),
        ]
    }

    /// The label selector that matches this owner's objects, as `kubectl -l` takes it.
    #[must_use]
    pub fn selector(&self) -> String {
        let [a, b, c] = self.labels().map(|(key, value)| format!("{key}={value}"));
        format!("{a},{b},{c}")
    }

    /// Whether an object with these labels is this owner's.
    #[must_use]
    pub fn owns(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        let has = |(key, value): (&str, &str)| {
            labels.is_some_and(|labels| labels.get(key).is_some_and(|found| found == value))
        };
        self.labels().into_iter().all(has)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_comes_before_conversation() {
        let owner = Owner::from_ids(Some("p"), Some("c")).unwrap();
        assert_eq!(owner.kind(), OwnerKind::Project);
        assert_eq!(owner.project_id(), Some("p"));
        assert_eq!(owner.conversation_id(), Some("c"));
    }

    #[test]
    fn ids_that_cannot_be_used_are_refused_with_a_remedy() {
        for id in ["", "  ", "a\nb", "a\0b", &"x".repeat(256)] {
            let refused = Owner::project(id).unwrap_err();
            assert_eq!(refused.field(), "project id");
            assert!(!refused.remedy().is_empty());
            assert!(!refused.to_string().contains('\n'));
        }
        assert!(Owner::from_ids(None, None).is_err());
    }

    #[test]
    fn an_existing_namespace_owns_deployments_under_its_own_name() {
        let owner = Owner::new(OwnerKind::Namespace, "team-a").unwrap();
        assert_eq!(owner, Owner::of_namespace(&"team-a".parse().unwrap()));
        assert_eq!(owner.namespace().as_str(), "team-a");
        assert_eq!(owner.to_string(), "namespace team-a");
        assert_eq!((owner.project_id(), owner.conversation_id()), (None, None));
        assert!(Owner::new(OwnerKind::Namespace, "Team A").is_err());
    }

    #[test]
    fn the_app_label_is_the_id_where_it_can_be() {
        let label = |id: &str| Owner::project(id).unwrap().app_label();
        let uuid = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";
        assert_eq!(label(uuid), uuid);
        assert!(label("Shop & Co").starts_with("shop-co--"));
        assert_eq!(label(&"x".repeat(255)).len(), 63);
    }

    #[test]
    fn hostile_ids_are_owners_like_any_other() {
        for id in ["../../etc", "'; rm -rf /", "$(reboot)", "🚢", "A b"] {
            assert_eq!(Owner::project(id).unwrap().id(), id);
        }
    }
}
