//! `application/vnd.kubernetes.protobuf`: `kubectl create …` and `kubectl auth can-i` send it.
//! Only what these commands send is known; anything else is refused rather than dropped.

mod messages;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use berth_objects::json::as_map;
use messages::{MESSAGES, Type};

/// What such a body begins with.
pub(super) const MAGIC: &[u8] = b"k8s\0";

/// Reads a body after its magic; an error tells what is not known.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, String> {
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for field in Reader(bytes) {
        match field? {
            (1, Wire::Bytes(meta)) => {
                for field in Reader(meta) {
                    match field? {
                        (1, Wire::Bytes(text)) => api_version = string(text),
                        (2, Wire::Bytes(text)) => kind = string(text),
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(object)) => raw = object,
            _ => {}
        }
    }
    let mut object = message(&kind, raw)?;
    let map = as_map(&mut object);
    map.insert("kind".to_owned(), kind.into());
    map.insert("apiVersion".to_owned(), api_version.into());
    Ok(object)
}

fn message(name: &str, bytes: &[u8]) -> Result<Value, String> {
    let (_, fields) = MESSAGES
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| format!("the sandbox does not read {name} as protobuf"))?;
    let mut map = Map::new();
    for field in Reader(bytes) {
        let (number, wire) = field?;
        let (_, key, kind) = fields
            .iter()
            .find(|(known, ..)| *known == number)
            .ok_or_else(|| {
                format!("the sandbox does not read field {number} of {name} as protobuf")
            })?;
        put(&mut map, key, *kind, &wire)?;
    }
    Ok(Value::Object(map))
}

fn put(map: &mut Map<String, Value>, key: &str, kind: Type, wire: &Wire<'_>) -> Result<(), String> {
    match (kind, wire) {
        // Empty strings, zeros and falses that are no pointers are what JSON leaves out.
        (Type::Text, Wire::Bytes(text)) if !text.is_empty() => {
            map.insert(key.to_owned(), string(text).into());
        }
        (Type::Flag, Wire::Number(value)) if *value != 0 => {
            map.insert(key.to_owned(), true.into());
        }
        (Type::PointerFlag, Wire::Number(value)) => {
            map.insert(key.to_owned(), (*value != 0).into());
        }
        (Type::Number, Wire::Number(value)) if *value != 0 => {
            map.insert(key.to_owned(), value.cast_signed().into());
        }
        (Type::Pointer, Wire::Number(value)) => {
            map.insert(key.to_owned(), value.cast_signed().into());
        }
        (Type::Message(name), Wire::Bytes(bytes)) => {
            let value = message(name, bytes)?;
            let value = if name == "IntOrString" {
                int_or_string(&value)
            } else {
                value
            };
            map.insert(key.to_owned(), value);
        }
        (Type::Texts, Wire::Bytes(text)) => push(map, key, string(text).into()),
        (Type::Messages(name), Wire::Bytes(bytes)) => push(map, key, message(name, bytes)?),
        (Type::TextMap | Type::BytesMap | Type::QuantityMap, Wire::Bytes(bytes)) => {
            let (name, value) = entry(kind, bytes)?;
            as_map(map.entry(key).or_insert_with(|| json!({}))).insert(name, value);
        }
        _ => {}
    }
    Ok(())
}

fn push(map: &mut Map<String, Value>, key: &str, value: Value) {
    if let Some(list) = map.entry(key).or_insert_with(|| json!([])).as_array_mut() {
        list.push(value);
    }
}

fn entry(kind: Type, bytes: &[u8]) -> Result<(String, Value), String> {
    let (mut name, mut value) = (String::new(), Value::from(""));
    for field in Reader(bytes) {
        match (field?, kind) {
            ((1, Wire::Bytes(text)), _) => name = string(text),
            ((2, Wire::Bytes(text)), Type::TextMap) => value = string(text).into(),
            ((2, Wire::Bytes(data)), Type::BytesMap) => value = STANDARD.encode(data).into(),
            ((2, Wire::Bytes(quantity)), _) => {
                for field in Reader(quantity) {
                    if let (1, Wire::Bytes(text)) = field? {
                        value = string(text).into();
                    }
                }
            }
            _ => {}
        }
    }
    Ok((name, value))
}

fn int_or_string(value: &Value) -> Value {
    let is_text = value.get("type") == Some(&1.into());
    let key = if is_text { "strVal" } else { "intVal" };
    value
        .get(key)
        .cloned()
        .unwrap_or_else(|| if is_text { "".into() } else { 0.into() })
}

fn string(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn field(&mut self) -> Option<(u64, Wire<'a>)> {
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Wire::Bytes(bytes)
            }
            _ => return None,
        };
        Some((tag >> 3, wire))
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<(u64, Wire<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field().ok_or_else(|| "unexpected EOF".to_owned());
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}
