//! Writes of controllers through a [`Store`]: creates go the whole way, updates are trusted.

use serde_json::Value;

use super::{Write, create, finish};
use crate::decode;
use crate::json::as_map;
use crate::resources::Kind;
use crate::status_error::ApiError;
use crate::store::Store;

pub(crate) fn create_internal(store: &Store, kind: Kind, object: Value) -> Result<Value, ApiError> {
    let how = Write {
        manager: store.manager().to_owned(),
        ..Write::default()
    };
    let mut object = object;
    as_map(&mut object).shift_insert(0, "kind".to_owned(), kind.kind.into());
    as_map(&mut object).shift_insert(1, "apiVersion".to_owned(), kind.api_version().into());
    let decoded = decode::decode(kind, object, &[], decode::Validation::Strict)?;
    create(store, &how, kind, decoded.object).map(|written| written.object)
}

pub(crate) fn update_internal(
    store: &Store,
    kind: Kind,
    ns: &str,
    name: &str,
    change: impl FnOnce(&mut Value),
) -> Result<Value, ApiError> {
    let how = Write {
        manager: store.manager().to_owned(),
        ..Write::default()
    };
    store.transaction(|state| {
        let current = state
            .get(kind, ns, name)
            .ok_or_else(|| ApiError::not_found(kind, name))?;
        let mut next = (*current).clone();
        change(&mut next);
        let status_only = without_status(&next) == without_status(&current);
        let subresource = if status_only && kind.status {
            "status"
        } else {
            ""
        };
        let written = finish(
            state,
            &Write {
                subresource: subresource.to_owned(),
                ..how
            },
            kind,
            &current,
            next,
            true,
        );
        Ok(written.object)
    })
}

fn without_status(object: &Value) -> Value {
    let mut object = object.clone();
    as_map(&mut object).shift_remove("status");
    object
}
