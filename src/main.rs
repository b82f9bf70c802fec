//! The program `berth`: parse, start tracing, run, exit code.

use std::process::ExitCode;

use berth::cli::{self, Args};
use clap::Parser as _;

fn main() -> ExitCode {
    // Before anything is started: `berth --help` must be quick.
    let args = Args::parse();
    args.start_tracing();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(cli::run(args));
            // A read of stdin that goes on must not keep the program from ending.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            eprintln!("error: the asynchronous runtime can't be started: {error}");
            ExitCode::from(70)
        }
    }
}
