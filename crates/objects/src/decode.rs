//! Strict decoding: unknown and repeated fields, wrong types, bad quantities, in the words of the
//! real server's decoder. What comes out is in canonical form (no nulls, quantities normalised).

use base64::Engine as _;
use chrono::DateTime;
use serde_json::{Map, Value};

use crate::quantity::{FORMAT_ERROR, Quantity};
use crate::resources::Kind;
use crate::schema::{self, Shape};
use crate::status_error::ApiError;

/// `fieldValidation` of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Validation {
    /// Unknown and repeated fields are errors.
    Strict,
    /// They are warnings; what a request gets that does not say.
    #[default]
    Warn,
    /// They are dropped.
    Ignore,
}

/// A decoded object and the warnings it gave rise to.
pub struct Decoded {
    /// In canonical form.
    pub object: Value,
    /// For `Warning` headers.
    pub warnings: Vec<String>,
}

/// Decodes an object that must be of `kind`; `duplicates` are the paths of the fields that its text gave
/// twice, which a value can't show.
pub fn decode(
    kind: Kind,
    value: Value,
    duplicates: &[String],
    validation: Validation,
) -> Result<Decoded, ApiError> {
    let (object, mut complaints) = typed(kind, value).map_err(|text| cannot_handle(kind, &text))?;
    complaints.extend(
        duplicates
            .iter()
            .map(|path| format!("duplicate field \"{path}\"")),
    );
    match validation {
        Validation::Strict if !complaints.is_empty() => {
            let text = format!("strict decoding error: {}", complaints.join(", "));
            Err(cannot_handle(kind, &text))
        }
        Validation::Warn => Ok(Decoded {
            object,
            warnings: complaints,
        }),
        _ => Ok(Decoded {
            object,
            warnings: Vec::new(),
        }),
    }
}

/// Puts an object of `kind` in canonical form; complains about unknown fields, fails on wrong
/// types.
fn typed(kind: Kind, value: Value) -> Result<(Value, Vec<String>), String> {
    let mut walk = Walk {
        owner: kind.kind,
        complaints: Vec::new(),
    };
    let root = schema::root(kind.schema);
    let object = walk
        .value(root, value, &Path::default())?
        .unwrap_or_default();
    Ok((object, walk.complaints))
}

fn cannot_handle(kind: Kind, text: &str) -> ApiError {
    ApiError::bad_request(format!(
        "{name} in version \"{version}\" cannot be handled as a {name}: {text}",
        name = kind.kind,
        version = kind.version
    ))
}

/// A place in an object: with list indices, for complaints, and without, as Go prints it.
#[derive(Default, Clone)]
struct Path {
    indexed: String,
    plain: String,
}

impl Path {
    fn field(&self, name: &str) -> Self {
        let join = |at: &str| {
            if at.is_empty() {
                name.to_owned()
            } else {
                format!("{at}.{name}")
            }
        };
        Self {
            indexed: join(&self.indexed),
            plain: join(&self.plain),
        }
    }

    fn index(&self, index: usize) -> Self {
        Self {
            indexed: format!("{}[{index}]", self.indexed),
            plain: self.plain.clone(),
        }
    }

    fn key(&self, key: &str) -> Self {
        Self {
            indexed: format!("{}.{key}", self.indexed),
            plain: self.plain.clone(),
        }
    }
}

struct Walk {
    /// The Go struct whose field is being read.
    owner: &'static str,
    complaints: Vec<String>,
}

