//! The stand-in for Kaniko's `executor`, as its maintained fork has it (osscontainertools/kaniko).

mod flags;
mod log;
mod options;
mod push;
mod words;

use std::cell::RefCell;
use std::io::Write as _;

use self::flags::Flags;
use self::log::Log;
use super::base::Bases;
use super::fault::{Cause, Ending, Fault};
use super::registry::{Client, Plain};
use super::report::{Event, Report};
use super::{Options, Setting, build, end_when_asked};

/// The code that a Go program ends with at SIGTERM as process 1.
const ASKED_TO_END: i32 = 2;

/// A complaint and the code that the program ends with.
struct Failure {
    words: String,
    code: u8,
}

fn failure(words: impl Into<String>) -> Failure {
    Failure {
        words: words.into(),
        code: 1,
    }
}

/// Runs the executor; its exit code.
pub(super) fn main(arguments: &[String]) -> u8 {
    end_when_asked(ASKED_TO_END);
    let prepared = flags::parse(arguments).and_then(|flags| {
        let log = Log::new(
            flags.text("verbosity").unwrap_or("info"),
            flags.text("log-format").unwrap_or("color"),
            flags.is_on("log-timestamp", false),
        )?;
        log.info(words::FEATURES);
        let options = options::read(&flags)?;
        Ok((flags, log, options))
    });
    let outcome = match prepared {
        Ok((flags, log, options)) => Executor {
            flags,
            log,
            options,
        }
        .run(),
        Err(complaint) => {
            let usage = flags::usage();
            Err(failure(format!("Error: {complaint}\n{usage}")))
        }
    };
    match outcome {
        Ok(()) => 0,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "{}", failure.words);
            failure.code
        }
    }
}

/// Writes events to the log, and the digests of what was pushed where they are wanted.
struct Listener<'a> {
    log: &'a Log,
    digest_file: Option<&'a str>,
    failed: RefCell<Option<String>>,
}

impl Report for Listener<'_> {
    fn tell(&self, event: &Event<'_>) {
        words::write(self.log, event);
        // The file also gets the digests of layers that go to the cache; the image's is the last.
        if let (Event::Pushed { digest, .. }, Some(file)) = (event, self.digest_file)
            && let Err(error) = push::write_file(file, digest)
        {
            self.failed.replace(Some(error));
        }
    }
}

struct Executor {
    flags: Flags,
    log: Log,
    options: Options,
}

impl Executor {
    fn run(&self) -> Result<(), Failure> {
        let client = Client::new(Plain {
            push: self.flags.is_on("insecure", false),
            pull: self.flags.is_on("insecure-pull", false),
            registries: self.flags.all("insecure-registry").to_vec(),
        })
        .map_err(|error| failure(error.to_string()))?;
        if let Err(words) = self.check_push(&client) {
            self.log.warn(
                "make sure you entered the correct tag name, that you are authenticated \
                 correctly, and try again.",
            );
            return Err(failure(format!("error checking push permissions: {words}")));
        }
        let listener = Listener {
            log: &self.log,
            digest_file: self.flags.text("digest-file"),
            failed: RefCell::new(None),
        };
        let built = Setting::new(&self.options, &client, &listener).and_then(|setting| {
            let mirrors = self.flags.all("registry-mirror").to_vec();
            let bases = Bases::new(&client, &listener, mirrors, &setting.layers);
            build::image(&setting, &bases)
        });
        let image = built.map_err(|fault| Failure {
            words: format!("error building image: {}", words::fault(&fault)),
            code: exit_code(&fault),
        })?;
        self.push(&client, &image, &listener)
            .map_err(|words| failure(format!("error pushing image: {words}")))
    }
}

/// A command's own code is the executor's too.
fn exit_code(fault: &Fault) -> u8 {
    match fault.cause {
        Cause::Exit {
            ending: Ending::Code(code),
            ..
        } => u8::try_from(code).unwrap_or(1),
        Cause::Exit {
            ending: Ending::Signal(_),
            ..
        } => u8::MAX,
        _ => 1,
    }
}
