//! What a caller asks for, as values that can't be wrong.

mod execute;
mod manage;

pub use self::{execute::ExecuteRequest, manage::ManageRequest};
