//! Collecting what is wrong, as `field.ErrorList` does.

use serde_json::Value;

use berth_objects::status_error::Cause;

/// What is wrong with an object.
#[derive(Default)]
pub(super) struct Problems(pub(super) Vec<Cause>);

impl Problems {
    fn put(&mut self, reason: &'static str, field: impl Into<String>, message: String) {
        self.0.push(Cause {
            reason,
            field: field.into(),
            message,
        });
    }

    /// `Required value`, with what is wanted if there is more to say.
    pub(super) fn required(&mut self, field: impl Into<String>, detail: &str) {
        let colon = if detail.is_empty() { "" } else { ": " };
        self.put(
            "FieldValueRequired",
            field,
            format!("Required value{colon}{detail}"),
        );
    }

    /// `Invalid value: …: detail`
    pub(super) fn invalid(&mut self, field: impl Into<String>, value: &Value, detail: &str) {
        self.put(
            "FieldValueInvalid",
            field,
            format!("Invalid value: {value}: {detail}"),
        );
    }

    /// `Duplicate value: …`
    pub(super) fn duplicate(&mut self, field: impl Into<String>, value: &Value) {
        self.put(
            "FieldValueDuplicate",
            field,
            format!("Duplicate value: {value}"),
        );
    }

    /// `Not found: …`
    pub(super) fn not_found(&mut self, field: impl Into<String>, value: &str) {
        self.put("FieldValueNotFound", field, format!("Not found: {value:?}"));
    }

    /// `Forbidden: …`
    pub(super) fn forbidden(&mut self, field: impl Into<String>, detail: &str) {
        self.put("FieldValueForbidden", field, format!("Forbidden: {detail}"));
    }

    /// `Too long: may not be more than … bytes`
    pub(super) fn too_long(&mut self, field: impl Into<String>, limit: usize) {
        let message = format!("Too long: may not be more than {limit} bytes");
        self.put("FieldValueTooLong", field, message);
    }

    /// `Unsupported value: …: supported values: …`, unless the value is one of them.
    pub(super) fn one_of(&mut self, field: impl Into<String>, value: &str, known: &[&str]) {
        if known.contains(&value) {
            return;
        }
        let known: Vec<String> = known.iter().map(|value| format!("{value:?}")).collect();
        let message = format!(
            "Unsupported value: {value:?}: supported values: {}",
            known.join(", ")
        );
        self.put("FieldValueNotSupported", field, message);
    }

    /// Not below zero.
    pub(super) fn not_negative(&mut self, field: impl Into<String>, value: Option<i64>) {
        if let Some(value) = value.filter(|value| *value < 0) {
            self.invalid(field, &value.into(), "must be greater than or equal to 0");
        }
    }

    /// `field is immutable`, unless nothing has changed.
    pub(super) fn immutable(&mut self, field: &str, old: &Value, new: &Value) {
        if old != new {
            self.invalid(field, new, "field is immutable");
        }
    }
}
