//! See [`berth_sandbox`].

use std::process::ExitCode;

fn main() -> ExitCode {
    berth_sandbox::cli::main()
}
