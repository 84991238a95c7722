//! What a step prints, as lines: bounded, and cut where there is too much. No input or output.
//!
//! The beginning is kept, then, once the step has ended, the end: that is where what went wrong is told.

use std::collections::VecDeque;

use wrenn_domain::build::LogStream;

/// Longest line, in bytes; longer ones are broken.
const MAX_LINE_BYTES: usize = 8 * 1024;
/// What is kept of one step, in bytes and lines.
pub(super) const MAX_STEP_BYTES: usize = 1024 * 1024;
const MAX_STEP_LINES: usize = 20_000;
/// Lines that are kept of the end.
const LAST_LINES: usize = 100;

/// A line and where it was printed.
pub(super) type Line = (LogStream, String);

/// What one step prints.
#[derive(Debug)]
pub(super) struct StepLines {
    left_bytes: usize,
    left_lines: usize,
    /// Begun lines, of standard output and standard error.
    begun: [Vec<u8>; 2],
    /// Whether the line before ended with a return, of which a line feed is the second half.
    after_return: [bool; 2],
    /// The last lines, with whether they are kept already.
    last: VecDeque<(Line, bool)>,
    cut_lines: u64,
}

impl StepLines {
    /// For a step of a build of which so much may still be kept.
    pub(super) fn new(left_bytes: usize) -> Self {
        Self {
            left_bytes: left_bytes.min(MAX_STEP_BYTES),
            left_lines: MAX_STEP_LINES,
            begun: Default::default(),
            after_return: [false; 2],
            last: VecDeque::new(),
            cut_lines: 0,
        }
    }

    /// Takes what was printed; returns the lines that are complete and kept.
    pub(super) fn push(&mut self, stream: LogStream, bytes: &[u8]) -> Vec<Line> {
        let mut kept = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let begun = &mut self.begun[index(stream)];
            let room = MAX_LINE_BYTES - begun.len();
            let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            match end {
                Some(end) if end <= room => {
                    begun.extend_from_slice(&rest[..end]);
                    let is_empty = begun.is_empty();
                    let is_return = rest[end] == b'\r';
                    let is_second_half = !is_return && self.after_return[index(stream)];
                    rest = &rest[end + 1..];
                    self.after_return[index(stream)] = is_return;
                    // A return alone is what a progress bar writes over and over again.
                    if !(is_empty && (is_return || is_second_half)) {
                        self.complete(stream, &mut kept);
                    }
                }
                _ => {
                    let taken = rest.len().min(room);
                    begun.extend_from_slice(&rest[..taken]);
                    rest = &rest[taken..];
                    if begun.len() == MAX_LINE_BYTES {
                        self.complete(stream, &mut kept);
                    }
                }
            }
        }
        kept
    }

    /// Completes begun lines, which are not waited for any more.
    pub(super) fn complete_begun(&mut self) -> Vec<Line> {
        let mut kept = Vec::new();
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            if !self.begun[index(stream)].is_empty() {
                self.complete(stream, &mut kept);
            }
        }
        kept
    }

    /// Whether a line is begun and not complete.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.iter().any(|begun| !begun.is_empty())
    }

    /// Adds a line of ours.
    pub(super) fn note(&mut self, text: &str) -> Vec<Line> {
        let mut kept = self.complete_begun();
        let mut line = text.to_owned().into_bytes();
        line.push(b'\n');
        kept.extend(self.push(LogStream::Stderr, &line));
        kept
    }

    /// The step has ended; returns what is still to be kept.
    pub(super) fn finish(&mut self) -> Vec<Line> {
        let mut kept = self.complete_begun();
        if self.cut_lines > 0 {
            let missing = self.last.iter().filter(|(_, is_kept)| !is_kept).count() as u64;
            let omitted = self.cut_lines - missing;
            kept.push((
                LogStream::Stderr,
                format!(
                    "[{omitted} lines are left out here: the log keeps {} KiB of a step, and its end]",
                    MAX_STEP_BYTES / 1024
                ),
            ));
            kept.extend(self.last.iter().filter(|(_, is_kept)| !is_kept).map(|(line, _)| line.clone()));
        }
        kept
    }

    /// The last lines that were printed, at most so many.
    pub(super) fn last_lines(&self, at_most: usize) -> Vec<&str> {
        let skipped = self.last.len().saturating_sub(at_most);
        self.last.iter().skip(skipped).map(|((_, line), _)| line.as_str()).collect()
    }

    fn complete(&mut self, stream: LogStream, kept: &mut Vec<Line>) {
        let bytes = std::mem::take(&mut self.begun[index(stream)]);
        // The database takes no zero bytes.
        let line = String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}");
        let is_kept = self.cut_lines == 0 && self.left_lines > 0 && line.len() < self.left_bytes;
        if is_kept {
            self.left_lines -= 1;
            self.left_bytes -= line.len() + 1;
            kept.push((stream, line.clone()));
        } else {
            self.cut_lines += 1;
        }
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(((stream, line), is_kept));
    }
}

