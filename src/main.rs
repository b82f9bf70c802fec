//! The program `berth`: parse, run, exit code.

use std::process::ExitCode;

use berth::cli;

fn main() -> ExitCode {
    // Before anything is started: `berth --help` must be quick.
    let args = match cli::parse(std::env::args_os()) {
        Ok(args) => args,
        Err(code) => return code,
    };
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
