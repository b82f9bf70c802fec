//! Decodes an object as its Kubernetes type, and says which field is wrong.
//!
//! A type is decoded from a deserializer behind a pointer (`erased_serde`). With the two that track paths
//! and unknown fields as type parameters, each type of Kubernetes would take thousands of functions.

use erased_serde::{Deserializer, Error};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Why an object is not one of its type.
pub(super) struct WrongType {
    /// The field's path, such as `spec.replicas`.
    pub(super) field: String,
    /// What serde says; it may repeat the field's value.
    pub(super) problem: String,
}

/// Returns the object as this type, with the paths of the fields that the type does not have.
pub(super) fn decode<T: DeserializeOwned>(object: &Value) -> Result<(T, Vec<String>), WrongType> {
    let mut decoded = None;
    let unknown = track(object, &mut |deserializer| {
        erased_serde::deserialize(deserializer).map(|it| decoded = Some(it))
    })?;
    let decoded = decoded.ok_or_else(|| WrongType {
        field: String::new(),
        problem: "it was not decoded".to_owned(),
    });
    Ok((decoded?, unknown))
}

fn track(
    object: &Value,
    decode: &mut dyn FnMut(&mut dyn Deserializer<'_>) -> Result<(), Error>,
) -> Result<Vec<String>, WrongType> {
    // An optional object on the way shows as `?` in a path, and no path as a dot.
    let shown = |path: String| match path.as_str() {
        "." => "the object".to_owned(),
        path => path.replace(".?", ""),
    };
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(object, &mut track);
    let mut note = |path: serde_ignored::Path| unknown.push(shown(path.to_string()));
    let noting = serde_ignored::Deserializer::new(tracked, &mut note);
    let decoded = decode(&mut <dyn Deserializer>::erase(noting));
    match decoded {
        Ok(()) => Ok(unknown),
        Err(error) => Err(WrongType {
            field: shown(track.path().to_string()),
            problem: error.to_string(),
        }),
    }
}
