//! Hostile inputs without end: whatever they are given, the readers of recipes and archives answer.
//!
//! ```text
//!   corpus ─ cut, flip, splice, insert ─▶ input ─▶ reader ─▶ an answer, whose promises hold
//!      ▲                                    │
//!      └──────── accepted ones are kept ◀───┘
//! ```
//!
//! `WRENN_FUZZ_SEC` says for how long each target runs; the default is short. An input that makes a reader panic is
//! printed, with the seed from which all inputs come: `WRENN_FUZZ_SEED` repeats them.

#![allow(clippy::disallowed_methods, reason = "the targets run for a real time, with a seed that is printed")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]

use std::{
    collections::HashSet,
    env,
    io::{Cursor, Write as _},
    panic::catch_unwind,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use wrenn_actors::archive;
use wrenn_domain::{
    archive::Kind,
    recipe::{Healthcheck, MAX_INSTRUCTIONS, Recipe},
};
use zip::{ZipWriter, write::SimpleFileOptions};

/// Inputs that are kept because they were accepted.
const KEPT: usize = 500;
/// Longest input.
const MAX_INPUT_BYTES: usize = 8192;

/// Runs a reader on inputs that descend from the corpus; it says whether it accepts them.
fn fuzz(corpus: Vec<Vec<u8>>, tokens: &[&[u8]], accepts: impl Fn(&[u8]) -> bool + std::panic::RefUnwindSafe) {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse().expect(name));
    let seed = number("WRENN_FUZZ_SEED").unwrap_or_else(|| rand::rng().random());
    let limit = Duration::from_secs(number("WRENN_FUZZ_SEC").unwrap_or(2));
    let mut random = StdRng::seed_from_u64(seed);
    let mut corpus = corpus;
    for input in &corpus {
        assert!(accepts(input), "the corpus is accepted: {:?}", String::from_utf8_lossy(input));
    }
    let begun = Instant::now();
    let mut inputs = 0_u64;
    while begun.elapsed() < limit {
        let input = mutated(&mut random, &corpus, tokens);
        match catch_unwind(|| accepts(&input)) {
            Ok(true) if corpus.len() < KEPT => corpus.push(input),
            Ok(_) => {}
            Err(_) => panic!("seed {seed}, input {}: {}", inputs, hex(&input)),
        }
        inputs += 1;
    }
    println!("seed {seed}: {inputs} inputs, {} accepted ones kept", corpus.len());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mutated(random: &mut StdRng, corpus: &[Vec<u8>], tokens: &[&[u8]]) -> Vec<u8> {
    let mut input = corpus[random.random_range(0..corpus.len())].clone();
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=input.len());
        match random.random_range(0..7) {
            0 => input.truncate(at),
            1 if at < input.len() => input[at] ^= 1 << random.random_range(0..8),
            2 if at < input.len() => input[at] = random.random(),
            3 => {
                let token = tokens[random.random_range(0..tokens.len())];
                input.splice(at..at, token.iter().copied());
            }
            4 => {
                let other = &corpus[random.random_range(0..corpus.len())];
                let from = random.random_range(0..=other.len());
                input.splice(at.., other[from..].iter().copied());
            }
            5 => {
                let end = random.random_range(at..=input.len());
                input.drain(at..end);
            }
            _ => {
                let end = random.random_range(at..=input.len().min(at + 64));
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
        }
    }
    input.truncate(MAX_INPUT_BYTES);
    input
}

#[test]
fn recipes() {
    let corpus = [
        "RUN --timeout=5m apt-get update \\\n  && true\n# c\nSTART sh -c 'x'",
        "ENV A=1 B=\"$A ${A}\" C='$$' D=$$\nWORKDIR /srv/$A\nUSER app",
        "COPY a \"b c\" ./\nCOPY . /srv/",
        "",
    ];
    let tokens: [&[u8]; 14] = [
        b"RUN ",
        b"ENV ",
        b"COPY ",
        b"USER ",
        b"\\\n",
        b"\n",
        b"--timeout=",
        b"${",
        b"}",
        b"$$",
        b"\"",
        b"'",
        b"=",
        b"../",
    ];
    fuzz(corpus.map(|text| text.as_bytes().to_vec()).into(), &tokens, |input| {
        let text = String::from_utf8_lossy(input);
        let _ = Healthcheck::parse(&text);
        match Recipe::parse([text.as_ref()]) {
            Ok(recipe) => {
                assert!(recipe.steps.len() <= MAX_INSTRUCTIONS);
                // What was read is read again the same, as a build's log shows it.
                for step in &recipe.steps {
                    let again = Recipe::parse([step.text.as_str()]).expect("an instruction on one line");
                    assert_eq!(again.steps[0].instruction, step.instruction);
                }
                true
            }
            Err(error) => {
                assert!(error.line >= 1 && error.line <= text.lines().count().max(1), "{error}");
                false
            }
        }
    });
}

fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, data) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, name, data.as_bytes()).unwrap();
    }
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    link.set_cksum();
    builder.append_link(&mut link, "d/link", "f").unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn archives() {
    let tar = tar_of(&[("d/f", "data"), ("g", "")]);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&tar).unwrap();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, data) in [("d/f", "data data data data"), ("g", "")] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(data.as_bytes()).unwrap();
    }
    zip.add_symlink("l", "d/f", SimpleFileOptions::default()).unwrap();
    let corpus = vec![tar, gzip.finish().unwrap(), zip.finish().unwrap().into_inner()];
    let tokens: [&[u8]; 8] = [
        b"../",
        b"/",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"PK\x03\x04",
        b"PK\x01\x02",
        b"PK\x05\x06",
        b"ustar",
    ];
    fuzz(corpus, &tokens, |input| {
        let Ok(contents) = archive::check(Cursor::new(input)) else { return false };
        assert!(contents.unpacked_bytes <= archive::MAX_UNPACKED_BYTES);
        let mut files = HashSet::new();
        let mut seen = HashSet::new();
        for entry in &contents.entries {
            assert!(seen.insert(&entry.path), "{entry:?} is there twice");
            assert!(entry.path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{entry:?}");
            match &entry.kind {
                Kind::File { .. } => drop(files.insert(&entry.path)),
                Kind::Hardlink { target } => {
                    assert!(files.contains(target), "{entry:?}");
                    files.insert(&entry.path);
                }
                Kind::Symlink { target } => assert!(!target.starts_with('/'), "{entry:?}"),
                Kind::Directory => {}
            }
        }
        true
    });
}
