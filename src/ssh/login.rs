//! Logging in with a public key (RFC 4252, section 7), from memory or by an agent.

use std::path::Path;
use std::sync::Arc;

use russh::MethodSet;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use tokio::time::timeout;

use super::handshake::{Events, Transport};
use super::{
    ConnectStage, Fingerprint, KeyError, KeySource, SshError, SshSettings, fingerprint_of,
};

/// How many of an agent's keys are tried: sshd's `MaxAuthTries` is 6, and breaks off at that.
const AGENT_KEYS_MAX: usize = 5;

/// Lets the user in, or says why not. The key has been read before the host was called.
pub(super) async fn log_in(
    transport: &mut Transport,
    settings: &SshSettings,
    key: Option<Arc<PrivateKey>>,
) -> Result<(), SshError> {
    let attempt = async {
        match (key, &settings.key) {
            (Some(key), _) => with_key(&mut transport.handle, &settings.user, key).await,
            (None, KeySource::Agent(socket)) => {
                with_agent(&mut transport.handle, &settings.user, socket).await
            }
            (None, _) => Ok(Verdict::default()),
        }
    };
    let verdict = match timeout(settings.limits.auth_timeout, attempt).await {
        Ok(verdict) => verdict?,
        Err(_) => {
            return Err(SshError::ConnectTimeout {
                host: settings.host.clone(),
                port: settings.port,
                stage: ConnectStage::Authentication,
                after: settings.limits.auth_timeout,
            });
        }
    };
    if verdict.let_in {
        return Ok(());
    }
    // If no answer came at all, the connection broke in the middle of it.
    if !verdict.answered {
        let reason = wait_for_loss(transport).await;
        return Err(SshError::Handshake {
            host: settings.host.clone(),
            port: settings.port,
            reason,
        });
    }
    Err(SshError::AuthRefused {
        user: settings.user.clone(),
        host: settings.host.clone(),
        keys_tried: verdict.tried,
        methods: verdict.methods,
        partial: verdict.partial,
    })
}

async fn wait_for_loss(transport: &mut Transport) -> String {
    let lost = transport.lost.wait_for(Option::is_some).await;
    lost.ok()
        .and_then(|reason| reason.clone())
        .unwrap_or_else(|| "the connection broke".into())
}

#[derive(Default)]
struct Verdict {
    let_in: bool,
    /// The server has said no at least once.
    answered: bool,
    tried: Vec<Fingerprint>,
    methods: Vec<String>,
    partial: bool,
}

impl Verdict {
    /// Takes in the answer for one key. russh tells a broken connection as a failure that leaves
    /// no method; a server that means that has said goodbye as well.
    fn note(&mut self, key: &PublicKey, result: AuthResult, closed: bool) {
        self.tried.push(fingerprint_of(key));
        match result {
            AuthResult::Success => self.let_in = true,
            AuthResult::Failure {
                remaining_methods,
                partial_success,
            } => {
                self.partial |= partial_success;
                if !remaining_methods.is_empty() || !closed {
                    self.answered = true;
                    self.methods = names(&remaining_methods);
                }
            }
        }
    }
}

fn names(methods: &MethodSet) -> Vec<String> {
    methods
        .iter()
        .map(|method| <&'static str>::from(method).to_owned())
        .collect()
}

async fn with_key(
    handle: &mut Handle<Events>,
    user: &str,
    key: Arc<PrivateKey>,
) -> Result<Verdict, SshError> {
    let mut verdict = Verdict::default();
    let hash = if key.algorithm().is_rsa() {
        Some(rsa_hash(handle).await)
    } else {
        None
    };
    let public = key.public_key().clone();
    let signer = PrivateKeyWithHashAlg::new(key, hash);
    if let Ok(result) = handle.authenticate_publickey(user, signer).await {
        verdict.note(&public, result, handle.is_closed());
    }
    Ok(verdict)
}

/// The hash for an RSA key (RFC 8332), as the server's `server-sig-algs` has it (RFC 8308).
/// `ssh-rsa` with SHA-1 is not used even if the server has nothing else: it then refuses.
async fn rsa_hash(handle: &Handle<Events>) -> HashAlg {
    match handle.best_supported_rsa_hash().await {
        Ok(Some(Some(hash))) => hash,
        _ => HashAlg::Sha512,
    }
}

async fn with_agent(
    handle: &mut Handle<Events>,
    user: &str,
    socket: &Path,
) -> Result<Verdict, SshError> {
    let fault = |reason: String| KeyError::Agent {
        socket: socket.into(),
        reason,
    };
    let mut agent = AgentClient::connect_uds(socket)
        .await
        .map_err(|error| fault(error.to_string()))?;
    let identities = agent
        .request_identities()
        .await
        .map_err(|error| fault(error.to_string()))?;
    let keys: Vec<PublicKey> = identities
        .into_iter()
        .filter_map(|identity| match identity {
            AgentIdentity::PublicKey { key, .. } => Some(key),
            // Its bare key is usually listed as well.
            AgentIdentity::Certificate { .. } => None,
        })
        .collect();
    if keys.is_empty() {
        return Err(KeyError::AgentEmpty {
            socket: socket.into(),
        }
        .into());
    }
    let mut verdict = Verdict::default();
    for key in keys.into_iter().take(AGENT_KEYS_MAX) {
        let hash = if key.algorithm().is_rsa() {
            Some(rsa_hash(handle).await)
        } else {
            None
        };
        let result = handle
            .authenticate_publickey_with(user, key.clone(), hash, &mut agent)
            .await;
        match result {
            Ok(result) => verdict.note(&key, result, handle.is_closed()),
            Err(error) => {
                tracing::debug!(key = %fingerprint_of(&key), %error, "the agent did not sign");
            }
        }
        if verdict.let_in || verdict.partial || handle.is_closed() {
            break;
        }
    }
    Ok(verdict)
}
