//! Recipes, good and bad.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Vec<Instruction>, String> {
    match Recipe::parse([text]) {
        Ok(recipe) => Ok(recipe.steps.into_iter().map(|step| step.instruction).collect()),
        Err(error) => Err(error.to_string()),
    }
}

fn one(text: &str) -> Instruction {
    let mut all = parse(text).unwrap();
    assert_eq!(all.len(), 1, "{text}");
    all.remove(0)
}

fn variables(text: &str, environment: &[(&str, &str)]) -> Vec<(String, String)> {
    let Instruction::Env { variables } = one(text) else { panic!("{text} is no ENV") };
    let environment: BTreeMap<_, _> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    variables.into_iter().map(|(name, value)| (name, expand(&value, &environment))).collect()
}

fn expand(value: &Value, environment: &BTreeMap<String, String>) -> String {
    value.expand(|name| environment.get(name).map(|value| value.into()))
}

#[test]
fn every_instruction_is_read() {
    let recipe = Recipe::parse([
        "# a comment",
        "run --timeout=5m apt-get update && \\\n    # in between\n\n    apt-get install -y git",
        "ENV A=1",
        "  WORKDIR  /srv/app  ",
        "USER app",
        "COPY src package.json ./",
        "START python3 -m http.server $PORT",
    ])
    .unwrap();
    let lines: Vec<_> = recipe.steps.iter().map(|step| step.line).collect();
    assert_eq!(lines, [2, 6, 7, 8, 9, 10]);
    let instructions: Vec<_> = recipe.steps.iter().map(|step| step.instruction.clone()).collect();
    let command = "apt-get update &&     apt-get install -y git".to_owned();
    assert_eq!(instructions[0], Instruction::Run { command, timeout: Duration::from_secs(300) });
    assert_eq!(instructions[2], Instruction::Workdir { path: "/srv/app".into() });
    assert_eq!(instructions[3], Instruction::User { name: "app".into() });
    let copy = Instruction::Copy { sources: vec!["src".into(), "package.json".into()], target: "./".into() };
    assert_eq!(instructions[4], copy);
    let start = Instruction::Start { command: "python3 -m http.server $PORT".into() };
    assert_eq!(instructions[5], start);
    assert_eq!(Recipe::parse([]).unwrap(), Recipe::default());
    assert_eq!(parse("\n# nothing\n\n"), Ok(vec![]));
}

#[test]
fn a_continued_line_keeps_the_space_at_its_beginning() {
    for (text, command) in [
        ("RUN printf '%s|' aa\\\n   bb", "printf '%s|' aa   bb"),
        ("RUN a\\\nb", "ab"),
        ("RUN a \\  \n\tb  ", "a \tb"),
        ("RUN a\\\n  # in between\n\n  b", "a  b"),
        ("  RUN a", "a"),
    ] {
        let Instruction::Run { command: read, .. } = one(text) else { panic!("{text}") };
        assert_eq!(read, command, "{text:?}");
    }
    let two = variables("ENV A=1\\\n    B=2", &[]);
    assert_eq!(two, [("A".into(), "1".into()), ("B".into(), "2".into())]);
}

#[test]
fn what_a_command_says_is_left_to_the_shell() {
    for command in
        ["echo 'a  b' \"$HOME\" $(date) `x` \\n", "a --timeout=5m", "x='unclosed", "[ \"exec\", \"form\" ]"]
    {
        let Instruction::Run { command: read, timeout } = one(&format!("RUN {command}")) else { panic!() };
        assert_eq!((read.as_str(), timeout), (command, DEFAULT_RUN_TIMEOUT));
    }
}

