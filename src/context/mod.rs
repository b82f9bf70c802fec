//! From a folder to the bytes that an image is built from.
//!
//! [`pack`] makes a gzip-compressed tar archive of what is in a folder, of a Dockerfile, and of what a
//! Dockerfile template adds. Equal content gives equal bytes, on every machine and at every time; their
//! SHA-256 names them ([`ContextHash`]). For that,
//! - entries stand in the order of their paths' bytes;
//! - a file's time is made from its content, a link's from its target, and a folder's from the names
//!   in it: an even second between 1990 and 2020, before anything that a build makes. So a web server
//!   has another `ETag` and `Last-Modified` for a page that has changed, though not always a later one;
//! - all belongs to user and group 0, without names. `COPY --chown` gives files to another user of the
//!   image;
//! - modes are kept, as Docker keeps them: the same files with other rights are another context;
//! - hard links are files of their own, holes in files are zeros, and extended attributes, ACLs and
//!   capabilities are left out;
//! - symbolic links stay links, wherever they lead, and names are kept byte for byte.
//!
//! What `.dockerignore` excludes is left out, by Docker's rules. The Dockerfile is always at
//! [`DOCKERFILE_PATH`], wherever it came from, and beside it an ignore file of its own excludes that
//! folder alone: so an executor finds the Dockerfile even if it is ignored, no `COPY` reaches that
//! folder, and an executor that applies ignore files once more has nothing left to leave out.
//!
//! Nothing here speaks to a cluster or a database, and nothing in the folder is written to.

mod archive;
mod dockerfile;
mod error;
mod ignore;
mod pack;
mod packed;
mod walk;

pub use self::{
    error::{ContextError, DockerfileProblem, SpecialKind},
    pack::{ContextSource, MOST_ENTRIES, PackProgress, pack, pack_in_background},
    packed::{CONFIG_MAP_MAX, ContextReader, PackedContext},
};
pub use crate::domain::{ContextHash, Dockerfile, RenderedDockerfile, TemplateFile};

/// The folder in a packed context that is berth's.
const RESERVED_FOLDER: &str = ".berth";

/// Where the Dockerfile is in every packed context.
pub const DOCKERFILE_PATH: &str = ".berth/Dockerfile";

/// The ignore file of that Dockerfile, by the name that Kaniko and BuildKit look for first.
const IGNORE_PATH: &str = ".berth/Dockerfile.dockerignore";