impl Walk {
    /// None means that the field is left out.
    fn value(
        &mut self,
        node: &'static Value,
        value: Value,
        path: &Path,
    ) -> Result<Option<Value>, String> {
        if value.is_null() {
            return Ok(None);
        }
        let shape = schema::shape(node);
        let read = match (shape, value) {
            (Shape::Struct { name, fields, .. }, Value::Object(map)) => {
                let outer = std::mem::replace(&mut self.owner, name);
                let read = self.fields(fields, map, path);
                self.owner = outer;
                Value::Object(read?)
            }
            (Shape::Map { item, .. }, Value::Object(map)) => {
                let mut read = Map::new();
                for (key, value) in map {
                    let null = value.is_null() && matches!(schema::shape(item), Shape::Text);
                    let found = self.value(item, value, &path.key(&key))?;
                    if let Some(found) = found.or_else(|| null.then(|| "".into())) {
                        read.insert(key, found);
                    }
                }
                Value::Object(read)
            }
            (Shape::List { item, .. }, Value::Array(list)) => {
                let mut read = Vec::with_capacity(list.len());
                for (index, value) in list.into_iter().enumerate() {
                    read.extend(self.value(item, value, &path.index(index))?);
                }
                Value::Array(read)
            }
            (Shape::Text | Shape::IntOrString, value @ Value::String(_))
            | (Shape::Boolean, value @ Value::Bool(_))
            | (Shape::Number, value @ Value::Number(_))
            | (Shape::Any, value) => value,
            (Shape::Integer(_) | Shape::IntOrString, Value::Number(number)) => {
                return self.integer(node, &number, path).map(Some);
            }
            (Shape::Bytes, Value::String(text)) => {
                base64::engine::general_purpose::STANDARD
                    .decode(&text)
                    .map_err(|error| base64_error(&error))?;
                Value::String(text)
            }
            (Shape::Time, Value::String(text)) => time(&text)?,
            (Shape::Quantity, value @ (Value::String(_) | Value::Number(_))) => quantity(&value)?,
            (_, value) => return Err(self.mismatch(node, kind_of(&value), path)),
        };
        Ok(Some(read))
    }

    fn fields(
        &mut self,
        fields: &'static Map<String, Value>,
        map: Map<String, Value>,
        path: &Path,
    ) -> Result<Map<String, Value>, String> {
        let mut read = Map::new();
        for (key, value) in map {
            let at = path.field(&key);
            let Some(node) = fields.get(&key) else {
                self.complaints
                    .push(format!("unknown field \"{}\"", at.indexed));
                continue;
            };
            if let Some(value) = self.value(node, value, &at)? {
                read.insert(key, value);
            }
        }
        Ok(read)
    }

    fn integer(
        &self,
        node: &'static Value,
        number: &serde_json::Number,
        path: &Path,
    ) -> Result<Value, String> {
        let narrow = !matches!(schema::shape(node), Shape::Integer("int64"));
        match number.as_i64() {
            Some(whole) if !narrow || i32::try_from(whole).is_ok() => Ok(whole.into()),
            _ => Err(self.mismatch(node, &format!("number {number}"), path)),
        }
    }

    fn mismatch(&self, node: &'static Value, found: &str, path: &Path) -> String {
        let wanted = schema::go_type(node);
        if path.plain.is_empty() {
            return format!("json: cannot unmarshal {found} into Go value of type {wanted}");
        }
        let place = format!("{}.{}", self.owner, path.plain);
        format!("json: cannot unmarshal {found} into Go struct field {place} of type {wanted}")
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn quantity(value: &Value) -> Result<Value, String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    let quantity = Quantity::parse(&text).ok_or_else(|| FORMAT_ERROR.to_owned())?;
    Ok(quantity.to_string().into())
}

fn time(text: &str) -> Result<Value, String> {
    if text.is_empty() || DateTime::parse_from_rfc3339(text).is_ok() {
        return Ok(text.into());
    }
    Err(format!(
        "parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\""
    ))
}

fn base64_error(error: &base64::DecodeError) -> String {
    let at = match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => {
            *at
        }
        base64::DecodeError::InvalidLength(length) => *length,
        base64::DecodeError::InvalidPadding => 0,
    };
    format!("illegal base64 data at input byte {at}")
}

#[cfg(test)]
mod tests;