#[test]
fn variables_are_quoted_and_filled_in_as_in_a_shell() {
    let environment = [("PATH", "/bin"), ("A", "a b")];
    for (text, value) in [
        ("ENV X=plain", "plain"),
        ("ENV X=", ""),
        ("ENV X=$PATH:/opt", "/bin:/opt"),
        ("ENV X=${PATH}s", "/bins"),
        ("ENV X=$A", "a b"),
        ("ENV X=\"$A  c\"", "a b  c"),
        ("ENV X='$A  c'", "$A  c"),
        ("ENV X=$$A", "$A"),
        ("ENV X=a\\ b", "a b"),
        ("ENV X=\"a\\\"b\\$c\\n\"", "a\"b$c\\n"),
        ("ENV X=a'b'\"c\"d", "abcd"),
        ("ENV X=$NONE.", "."),
        ("ENV X=a=b", "a=b"),
        ("ENV X=# no comment", ""),
        ("ENV X=ü🐦", "ü🐦"),
    ] {
        if text.ends_with("comment") {
            assert!(parse(text).unwrap_err().contains("`no` has no `=`"), "{text}");
            continue;
        }
        assert_eq!(variables(text, &environment), [("X".to_owned(), value.to_owned())], "{text}");
    }
    let many = variables("ENV A=1 B='2 3'\tC=\"4\"", &[]);
    assert_eq!(many, [("A".into(), "1".into()), ("B".into(), "2 3".into()), ("C".into(), "4".into())]);
}

#[test]
fn paths_may_be_quoted_and_have_variables() {
    assert_eq!(one("WORKDIR '/a b'"), Instruction::Workdir { path: "/a b".into() });
    let Instruction::Workdir { path } = one("WORKDIR $HOME/x") else { panic!() };
    assert_eq!(expand(&path, &BTreeMap::from([("HOME".into(), "/root".into())])), "/root/x");
    let copy = Instruction::Copy { sources: vec!["a b".into(), ".".into()], target: "/dst/".into() };
    assert_eq!(one("COPY \"a b\" . /dst/"), copy);
}

#[test]
fn bad_recipes_are_told_where_and_what_would_be_right() {
    let long_user = format!("USER {}", "a".repeat(33));
    let long_path = format!("WORKDIR /{}", "a".repeat(5000));
    for (text, expected) in [
        // Unknown instructions.
        (
            "FROM debian",
            "line 1: `FROM` is no instruction; name the template to begin with in the build's `base_template`",
        ),
        ("RUN true\nCMD x", "line 2: `CMD` is no instruction; use START"),
        ("ENTRYPOINT x", "use START"),
        ("ADD a b", "use COPY"),
        ("ARG A", "use ENV"),
        ("EXPOSE 80", "preview"),
        ("HEALTHCHECK CMD true", "`healthcheck`"),
        ("LABEL a=b", "leave it out"),
        ("RUNN true", "`RUNN` is no instruction; use RUN"),
        ("apt-get update", "`apt-get` is no instruction"),
        ("[]", "`[]` is no instruction"),
        ("\u{feff}RUN true", "is no instruction"),
        // Missing arguments.
        ("RUN", "line 1: RUN: nothing follows; write `RUN [--timeout=5m] command`"),
        ("RUN   ", "RUN: nothing follows"),
        ("RUN --timeout=5m", "RUN: nothing follows"),
        ("START", "START: nothing follows; write `START command`"),
        ("ENV", "ENV: nothing follows; write `ENV NAME=value`"),
        ("WORKDIR", "WORKDIR: nothing follows"),
        ("USER", "USER: nothing follows"),
        ("COPY", "COPY: nothing follows"),
        ("COPY a", "COPY: needs a source and a target"),
        ("RUN \\", "line 1: the line ends with `\\`, but no line follows"),
        ("RUN a \\\n# end", "the line ends with `\\`"),
        ("RUN \\\n\\\n", "the line ends with `\\`"),
        // Options.
        ("RUN --timeout 5m true", "write `--timeout=5m`, with `=`"),
        ("RUN --mount=x true", "there is no option `--mount=x`"),
        ("RUN --timeout= true", "`` is no time"),
        ("RUN --timeout=5 true", "`5` is no time; write it like `30s`"),
        ("RUN --timeout=5d true", "`5d` is no time"),
        ("RUN --timeout=-5s true", "`-5s` is no time"),
        ("RUN --timeout=0s true", "must be from 1s to 6h"),
        ("RUN --timeout=7h true", "must be from 1s to 6h"),
        ("RUN --timeout=99999999999999999999h true", "is no time"),
        ("START --user=x y", "START: there is no option `--user=x`"),
        ("COPY --chown=a b c", "COPY: there is no option `--chown=a`"),
        // Variables.
        ("ENV A", "`A` has no `=`; write `NAME=value`"),
        ("ENV A 1", "`A` has no `=`"),
        ("ENV =1", "`` is no name of a variable"),
        ("ENV 1A=1", "`1A` is no name"),
        ("ENV A-B=1", "`A-B` is no name"),
        ("ENV Ä=1", "`Ä` is no name"),
        ("ENV \"A\"=1", "is no name"),
        ("ENV A=1 B", "`B` has no `=`"),
        ("ENV A=$", "`$` is no variable"),
        ("ENV A=$1", "`$1` is no variable"),
        ("ENV A=${B", "`${B` is no variable"),
        ("ENV A=${}", "`${}` is no variable"),
        ("ENV A=${B:-c}", "`${B:-c}` is no variable; write `$NAME` or `${NAME}`, and `$$`"),
        ("ENV A=$(date)", "is no variable"),
        ("ENV A=\"x", "the quote \" is not closed"),
        ("ENV A='x", "the quote ' is not closed"),
        ("ENV A='it's'", "the quote ' is not closed"),
        // Users.
        ("USER Root", "`Root` is no user name"),
        ("USER 1000", "`1000` is no user name"),
        ("USER a:b", "`a:b` is no user name"),
        ("USER -a", "is no user name"),
        ("USER a b", "USER: takes one name"),
        ("USER $NAME", "is no user name"),
        ("USER a;reboot", "is no user name"),
        (&long_user, "is no user name"),
        // Paths.
        ("WORKDIR a b", "WORKDIR: takes one path; put one with spaces into quotes"),
        ("WORKDIR ''", "is no path"),
        ("WORKDIR 'x", "is not closed"),
        (&long_path, "is no path"),
        ("COPY ../a b", "the source `../a` leaves the archive"),
        ("COPY a/../../b c", "leaves the archive"),
        ("COPY /etc/passwd b", "leaves the archive"),
        ("COPY '' b", "is no path"),
        ("COPY a ''", "is no path"),
        // Characters.
        ("RUN a\0b", "the character '\\0' cannot be in a recipe"),
        ("RUN a\u{1b}[31m", "cannot be in a recipe"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.starts_with("line ") && error.contains(expected), "{text:?}: {error}");
    }
}

