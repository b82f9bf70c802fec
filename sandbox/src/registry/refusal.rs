//! What a registry answers when it refuses: a code, a sentence, and what they are about.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// The codes of the OCI distribution spec 1.1, "Error Codes".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    SizeInvalid,
    Unauthorized,
    Denied,
    Unsupported,
    /// Not of the spec: the disk or the like has failed.
    Unknown,
}

impl Code {
    fn parts(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::BlobUnknown => ("BLOB_UNKNOWN", S::NOT_FOUND, "blob unknown to registry"),
            Self::BlobUploadInvalid => (
                "BLOB_UPLOAD_INVALID",
                S::RANGE_NOT_SATISFIABLE,
                "blob upload invalid",
            ),
            Self::BlobUploadUnknown => (
                "BLOB_UPLOAD_UNKNOWN",
                S::NOT_FOUND,
                "blob upload unknown to registry",
            ),
            Self::DigestInvalid => (
                "DIGEST_INVALID",
                S::BAD_REQUEST,
                "provided digest did not match uploaded content",
            ),
            Self::ManifestBlobUnknown => (
                "MANIFEST_BLOB_UNKNOWN",
                S::BAD_REQUEST,
                "blob unknown to registry",
            ),
            Self::ManifestInvalid => ("MANIFEST_INVALID", S::BAD_REQUEST, "manifest invalid"),
            Self::ManifestUnknown => ("MANIFEST_UNKNOWN", S::NOT_FOUND, "manifest unknown"),
            Self::NameInvalid => ("NAME_INVALID", S::BAD_REQUEST, "invalid repository name"),
            Self::NameUnknown => (
                "NAME_UNKNOWN",
                S::NOT_FOUND,
                "repository name not known to registry",
            ),
            Self::SizeInvalid => (
                "SIZE_INVALID",
                S::PAYLOAD_TOO_LARGE,
                "provided length did not match content length",
            ),
            Self::Unauthorized => ("UNAUTHORIZED", S::UNAUTHORIZED, "authentication required"),
            Self::Denied => (
                "DENIED",
                S::FORBIDDEN,
                "requested access to the resource is denied",
            ),
            Self::Unsupported => (
                "UNSUPPORTED",
                S::METHOD_NOT_ALLOWED,
                "the operation is unsupported",
            ),
            Self::Unknown => ("UNKNOWN", S::INTERNAL_SERVER_ERROR, "unknown error"),
        }
    }
}

/// A refused request.
#[derive(Debug)]
pub(super) struct Refusal {
    code: Code,
    detail: Value,
}

impl Refusal {
    pub(super) fn new(code: Code, detail: Value) -> Self {
        Self { code, detail }
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self::new(code, Value::Null)
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Self::new(Code::Unknown, json!(error.to_string()))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (word, status, message) = self.code.parts();
        let mut error = json!({ "code": word, "message": message });
        if let (Some(fields), false) = (error.as_object_mut(), self.detail.is_null()) {
            fields.insert("detail".to_owned(), self.detail);
        }
        let mut response = (status, Json(json!({ "errors": [error] }))).into_response();
        if self.code == Code::Unauthorized {
            let challenge = HeaderValue::from_static("Basic realm=\"berth sandbox registry\"");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
