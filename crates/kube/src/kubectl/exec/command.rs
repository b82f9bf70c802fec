//! The command lines that run a program in a pod.
//!
//! A fixed prelude runs in the pod, around the program: it says that it has begun, takes the variables
//! from stdin, marks the command, enters the folder, runs the program and says how that ended. Text of
//! users reaches it as arguments and on stdin, never as part of its text. Its own words go to stderr
//! after a random token.
//!
//! The end must be told from inside, since kubectl's exit code 0 proves none: when the kubelet closes
//! the error stream without a word, kubectl takes that for success
//! (<https://github.com/kubernetes/kubectl/issues/1726>).

use berth_core::{Environment, Namespace};
use berth_ssh::{Command, Script, WORD_MAX, Word};

use super::super::{
    super::{ExecCommand, ExecError, Program},
    KubectlSettings,
};

/// What the prelude prints after the token, first of all; its process id follows.
pub(super) const BEGUN: &str = " begun ";
/// What it prints when the folder can't be entered.
pub(super) const NO_FOLDER: &str = " no-folder";
/// What it prints when there is no such program, or none that can be executed.
pub(super) const NO_PROGRAM: &str = " no-program";
/// What it prints before the exit code when the program has ended, on stdout too.
pub(super) const ENDED: &str = " ended ";

/// The shell that runs the prelude.
pub(super) const SHELL: &str = "/bin/sh";

/// The most bytes of a command in a pod, percent-encoded: kubectl puts it into the URL of its request,
/// and the API server reads at most 1 MiB of headers (Go's `http.DefaultMaxHeaderBytes`).
const URL_MAX: usize = 900 * 1024;

/// `$1` the mark, `$2` the token, `$3` `env` when variables are on stdin, `$4` the folder or nothing,
/// then the program. Variables come as lines of `NAME=VALUE`, with the value as `printf %b` takes it,
/// and end with an empty line; `read` takes no byte more than that from a pipe (POSIX.1-2024, read).
///
/// The program takes the place of a subshell, so that the names of builtins mean programs. What the
/// shell itself says of a child that a signal ended goes to `/dev/null`; the child's stderr waits on
/// descriptor 9. Signals that are meant for the program by its command line (`pkill -f`) leave the
/// prelude alone: a subshell does not inherit its traps. The trap for the subshell's exit is heard only
/// when the program could not take its place.
///
/// kubectl ends only when every process that holds the streams has closed them, so the end of the
/// program is reported on both streams: what comes before that on each is all that the program wrote.
const PRELUDE: &str = r#"printf '%s begun %s\n' "$2" "$$" >&2
export BERTH_COMMAND="$1"
if [ "$3" = env ]; then
while :; do
IFS= read -r berth_line || exit 1
[ -n "$berth_line" ] || break
berth_value=$(printf '%b.' "${berth_line#*=}")
export "${berth_line%%=*}=${berth_value%.}"
done
unset berth_line berth_value
fi
if [ -n "$4" ]; then
case $4 in /*) cd "$4" ;; *) cd "./$4" ;; esac 2>/dev/null || { printf '%s no-folder\n' "$2" >&2; exit 1; }
fi
case $5 in
-*) false ;;
*/*) [ -f "$5" ] && [ -x "$5" ] ;;
*) command -v "$5" >/dev/null 2>&1 ;;
esac || { printf '%s no-program\n' "$2" >&2; exit 127; }
berth_token=$2
shift 4
trap : HUP INT PIPE TERM
exec 9>&2 2>/dev/null
( exec 2>&9 9>&-; trap 'printf "%s no-program\n" "$berth_token" >&2' EXIT; exec "$@" )
berth_status=$?
printf '%s ended %s\n' "$berth_token" "$berth_status"
printf '%s ended %s\n' "$berth_token" "$berth_status" >&9
exit "$berth_status""#;

/// Says the pod's name on stderr, then becomes the command: `$1` the token, `$2` the pod.
const ANNOUNCE: &str = r#"printf '%s %s\n' "$1" "$2" >&2; shift 2; exec "$@""#;

/// The newest pod that is not being deleted.
const NEWEST: &str = "{{$name := \"\"}}{{$time := \"\"}}{{range .items}}\
    {{if not .metadata.deletionTimestamp}}{{if ge .metadata.creationTimestamp $time}}\
    {{$time = .metadata.creationTimestamp}}{{$name = .metadata.name}}{{end}}{{end}}{{end}}{{$name}}";

/// What runs in the pod, and what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// What runs in the pod.
    pub(super) argv: Vec<String>,
    /// What goes to stdin before the command's own.
    pub(super) preface: String,
    /// What runs in a pod without a shell, where the command can do without one.
    pub(super) bare: Option<Vec<String>>,
}

