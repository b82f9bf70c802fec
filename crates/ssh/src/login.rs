//! Logging in with a public key (RFC 4252, section 7), from memory or by an agent.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use russh::MethodSet;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::{Certificate, HashAlg, PublicKey};
use tokio::time::{Instant, timeout};

use super::handshake::{Events, Loss, Transport};
use super::identities::Identities;
use super::keys::Credentials;
use super::{ConnectStage, Fingerprint, SshError, SshSettings, fingerprint_of};

/// Lets the user in, or says why not. The key has been read before the host was called.
pub(super) async fn log_in(
    transport: &mut Transport,
    settings: &SshSettings,
    credentials: Credentials,
) -> Result<(), SshError> {
    let begun = Instant::now();
    let mut verdict = Verdict::default();
    let attempt = verdict.try_all(&mut transport.handle, settings, credentials);
    match timeout(settings.limits.auth_timeout, attempt).await {
        Ok(result) => result?,
        Err(_) => {
            return Err(SshError::ConnectTimeout {
                host: settings.host.clone(),
                port: settings.port,
                stage: ConnectStage::Authentication,
                after: settings.limits.auth_timeout,
            });
        }
    }
    if verdict.let_in {
        return Ok(());
    }
    let closed = if verdict.answered && !transport.handle.is_closed() {
        None
    } else {
        Some(wait_for_loss(transport).await)
    };
    Err(verdict.refusal(settings, closed, begun.elapsed(), transport.last_banner()))
}

async fn wait_for_loss(transport: &mut Transport) -> Loss {
    let lost = transport.lost.wait_for(Option::is_some).await;
    lost.ok()
        .and_then(|loss| loss.clone())
        .unwrap_or_else(|| Loss::unnoticed("the connection broke"))
}

/// What came of the attempts so far.
#[derive(Default)]
struct Verdict {
    let_in: bool,
    /// The server has said no at least once.
    answered: bool,
    tried: Vec<Fingerprint>,
    untried: usize,
    methods: Vec<String>,
    partial: bool,
    /// What can be seen from here to be wrong with a key or a certificate.
    remarks: Vec<String>,
}

impl Verdict {
    /// Tries the identities until one is let in or the server breaks off: how many it allows
    /// (`MaxAuthTries`) shows only then.
    async fn try_all(
        &mut self,
        handle: &mut Handle<Events>,
        settings: &SshSettings,
        credentials: Credentials,
    ) -> Result<(), SshError> {
        let Identities { list, mut signer } =
            Identities::of(handle, &settings.key, credentials).await?;
        let user = &settings.user;
        let mut left = list.into_iter();
        for identity in left.by_ref() {
            let key = identity.public_key().into_owned();
            let hash = rsa_hash(handle, &key).await;
            let result = match identity {
                AgentIdentity::PublicKey { key, .. } => {
                    handle
                        .authenticate_publickey_with(user, key, hash, &mut signer)
                        .await
                }
                AgentIdentity::Certificate { certificate, .. } => {
                    self.remarks.extend(remark(&certificate));
                    handle
                        .authenticate_certificate_with(user, certificate, hash, &mut signer)
                        .await
                }
            };
            match result {
                Ok(result) => self.note(&key, result, handle.is_closed()),
                Err(error) => {
                    let key = fingerprint_of(&key);
                    tracing::debug!(%key, %error, "could not sign");
                    self.remarks
                        .push(format!("the agent did not sign with {key}"));
                }
            }
            if self.let_in || self.partial || handle.is_closed() {
                break;
            }
        }
        self.untried = left.len();
        Ok(())
    }

    /// Takes in the answer for one key. russh tells a broken connection as a failure that leaves
    /// no method; a server that means that has closed the connection as well.
    fn note(&mut self, key: &PublicKey, result: AuthResult, closed: bool) {
        let fingerprint = fingerprint_of(key);
        if !self.tried.contains(&fingerprint) {
            self.tried.push(fingerprint);
        }
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

    fn refusal(
        self,
        settings: &SshSettings,
        closed: Option<Loss>,
        after: Duration,
        banner: Option<String>,
    ) -> SshError {
        let (user, host) = (settings.user.clone(), settings.host.clone());
        let closed = match closed {
            None => None,
            Some(Loss {
                goodbye: Some(goodbye),
                ..
            }) => Some(goodbye),
            Some(Loss { reason, .. }) => {
                return SshError::Handshake {
                    host,
                    port: settings.port,
                    reason,
                    remedy: None,
                };
            }
        };
        // Nothing but the end of the connection says what the host thinks of the login.
        if !self.answered && closed.as_ref().is_some_and(String::is_empty) {
            return SshError::ClosedDuringLogin {
                user,
                host,
                after,
                said: banner.unwrap_or_default(),
            };
        }
        SshError::AuthRefused {
            user,
            host,
            keys_tried: self.tried,
            methods: self.methods,
            partial: self.partial,
            untried: self.untried,
            closed: closed.unwrap_or_default(),
            remarks: self.remarks,
        }
    }
}

fn names(methods: &MethodSet) -> Vec<String> {
    methods
        .iter()
        .map(|method| <&'static str>::from(method).to_owned())
        .collect()
}

/// The hash for an RSA key (RFC 8332), as the server's `server-sig-algs` has it (RFC 8308).
/// `ssh-rsa` with SHA-1 is not used even if the server has nothing else: it then refuses.
async fn rsa_hash(handle: &Handle<Events>, key: &PublicKey) -> Option<HashAlg> {
    if !key.algorithm().is_rsa() {
        return None;
    }
    match handle.best_supported_rsa_hash().await {
        Ok(Some(Some(hash))) => Some(hash),
        _ => Some(HashAlg::Sha512),
    }
}

/// Why a host can't accept the certificate now.
fn remark(certificate: &Certificate) -> Option<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let id = certificate.key_id();
    if now >= certificate.valid_before() {
        Some(format!(
            "the certificate {id:?} has expired; have it renewed"
        ))
    } else if now < certificate.valid_after() {
        Some(format!(
            "the certificate {id:?} is not valid yet; check the clock"
        ))
    } else {
        None
    }
}
