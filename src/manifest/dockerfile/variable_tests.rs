use super::*;

#[test]
fn the_comment_at_the_start_declares_the_variables() {
    let declared = declared(
        "# syntax=docker/dockerfile:1\n# What it is.\n#\n# More of it.\n\
         # variable port = 8080: the port\n\
         # variable base = python:3.13: an image: any\n\
         #variable title=\"My: API\" : the title\n\
         # variable name: no default\n\
         # variables are not declared so\n\
         FROM x\n# variable late = 1: not at the start\n",
    )
    .unwrap();
    assert_eq!(declared.summary, "What it is.");
    let variables: Vec<_> = declared
        .variables
        .iter()
        .map(|it| {
            let default = it.default.as_deref();
            (it.name.as_str(), default, it.kind, it.description.as_str())
        })
        .collect();
    assert_eq!(
        variables,
        [
            ("port", Some("8080"), VariableKind::Number, "the port"),
            (
                "base",
                Some("python:3.13"),
                VariableKind::Word,
                "an image: any"
            ),
            ("title", Some("My: API"), VariableKind::Text, "the title"),
            ("name", None, VariableKind::Word, "no default"),
        ]
    );
}

#[test]
fn bad_declarations_are_told_with_their_line() {
    for (declaration, problem) in [
        ("", "no declaration of the form"),
        ("port", "no declaration of the form"),
        ("port = 8080", "no declaration of the form"),
        ("port = 8080:", "no declaration of the form"),
        ("port = 8080: ", "no declaration of the form"),
        ("port:", "no declaration of the form"),
        ("title = \"a: b", "no declaration of the form"),
        ("title = \"a\" b", "no declaration of the form"),
        ("Port = 1: x", "a variable's name"),
        ("1a = 1: x", "a variable's name"),
        ("a b = 1: x", "a variable's name"),
        ("= 1: x", "a variable's name"),
        ("a = : x", "the default can't be used: it is empty"),
        (
            "a = b c: x",
            "the default can't be used: it must be one word",
        ),
        ("a = \"$b\": x", "the default can't be used: it has a quote"),
        ("first = 2: x", "first is declared twice"),
    ] {
        let text =
            format!("# Summary.\n# variable first = 1: x\n# variable {declaration}\nFROM x\n");
        let bad = declared(&text).unwrap_err();
        assert_eq!(bad.line, 3, "{declaration}");
        assert!(
            bad.problem.starts_with(problem),
            "{declaration}: {}",
            bad.problem
        );
    }
}

#[test]
fn values_that_mean_something_to_a_dockerfile_are_refused() {
    use VariableKind::{Number, Text, Word};
    let good = [
        (Number, "0"),
        (Number, "8080"),
        (Word, "ghcr.io/team/app:1.2@sha256:0a"),
        (Word, "a=b,c+d_e"),
        (Text, ""),
        (Text, "It's <b> & #1; 100 % | größer 🚢 {{ x }}"),
    ];
    for (kind, value) in good {
        assert_eq!(kind.check(value), Ok(()), "{value}");
    }
    let bad = [
        (Number, ""),
        (Number, "-1"),
        (Number, "+1"),
        (Number, "80 80"),
        (Number, "1\n2"),
        (Word, ""),
        (Word, "--platform=x"),
        (Word, "a AS b"),
        (Word, "a;b"),
        (Word, "a\"b"),
        (Word, "a$b"),
        (Word, "größer"),
        (Word, "a\nRUN rm"),
        (Text, "a\nRUN rm"),
        (Text, "a\rb"),
        (Text, "a\tb"),
        (Text, "a\u{85}b"),
        (Text, "a\u{2028}b"),
        (Text, "\" b"),
        (Text, "a\\"),
        (Text, "$(rm)"),
        (Text, "`rm`"),
        (Text, "\0"),
    ];
    for (kind, value) in bad {
        assert!(kind.check(value).is_err(), "{kind:?} {value:?}");
    }
}
