//! A client of registries over plain HTTP: the sandbox has no TLS, so that `https` is tried only
//! as far as the connection. <https://distribution.github.io/distribution/spec/api/>

mod door;
mod login;
mod pull;
mod push;
mod refusal;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;

use reqwest::{Method, RequestBuilder, Url, header};
use tokio::runtime::Runtime;

use self::door::{Door, Key};
use self::login::Logins;
pub(crate) use self::refusal::{Answer, Refusal};
use super::reference::{Reference, is_near};
use crate::plain_http;

/// Which registries may be spoken to over plain HTTP.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plain {
    /// Any registry, for pushes and the cache.
    pub(crate) push: bool,
    /// Any registry, for pulls.
    pub(crate) pull: bool,
    /// These, for both.
    pub(crate) registries: Vec<String>,
}

/// What is wanted of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Right {
    Pull,
    Push,
}

/// The client.
#[derive(Debug)]
pub(crate) struct Client {
    runtime: Runtime,
    http: reqwest::Client,
    logins: Logins,
    plain: Plain,
    doors: RefCell<HashMap<(String, bool), Door>>,
    keys: RefCell<HashMap<(String, Right), Key>>,
}

/// What a registry said.
#[derive(Debug)]
struct Reply {
    status: u16,
    /// Where an upload goes on.
    location: Option<String>,
    media_type: String,
    bytes: Vec<u8>,
}

impl Client {
    /// A client with the credentials that the environment names.
    pub(crate) fn new(plain: Plain) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let http = plain_http::client().map_err(io::Error::other)?;
        Ok(Self {
            runtime,
            http,
            logins: Logins::find(),
            plain,
            doors: RefCell::default(),
            keys: RefCell::default(),
        })
    }

    /// Whether a registry was named on the command line.
    pub(crate) fn knows(&self, registry: &str) -> bool {
        self.plain.registries.iter().any(|known| known == registry)
    }

    /// Whether a registry may be spoken to over plain HTTP.
    fn is_plain(&self, registry: &str, right: Right) -> bool {
        let all = match right {
            Right::Pull => self.plain.pull,
            Right::Push => self.plain.push,
        };
        all || self.knows(registry)
    }

    /// The way into a registry and what it wants to see.
    fn door(&self, image: &Reference, right: Right) -> Result<Door, Refusal> {
        let registry = &image.registry;
        let plain = self.is_plain(registry, right) || is_near(registry);
        let known = (registry.clone(), plain);
        if let Some(door) = self.doors.borrow().get(&known) {
            return Ok(door.clone());
        }
        let door = self
            .runtime
            .block_on(door::open(&self.http, registry, plain))?;
        self.doors.borrow_mut().insert(known, door.clone());
        Ok(door)
    }

    fn key(&self, door: &Door, image: &Reference, right: Right) -> Result<Key, Refusal> {
        let known = (image.name(), right);
        if let Some(key) = self.keys.borrow().get(&known) {
            return Ok(key.clone());
        }
        let login = self.logins.of(&image.registry);
        let key = self
            .runtime
            .block_on(door::key(&self.http, door, login, image, right))?;
        self.keys.borrow_mut().insert(known, key.clone());
        Ok(key)
    }

    /// A request below `/v2/REPOSITORY/`, or at a whole address.
    fn request(
        &self,
        image: &Reference,
        right: Right,
        method: Method,
        path: &str,
    ) -> Result<(RequestBuilder, Url), Refusal> {
        let door = self.door(image, right)?;
        let key = self.key(&door, image, right)?;
        let base = format!("{}/v2/{}/", door.base, image.repository);
        let url = Url::parse(&base)
            .and_then(|base| base.join(path))
            .map_err(|error| Refusal::Unfit(format!("parse {path:?}: {error}")))?;
        let request = self.http.request(method, url.clone());
        let request = match key {
            Key::None => request,
            Key::Basic(user, password) => request.basic_auth(user, Some(password)),
            Key::Bearer(token) => request.bearer_auth(token),
        };
        Ok((request, url))
    }

    /// Sends a request and reads the whole answer.
    fn send(&self, method: &str, url: &Url, request: RequestBuilder) -> Result<Reply, Refusal> {
        self.runtime
            .block_on(receive(request))
            .map_err(|error| refusal::broken(method, url.as_str(), &error))
    }
}

async fn receive(request: RequestBuilder) -> reqwest::Result<Reply> {
    let answer = request.send().await?;
    let text = |name: header::HeaderName| {
        let value = answer.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    Ok(Reply {
        status: answer.status().as_u16(),
        location: text(header::LOCATION),
        media_type: text(header::CONTENT_TYPE).unwrap_or_default(),
        bytes: answer.bytes().await?.to_vec(),
    })
}

impl Reply {
    /// The reply, if its status is one of these.
    fn expect(self, method: &str, url: &Url, good: &[u16]) -> Result<Self, Refusal> {
        if good.contains(&self.status) {
            return Ok(self);
        }
        let answer = Answer::read(method, url.as_str(), self.status, &self.bytes);
        Err(Refusal::Answered(Box::new(answer)))
    }
}
