//! placeholder
pub(super) fn main(_: &[String]) -> u8 { 1 }