fn index(stream: LogStream) -> usize {
    match stream {
        LogStream::Stdout => 0,
        LogStream::Stderr => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(lines: Vec<Line>) -> Vec<String> {
        lines.into_iter().map(|(_, line)| line).collect()
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        let mut lines = StepLines::new(MAX_STEP_BYTES);
        assert_eq!(texts(lines.push(LogStream::Stdout, b"one\ntw")), ["one"]);
        assert_eq!(texts(lines.push(LogStream::Stderr, b"err\n")), ["err"]);
        assert_eq!(texts(lines.push(LogStream::Stdout, b"o\n\nthree")), ["two", ""]);
        assert!(lines.has_begun());
        assert_eq!(texts(lines.complete_begun()), ["three"]);
        assert_eq!(
            texts(lines.push(LogStream::Stdout, b"10%\r20%\rdone\r\nnext\n")),
            ["10%", "20%", "done", "next"]
        );
        assert_eq!(texts(lines.push(LogStream::Stdout, b"a\0\xff\n")), ["a\u{fffd}\u{fffd}"]);
        assert_eq!(lines.last_lines(2), ["next", "a\u{fffd}\u{fffd}"]);
        assert!(lines.finish().is_empty());
    }

    #[test]
    fn too_much_is_cut_and_the_end_is_kept() {
        let mut lines = StepLines::new(MAX_STEP_BYTES);
        let mut kept = 0;
        for number in 0..50_000 {
            kept += lines.push(LogStream::Stdout, format!("line {number}\n").as_bytes()).len();
        }
        assert_eq!(kept, MAX_STEP_LINES);
        let end = texts(lines.finish());
        assert_eq!(end.len(), LAST_LINES + 1);
        assert!(end[0].contains(&format!("{} lines", 50_000 - MAX_STEP_LINES - LAST_LINES)), "{}", end[0]);
        assert_eq!(end.last().unwrap(), "line 49999");
    }

    #[test]
    fn a_line_without_an_end_is_broken() {
        let mut lines = StepLines::new(MAX_STEP_BYTES);
        let broken = lines.push(LogStream::Stdout, &vec![b'x'; 3 * MAX_LINE_BYTES + 5]);
        assert_eq!(broken.len(), 3);
        assert_eq!(texts(lines.finish()), ["xxxxx"]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_however_it_is_split(text in "[a-z\n]{0,300}", at in 0..300_usize) {
            let at = at.min(text.len());
            let mut whole = StepLines::new(MAX_STEP_BYTES);
            let mut expected = texts(whole.push(LogStream::Stdout, text.as_bytes()));
            expected.extend(texts(whole.finish()));
            let mut split = StepLines::new(MAX_STEP_BYTES);
            let mut lines = texts(split.push(LogStream::Stdout, &text.as_bytes()[..at]));
            lines.extend(texts(split.push(LogStream::Stdout, &text.as_bytes()[at..])));
            lines.extend(texts(split.finish()));
            prop_assert_eq!(&lines, &expected);
            let joined: String = text.lines().collect::<Vec<_>>().join("\n");
            prop_assert_eq!(lines.join("\n"), joined);
        }

        #[test]
        fn what_is_kept_is_bounded(bytes in prop::collection::vec(any::<u8>(), 0..2000), limit in 0..500_usize) {
            let mut lines = StepLines::new(limit);
            let kept: usize = lines.push(LogStream::Stderr, &bytes).iter().map(|(_, line)| line.len()).sum();
            prop_assert!(kept <= limit);
        }
    }
}