/// What runs in the pod for this command. `mark` and `token` are random, so no output holds them by
/// chance; a command that looks for them finds both, and can lie about nothing but its own end.
pub(super) fn plan(command: &ExecCommand, mark: &str, token: &str) -> Result<Plan, ExecError> {
    let ExecCommand {
        program,
        environment,
        working_dir,
    } = command;
    let (words, needs_shell) = match program {
        Program::Argv(words) => (words.clone(), false),
        Program::Shell(line) => ([SHELL, "-c", line].map(str::to_owned).to_vec(), true),
    };
    if words.is_empty() {
        return Err(ExecError::CouldNotStart {
            reason: "there is no program to run".to_owned(),
        });
    }
    let needs_shell = needs_shell || !environment.is_empty() || working_dir.is_some();
    let folder = working_dir.as_deref().unwrap_or_default();
    let variables = if environment.is_empty() { "" } else { "env" };
    let argv: Vec<_> = [SHELL, "-c", PRELUDE, "sh", mark, token, variables, folder]
        .into_iter()
        .chain(words.iter().map(String::as_str))
        .map(str::to_owned)
        .collect();
    check_length(&argv)?;
    Ok(Plan {
        argv,
        preface: preface(environment),
        bare: (!needs_shell).then_some(words),
    })
}

/// The variables as the prelude reads them.
fn preface(environment: &Environment) -> String {
    let mut text = String::new();
    for (name, value) in environment.iter() {
        text.push_str(name.as_str());
        text.push('=');
        for byte in value.bytes() {
            match byte {
                b'\\' => text.push_str("\\\\"),
                b' '..=b'~' => text.push(char::from(byte)),
                // Anything else as an octal escape: some shells mind bytes beyond ASCII in `read`.
                _ => text.extend(['\\', '0'].into_iter().chain(octal(byte))),
            }
        }
        text.push('\n');
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

fn octal(byte: u8) -> [char; 3] {
    [byte >> 6, (byte >> 3) & 7, byte & 7].map(|digit| char::from(b'0' + digit))
}

fn check_length(argv: &[String]) -> Result<(), ExecError> {
    let too_long = |reason: String| Err(ExecError::TooLong { reason });
    if let Some(word) = argv.iter().find(|word| word.len() > WORD_MAX) {
        let bytes = word.len();
        return too_long(format!(
            "an argument has {bytes} bytes, more than {WORD_MAX}"
        ));
    }
    // Go's url.QueryEscape: one byte for unreserved characters and spaces, three for others.
    let is_short = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~ ".contains(&byte);
    let encoded: usize = argv
        .iter()
        .flat_map(|word| word.bytes())
        .map(|byte| if is_short(byte) { 1 } else { 3 })
        .sum::<usize>()
        + argv.len() * "command=&".len();
    if encoded > URL_MAX {
        return too_long(format!(
            "it takes {encoded} bytes in the request to the API server, more than {URL_MAX}; \
             pass what is long on stdin"
        ));
    }
    Ok(())
}

/// Runs `argv` in the named container of the named pod.
pub(super) fn in_pod(
    settings: &KubectlSettings,
    namespace: &Namespace,
    (pod, container): (&str, &str),
    with_stdin: bool,
    argv: &[String],
) -> Script {
    let pod = format!("pod/{pod}").into();
    exec(
        settings.kubectl([]),
        namespace,
        (pod, container),
        with_stdin,
        argv,
    )
    .into()
}

/// What runs in a pod without an end of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watched<'a> {
    pub(super) with_stdin: bool,
    pub(super) argv: &'a [String],
    /// What runs in the pod after that when the host loses the connection, to end what is left.
    pub(super) sweep: &'a [String],
}

/// [`in_pod`] for a command that ends with the connection.
pub(super) fn watched_in_pod(
    settings: &KubectlSettings,
    namespace: &Namespace,
    (pod, container): (&str, &str),
    watched: Watched<'_>,
) -> Script {
    let run = |with_stdin, argv| {
        let pod = format!("pod/{pod}").into();
        exec(
            settings.kubectl([]),
            namespace,
            (pod, container),
            with_stdin,
            argv,
        )
    };
    Script::while_connected(
        run(watched.with_stdin, watched.argv),
        run(false, watched.sweep),
    )
}

/// Finds the newest running pod with these labels and runs a command that ends with the connection in it.
/// Prints `TOKEN POD` to stderr in between.
pub(super) fn watched_in_newest(
    settings: &KubectlSettings,
    namespace: &Namespace,
    (labels, container): (&str, &str),
    token: &str,
    watched: Watched<'_>,
) -> Script {
    let find = settings.kubectl([
        "get",
        "pods",
        "-n",
        namespace.as_str(),
        "-l",
        labels,
        "--field-selector=status.phase=Running",
        "-o",
        &format!("go-template={NEWEST}"),
    ]);
    Script::capturing_while_connected(find, |pod| {
        let place = || (pod.after("pod/"), container);
        let announce = Command::new(["/bin/sh", "-c", ANNOUNCE, "sh", token]).arg(pod.after(""));
        let main = settings.kubectl_after(announce, []);
        let sweep = settings.kubectl([]);
        (
            exec(main, namespace, place(), watched.with_stdin, watched.argv),
            exec(sweep, namespace, place(), false, watched.sweep),
        )
    })
}

/// `kubectl exec` after kubectl's own words.
fn exec(
    kubectl: Command,
    namespace: &Namespace,
    (pod, container): (Word, &str),
    with_stdin: bool,
    argv: &[String],
) -> Command {
    let mut command = kubectl
        .args(["exec", "-n", namespace.as_str()])
        .arg(pod)
        .args(["-c", container]);
    if with_stdin {
        command = command.arg("-i");
    }
    command.arg("--").args(argv.iter().map(String::as_str))
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
