//! Dockerfiles: text in, stages of instructions out. A subset of
//! <https://docs.docker.com/reference/dockerfile/>; what is not done is refused, never skipped.

pub(crate) mod expand;
mod flags;
pub(crate) mod health;
mod instruction;
mod lines;
mod suggest;
mod words;

pub(crate) use self::instruction::{Copy, Instruction, Kind, Words};
use self::instruction::{From, Parsed};

/// A Dockerfile that has been understood.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dockerfile {
    /// The `ARG`s before the first `FROM`.
    pub(crate) arguments: Vec<(String, Option<String>)>,
    pub(crate) stages: Vec<Stage>,
}

/// A `FROM` and what follows it.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    /// As written; variables are not replaced yet.
    pub(crate) base: String,
    /// In lower case.
    pub(crate) name: Option<String>,
    pub(crate) platform: Option<String>,
    pub(crate) instructions: Vec<Instruction>,
}

/// Why a Dockerfile can't be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// The line that is meant; 0 for the whole.
    pub(crate) line: usize,
    pub(crate) message: String,
}

/// Understands a Dockerfile.
pub(crate) fn parse(text: &str) -> Result<Dockerfile, Complaint> {
    let (lines, escape) = lines::split(text);
    if lines.is_empty() {
        return Err(complaint(0, "file with no instructions".to_owned()));
    }
    let mut dockerfile = Dockerfile::default();
    for line in lines {
        let text = line.text.trim();
        let (name, arguments) = text
            .split_once(char::is_whitespace)
            .map_or((text, ""), |(name, rest)| (name, rest.trim()));
        let parsed = instruction::parse(name, arguments, escape)
            .unwrap_or_else(|| Err(unknown(name)))
            .map_err(|message| complaint(line.number, message))?;
        dockerfile.add(line.number, text, parsed)?;
    }
    Ok(dockerfile)
}

/// Understands one instruction of a base image's `ONBUILD`.
pub(crate) fn parse_trigger(text: &str) -> Result<Instruction, Complaint> {
    let mut dockerfile = parse(&format!("FROM scratch\n{text}\n"))?;
    dockerfile
        .stages
        .pop()
        .and_then(|mut stage| stage.instructions.pop())
        .ok_or_else(|| complaint(0, "file with no instructions".to_owned()))
}

fn unknown(name: &str) -> String {
    let suggestion = suggest::instruction(name)
        .map(|near| format!(" (did you mean {near}?)"))
        .unwrap_or_default();
    format!("unknown instruction: {name}{suggestion}")
}

fn complaint(line: usize, message: String) -> Complaint {
    Complaint { line, message }
}

impl Dockerfile {
    fn add(&mut self, line: usize, text: &str, parsed: Parsed) -> Result<(), Complaint> {
        match (parsed, self.stages.last_mut()) {
            (
                Parsed::From(From {
                    base,
                    name,
                    platform,
                }),
                _,
            ) => self.stages.push(Stage {
                base,
                name,
                platform,
                instructions: Vec::new(),
            }),
            (Parsed::Instruction(Kind::Arg(arguments)), None) => self.arguments.extend(arguments),
            (Parsed::Instruction(_), None) => {
                return Err(complaint(0, "no build stage in current context".to_owned()));
            }
            (Parsed::Instruction(kind), Some(stage)) => stage.instructions.push(Instruction {
                line,
                text: text.to_owned(),
                kind,
            }),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        let dockerfile = parse(text).unwrap();
        let instructions = dockerfile.stages.into_iter().flat_map(|s| s.instructions);
        instructions.map(|instruction| instruction.kind).collect()
    }

    fn refusal(text: &str) -> Complaint {
        parse(text).unwrap_err()
    }

    #[test]
    fn stages_have_names_platforms_and_instructions() {
        let found = parse(
            "ARG V=1\nFROM --platform=linux/amd64 a:$V AS Build\nRUN make\nFROM scratch\n\
             COPY --from=build /x /y\n",
        )
        .unwrap();
        assert_eq!(found.arguments, [("V".to_owned(), Some("1".to_owned()))]);
        assert_eq!(found.stages[0].name.as_deref(), Some("build"));
        assert_eq!(found.stages[0].platform.as_deref(), Some("linux/amd64"));
        assert_eq!(found.stages[0].base, "a:$V");
        let Kind::Copy(copy) = &found.stages[1].instructions[0].kind else {
            panic!("no COPY");
        };
        assert_eq!(copy.from.as_deref(), Some("build"));
        assert_eq!(copy.sources, ["/x"]);
    }

    #[test]
    fn both_forms_of_commands_are_told_apart() {
        let words = |words: &[&str], shell| Words {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            shell,
        };
        assert_eq!(
            kinds("FROM a\nRUN a  b\nCMD [\"a\", \"b\"]\nENTRYPOINT [ oops"),
            [
                Kind::Run(words(&["a  b"], true)),
                Kind::Cmd(words(&["a", "b"], false)),
                Kind::Entrypoint(words(&["[ oops"], true)),
            ]
        );
    }

    #[test]
    fn an_unknown_instruction_is_refused_with_the_nearest_one() {
        let found = refusal("FROM a\nCOPYY x y\n");
        assert_eq!(found.line, 2);
        assert_eq!(
            found.message,
            "unknown instruction: COPYY (did you mean COPY?)"
        );
    }

    #[test]
    fn what_must_come_first_comes_first() {
        assert_eq!(refusal("# only\n").message, "file with no instructions");
        assert_eq!(
            refusal("RUN x\n").message,
            "no build stage in current context"
        );
    }

    #[test]
    fn what_this_stand_in_does_not_do_is_refused() {
        assert!(
            refusal("FROM a\nADD https://x/y z")
                .message
                .contains("ADD of URLs")
        );
        assert!(
            refusal("FROM a\nRUN <<EOF\nx\nEOF\n")
                .message
                .contains("heredocs")
        );
        assert!(
            refusal("FROM a\nRUN --mount=type=cache,target=/x y")
                .message
                .contains("--mount")
        );
    }

    #[test]
    fn arguments_are_counted() {
        assert!(
            refusal("FROM a\nCOPY x")
                .message
                .contains("at least two arguments")
        );
        assert!(refusal("FROM a b").message.contains("one or three"));
        assert!(refusal("FROM a AS 1x").message.contains("\"1x\""));
        assert!(refusal("FROM a\nSHELL sh").message.contains("JSON"));
    }
}
