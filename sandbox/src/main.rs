//! See [`berth_sandbox`]. Started under the name of an image builder, it is that builder.

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    berth_sandbox::builder::main(&arguments).unwrap_or_else(berth_sandbox::cli::main)
}
