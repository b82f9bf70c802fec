use super::*;

/// Whether the rules exclude the path, asked as the walk asks: folder by folder.
fn excludes(rules: &str, path: &str) -> bool {
    let ignore = IgnoreFile::parse(rules).unwrap();
    let mut verdict = Verdict::default();
    let ends = path.match_indices('/').map(|(at, _)| at);
    for end in ends.chain([path.len()]) {
        verdict = ignore.judge(&path[..end], &verdict);
    }
    verdict.is_excluded
}

#[test]
fn patterns_match_as_documented() {
    // Rules, paths that they exclude, paths that they leave.
    let table: &[(&str, &[&str], &[&str])] = &[
        // The table of https://docs.docker.com/build/concepts/context/#syntax.
        ("# comment", &[], &["# comment", "comment"]),
        (
            "*/temp*",
            &["somedir/temporary.txt", "somedir/temp", "somedir/temp/x/y"],
            &["temp", "a/b/temp"],
        ),
        (
            "*/*/temp*",
            &["somedir/subdir/temporary.txt"],
            &["somedir/temp", "a/b/c/temp"],
        ),
        (
            "temp?",
            &["tempa", "tempb/x"],
            &["temp", "tempab", "a/tempa"],
        ),
        (
            "**/*.go",
            &["a.go", "x/a.go", "x/y/a.go"],
            &["a.goo", "ago"],
        ),
        (".", &[], &["a", "a/b"]),
        // `/foo` and `foo` are one, as are folders with a slash, dots and blanks around.
        ("/foo/bar", &["foo/bar", "foo/bar/x"], &["foo", "x/foo/bar"]),
        ("foo/", &["foo", "foo/x"], &["foobar"]),
        ("  ./foo//bar/../baz \t", &["foo/baz"], &["foo/bar"]),
        ("\u{feff}foo\r\n\r\nbar\r\n", &["foo", "bar"], &["baz"]),
        ("/", &[], &["a", "a/b"]),
        ("../foo", &[], &["foo"]),
        (" # no comment", &["# no comment"], &["no comment"]),
        // Exceptions, and the last match.
        (
            "*.md\n!README.md",
            &["NOTES.md"],
            &["README.md", "docs/a.md"],
        ),
        (
            "*.md\n!README*.md\nREADME-secret.md",
            &["README-secret.md", "a.md"],
            &["README.md", "README-2.md"],
        ),
        (
            "*.md\nREADME-secret.md\n!README*.md",
            &["a.md"],
            &["README-secret.md", "README.md"],
        ),
        ("*\n! src", &["a", "b/c"], &["src", "src/x/y"]),
        (
            "*\n!src/lib",
            &["src", "src/other"],
            &["src/lib", "src/lib/x"],
        ),
        (
            "src\n!src/**/*.py",
            &["src/a.c", "src/x/b.c"],
            &["src/a.py", "src/x/y/b.py"],
        ),
        ("!a\na", &["a", "a/b"], &[]),
        // An exception that names the folder alone does not reach what another rule matched in it.
        ("d/*\n!d", &["d/x", "d/x/y"], &["d"]),
        // Two stars.
        ("**", &["a", "a/b", ".hidden"], &[]),
        ("**/foo", &["foo", "a/foo", "a/b/foo/x"], &["afoo", "foob"]),
        ("**foo", &["foo", "afoo", "a/bfoo"], &["foob"]),
        ("foo/**", &["foo/a", "foo/a/b"], &["foo", "foobar"]),
        ("foo**", &["foo", "foobar", "foobar/x"], &["fo"]),
        (
            "a/**/b",
            &["a/b", "a/x/b", "a/x/y/b/z"],
            &["ab", "a/xb", "a"],
        ),
        ("a**/b", &["ab", "ax/b", "a/x/b"], &["a"]),
        ("**/a*b/**", &["axb/y", "c/ab/d/e"], &["axb", "c/b/d"]),
        ("**/**/x", &["x", "a/x", "a/b/x"], &["ax"]),
        ("***", &["a", "a/b"], &[]),
        // One star, and what else stands for characters.
        ("*", &["a", "a/b"], &[]),
        ("a*c", &["ac", "abc", "abc/d"], &["a/c", "acd"]),
        ("a[bc-e]f", &["abf", "adf"], &["aff", "abbf"]),
        ("a[^b]c", &["axc"], &["abc"]),
        ("a[!b]c", &["a!c", "abc"], &["axc"]),
        ("a[\\]\\-]c", &["a]c", "a-c"], &["a\\c"]),
        ("\\*", &["*"], &["a"]),
        ("\\!keep", &["!keep"], &["keep"]),
        ("\\#x", &["#x"], &["x"]),
        ("a]", &["a]"], &["a"]),
        ("a.c+(d)|{e}$^", &["a.c+(d)|{e}$^"], &["abc"]),
        ("Ü*", &["Übung"], &["übung"]),
        ("é?", &["éa", "éé"], &["é"]),
        // Case counts.
        ("Makefile", &["Makefile"], &["makefile"]),
    ];
    for (rules, excluded, left) in table {
        for path in *excluded {
            assert!(excludes(rules, path), "{rules:?} should exclude {path:?}");
        }
        for path in *left {
            assert!(!excludes(rules, path), "{rules:?} should leave {path:?}");
        }
    }
}

#[test]
fn bad_patterns_are_told_with_their_line() {
    for (rules, line) in [
        ("a\n\n!\n", 3),
        ("# x\n[", 2),
        ("a[b", 1),
        ("a[]", 1),
        ("a[]b]", 1),
        ("a[-b]", 1),
        ("a[b-]", 1),
        ("a[z-a]", 1),
        ("a\\", 1),
        ("[\\", 1),
    ] {
        let bad = IgnoreFile::parse(rules).unwrap_err();
        assert_eq!(bad.line, line, "{rules:?}");
        assert!(!bad.problem.is_empty() && !bad.pattern.is_empty());
    }
}

#[test]
fn excluded_folders_are_passed_over_when_no_exception_can_match_in_them() {
    let asked =
        |rules: &str, folder: &str| IgnoreFile::parse(rules).unwrap().may_let_through(folder);
    for (rules, folder) in [
        ("*", "a"),
        ("*\n!src", "src2"),
        ("*\n!src", "src"),
        ("*\n!src/lib", "other"),
        ("*\n!src/lib", "src/other"),
        ("*\n!src/**/*.py", "docs"),
        ("*\n!src/*.py", "sr"),
    ] {
        assert!(!asked(rules, folder), "{rules:?} in {folder}");
    }
    for (rules, folder) in [
        ("*\n!src/lib", "src"),
        ("*\n!src/**/*.py", "src"),
        ("*\n!src/**/*.py", "src/deep/er"),
        ("*\n!a/b/*.py", "a"),
        ("*\n!**/*.py", "anything"),
        ("*\n!src**", "srcs"),
    ] {
        assert!(asked(rules, folder), "{rules:?} in {folder}");
    }
}

#[test]
fn a_pattern_of_many_stars_is_matched_in_time() {
    let rules = "**a**a**a**a**a**a**a**a*a*a*a*a*a*a*b";
    let path = "a".repeat(3000);
    assert!(!excludes(rules, &path));
    assert!(excludes(rules, &format!("{path}b")));
}