#[test]
fn what_is_too_much_is_refused() {
    let many = "RUN true\n".repeat(MAX_INSTRUCTIONS + 1);
    assert!(parse(&many).unwrap_err().starts_with("line 201: there are more than 200 instructions"));
    assert!(parse(&many[..9 * MAX_INSTRUCTIONS]).is_ok());
    let long = format!("RUN {}", "x".repeat(MAX_BYTES));
    assert!(parse(&long).unwrap_err().contains("longer than"));
    let error = Recipe::parse(["RUN true", "RUN a \\", "RUN b"]).unwrap_err();
    assert_eq!((error.line, error.fault), (2, Fault::NothingFollows));
}

proptest! {
    /// Whatever it is given, it answers; and an error names a line of the text.
    #[test]
    fn any_text_has_an_answer(text in "(?s).{0,200}") {
        if let Err(error) = Recipe::parse([text.as_str()]) {
            prop_assert!(error.line >= 1 && error.line <= text.lines().count().max(1), "{}", error);
        }
    }

    /// A value that is quoted comes back as it was.
    #[test]
    fn quoted_values_come_back(value in "[^'\\p{Cc}]{0,40}") {
        prop_assume!(!value.trim_end().ends_with('\\'));
        let text = format!("ENV A='{value}'");
        prop_assert_eq!(variables(&text, &[]), [("A".to_owned(), value)]);
    }
}

#[test]
fn every_fault_is_told_with_its_line_and_what_is_right_stays_right() {
    let text = "RUN true\nRNU false\nENV A\n\nWORKDIR /srv\nCOPY one";
    let faults = Recipe::faults([text], 50);
    assert_eq!(faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [2, 3, 6]);
    assert_eq!(Recipe::parse([text]).unwrap_err(), faults[0]);
    assert_eq!(Recipe::faults([text], 2), faults[..2]);
    assert_eq!(Recipe::faults(["RUN true", "WORKDIR /srv"], 50), []);
    assert_eq!(Recipe::faults(["RUN true \\"], 50), [Recipe::parse(["RUN true \\"]).unwrap_err()]);
    // Of one instruction too many, and of no further ones.
    let many = "RUN true\n".repeat(MAX_INSTRUCTIONS + 100);
    assert_eq!(Recipe::faults([many.as_str()], 50), [Recipe::parse([many.as_str()]).unwrap_err()]);
}
