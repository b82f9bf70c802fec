//! From bytes to JSON, minding repeated fields, which a map can't show any more.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

mod protobuf;

use berth_objects::status_error::ApiError;

/// A parsed request body.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// The last of repeated fields wins.
    pub value: Value,
    /// Paths of the fields that were given twice.
    pub duplicates: Vec<String>,
}

impl From<Value> for Parsed {
    fn from(value: Value) -> Self {
        Self {
            value,
            duplicates: Vec::new(),
        }
    }
}

/// Parses JSON, protobuf, or YAML when it is neither and `yaml` is allowed.
pub(crate) fn parse(bytes: &[u8], yaml: bool) -> Result<Parsed, ApiError> {
    if let Some(message) = bytes.strip_prefix(protobuf::MAGIC) {
        return protobuf::parse(message)
            .map(Parsed::from)
            .map_err(ApiError::bad_request);
    }
    let duplicates = RefCell::new(Vec::new());
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let seed = Seed {
        path: String::new(),
        duplicates: &duplicates,
    };
    let parsed = seed
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value));
    match parsed {
        Ok(value) => Ok(Parsed {
            value,
            duplicates: duplicates.into_inner(),
        }),
        Err(_) if yaml => serde_saphyr::from_slice::<Value>(bytes)
            .map(Parsed::from)
            .map_err(|error| ApiError::bad_request(format!("error decoding YAML: {error}"))),
        Err(error) => Err(ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type JSON): couldn't get \
             version/kind; json parse error: {error}"
        ))),
    }
}

struct Seed<'a> {
    path: String,
    duplicates: &'a RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let path = format!("{}[{}]", self.path, list.len());
            let Some(value) = access.next_element_seed(Seed {
                path,
                duplicates: self.duplicates,
            })?
            else {
                return Ok(Value::Array(list));
            };
            list.push(value);
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let path = if self.path.is_empty() {
                key.clone()
            } else {
                format!("{}.{key}", self.path)
            };
            if map.contains_key(&key) {
                self.duplicates.borrow_mut().push(path.clone());
            }
            let value = access.next_value_seed(Seed {
                path,
                duplicates: self.duplicates,
            })?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_fields_are_found() {
        let text = r#"{"spec": {"hostNetwork": true, "hostNetwork": false}}"#;
        let parsed = parse(text.as_bytes(), false).unwrap();
        assert_eq!(parsed.duplicates, ["spec.hostNetwork"]);
        assert_eq!(parsed.value["spec"]["hostNetwork"], false);
    }
}
