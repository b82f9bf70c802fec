//! What a user can log in with: a key from memory, or the keys of an agent, each with the
//! certificates for it; and the signatures that prove them.

use std::path::Path;
use std::sync::Arc;

use russh::AgentAuthError;
use russh::client::Handle;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::ssh_key::{self, Signature};
use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey, signature};
use tokio::net::UnixStream;

use super::handshake::Events;
use super::keys::Credentials;
use super::{KeyError, KeySource};

/// What is tried, in this order, and what signs it.
pub(super) struct Identities {
    pub(super) list: Vec<AgentIdentity>,
    pub(super) signer: Signer,
}

/// Proves that the user has a key.
pub(super) enum Signer {
    Key(Arc<PrivateKey>),
    Agent {
        client: AgentClient<UnixStream>,
        /// The keys that it lists without a certificate.
        bare: Vec<PublicKey>,
    },
}

impl Identities {
    /// A certificate comes before its key: where it is wanted, the key alone costs an attempt.
    pub(super) async fn of(
        handle: &Handle<Events>,
        source: &KeySource,
        credentials: Credentials,
    ) -> Result<Self, KeyError> {
        let certified = credentials.certificate.map(AgentIdentity::from);
        match (credentials.key, source) {
            (Some(key), _) => {
                let bare = AgentIdentity::from(key.public_key().clone());
                Ok(Self {
                    list: certified.into_iter().chain([bare]).collect(),
                    signer: Signer::Key(key),
                })
            }
            (None, KeySource::AgentKey { socket, public_key }) => {
                let mut agent = Self::of_agent(handle, socket).await?;
                let wanted = credentials.public;
                agent.list.retain(|identity| {
                    let wanted = wanted.as_ref().map(PublicKey::key_data);
                    wanted == Some(identity.public_key().key_data())
                });
                if agent.list.is_empty() {
                    return Err(KeyError::NotInAgent {
                        socket: socket.clone(),
                        path: public_key.clone(),
                    });
                }
                agent.list.splice(0..0, certified);
                Ok(agent)
            }
            (None, KeySource::Agent(socket)) => Self::of_agent(handle, socket).await,
            // Their keys have been read.
            (None, KeySource::Text(_) | KeySource::File(_)) => Err(KeyError::NotAKey {
                origin: super::KeyOrigin::Text,
            }),
        }
    }

    async fn of_agent(handle: &Handle<Events>, socket: &Path) -> Result<Self, KeyError> {
        let fault = |error: russh::keys::Error| KeyError::Agent {
            socket: socket.into(),
            reason: error.to_string(),
        };
        let mut client = AgentClient::connect_uds(socket).await.map_err(fault)?;
        // An agent that knows to which host it signs can refuse others (`ssh-add -h`). Those that
        // don't know the request refuse it, which does no harm.
        if let Some(binding) = handle.agent_session_binding()
            && let Err(error) = client.bind_session(binding, false).await
        {
            tracing::debug!(%error, "the agent was not told the host");
        }
        let mut list = client.request_identities().await.map_err(fault)?;
        // A type that can't be used would cost one of the attempts that the server allows.
        list.retain(|identity| {
            !matches!(
                identity.public_key().algorithm(),
                Algorithm::Other(_) | Algorithm::Dsa
            )
        });
        if list.is_empty() {
            return Err(KeyError::AgentEmpty {
                socket: socket.into(),
            });
        }
        let bare = list
            .iter()
            .filter_map(|identity| match identity {
                AgentIdentity::PublicKey { key, .. } => Some(key.clone()),
                AgentIdentity::Certificate { .. } => None,
            })
            .collect();
        Ok(Self {
            list,
            signer: Signer::Agent { client, bare },
        })
    }
}

impl russh::Signer for Signer {
    type Error = AgentAuthError;

    /// Appends the signature to what it signs.
    async fn auth_sign(
        &mut self,
        identity: &AgentIdentity,
        hash: Option<HashAlg>,
        mut data: Vec<u8>,
    ) -> Result<Vec<u8>, AgentAuthError> {
        match self {
            Self::Key(key) => {
                let signature = sign(key, hash, &data).map_err(russh::keys::Error::from)?;
                signature
                    .encode_prefixed(&mut data)
                    .map_err(|error| russh::keys::Error::from(ssh_key::Error::from(error)))?;
                Ok(data)
            }
            Self::Agent { client, bare } => {
                // The certificate may be in a file, where the agent does not know it.
                let key = identity.public_key().into_owned();
                let is_bare = bare.iter().any(|one| one.key_data() == key.key_data());
                let by = if is_bare { &key.into() } else { identity };
                Ok(client.sign_request(by, hash, data).await?)
            }
        }
    }
}

fn sign(key: &PrivateKey, hash: Option<HashAlg>, data: &[u8]) -> ssh_key::Result<Signature> {
    use signature::Signer as _;
    let signed = match key.key_data() {
        KeypairData::Rsa(key) => (key, hash).try_sign(data),
        key => key.try_sign(data),
    };
    Ok(signed?)
}
