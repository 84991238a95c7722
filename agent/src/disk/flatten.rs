//! Making an image as small as what is in it.
//!
//! ```text
//!   5 GB, written and deleted ─ e2fsck ─ resize2fs -M ─ truncate ─ e2fsck, discarding ─ empty the journal ─▶ 400 MB,
//!                                                                                               230 of them stored
//! ```
//!
//! What is in the image was written by a guest: the programs that read it are bounded in time, what they print is
//! thrown away, and they are killed when nobody waits for them any more.

use std::{
    fs::{File, OpenOptions},
    io,
    ops::Range,
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
    process::Stdio,
    time::Duration,
};

use rustix::fs::{FallocateFlags, fallocate};
use tokio::{process::Command, time::timeout};
use wrenn_base::blocking;

use super::{
    image::{Ext4, ImageError, failed},
    volume::Volume,
};

/// How long one of the programs may take; for the largest of images, on a slow disk.
const TOOL_TIMEOUT: Duration = Duration::from_secs(300);
/// Statuses of `e2fsck` that leave a sound file system: nothing was wrong, or it is corrected.
const SOUND: &[i32] = &[0, 1];
/// Most that is read of a program's answer, in bytes; a journal has some extents, of a line each.
const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// What an image has become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flattened {
    /// Its length, which is its file system's size, in bytes.
    pub size_bytes: u64,
    /// What it occupies of the volume, in bytes.
    pub occupied_bytes: u64,
}

impl Volume {
    /// Makes an ext4 image that nobody uses as small as it can be, in place. It is not synced then.
    ///
    /// # Errors
    /// [`ImageError`], also for a file system that cannot be repaired. The image is of no use then: this is done with
    /// a copy.
    pub async fn flatten_ext4(&self, image: &Path) -> Result<Flattened, ImageError> {
        let failed = || failed("flatten", image);
        let all = [image.as_os_str()];
        let checking = ["-f".as_ref(), "-y".as_ref()];
        // Replays the journal, and corrects what a guest that was cut off has left.
        run("e2fsck", checking.into_iter().chain(all), SOUND).await.map_err(failed())?;
        run("resize2fs", ["-M".as_ref()].into_iter().chain(all), &[0]).await.map_err(failed())?;
        let path = image.to_owned();
        let cut = move || {
            let file = OpenOptions::new().read(true).write(true).open(&path)?;
            file.set_len(Ext4::read(&file)?.size_bytes)
        };
        blocking(cut).await.map_err(failed())?;
        // Looks at the outcome, and gives back what holds nothing any more.
        let discarding = checking.into_iter().chain(["-E".as_ref(), "discard".as_ref()]);
        run("e2fsck", discarding.chain(all), SOUND).await.map_err(failed())?;

        let request = ["-R".as_ref(), "dump_extents -l <8>".as_ref()];
        let extents = run("debugfs", request.into_iter().chain(all), &[0]).await.map_err(failed())?;
        let path = image.to_owned();
        let finish = move || {
            let file = OpenOptions::new().read(true).write(true).open(&path)?;
            empty_journal(&file, &parse_extents(&extents))?;
            let metadata = file.metadata()?;
            Ok(Flattened { size_bytes: metadata.len(), occupied_bytes: metadata.blocks() * 512 })
        };
        blocking(finish).await.map_err(failed())
    }
}

/// Runs a program to its end, which must be one of `accepted`, and returns the beginning of what it printed.
async fn run<'a>(
    program: &str,
    args: impl IntoIterator<Item = &'a std::ffi::OsStr>,
    accepted: &[i32],
) -> io::Result<String> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{program}: {error}"));
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().map_err(named)?;
    let stdout = child.stdout.take();
    let finish = async {
        let printed = match stdout {
            Some(stdout) => read_beginning(stdout).await?,
            None => Vec::new(),
        };
        Ok((child.wait().await?, printed))
    };
    let (status, printed) = timeout(TOOL_TIMEOUT, finish)
        .await
        .map_err(|_| named(io::ErrorKind::TimedOut.into()))?
        .map_err(named)?;
    let printed = String::from_utf8_lossy(&printed).into_owned();
    if status.code().is_some_and(|code| accepted.contains(&code)) {
        return Ok(printed);
    }
    let last = printed.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(io::Error::other(format!("{program} failed ({status}): {last}")))
}

/// Reads to the end, and keeps the beginning.
async fn read_beginning(mut from: impl tokio::io::AsyncRead + Unpin) -> io::Result<Vec<u8>> {
    use tokio::io::AsyncReadExt as _;
    let mut kept = Vec::new();
    (&mut from).take(ANSWER_MAX_BYTES as u64).read_to_end(&mut kept).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(kept)
}

/// A run of blocks of a file: where it stands in the file, and in the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Extent {
    logical: u64,
    physical: Range<u64>,
}

/// Reads what `debugfs` prints of a file's extents; what is no extent is left out.
///
/// ```text
/// Level Entries       Logical      Physical Length Flags
///  0/ 0   1/  2     0 - 16382 66388 - 82770  16383
/// ```
fn parse_extents(text: &str) -> Vec<Extent> {
    let parse = |line: &str| {
        let numbers =
            line.split(|it: char| it.is_whitespace() || "/-".contains(it)).filter(|it| !it.is_empty());
        let numbers: Vec<u64> = numbers.map_while(|number| number.parse().ok()).collect();
        let [_, _, _, _, logical, _, first, last, length] = numbers[..] else { return None };
        let physical = first..last.checked_add(1)?;
        (physical.end.checked_sub(first) == Some(length)).then_some(Extent { logical, physical })
    };
    text.lines().filter_map(parse).collect()
}

/// Gives back the blocks of a journal that holds nothing, but for its first one, which says so. Shrinking moves the
/// whole journal, and a file has no holes where something was written.
fn empty_journal(image: &File, extents: &[Extent]) -> io::Result<()> {
    const MAGIC: [u8; 4] = 0xc03b_3998_u32.to_be_bytes();
    const SUPERBLOCKS: std::ops::RangeInclusive<u32> = 3..=4;
    let block_bytes = Ext4::read(image)?.block_bytes;
    let Some(first) = extents.iter().find(|extent| extent.logical == 0) else { return Ok(()) };
    let mut head = [0; 32];
    image.read_exact_at(&mut head, first.physical.start.saturating_mul(block_bytes))?;
    let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    // The last word is the block at which the log starts; 0 if there is nothing to replay.
    if head[..4] != MAGIC || !SUPERBLOCKS.contains(&word(4)) || word(28) != 0 {
        return Ok(());
    }
    for Extent { logical, physical } in extents {
        let first = physical.start + u64::from(*logical == 0);
        let length = physical.end.saturating_sub(first).saturating_mul(block_bytes);
        if length > 0 {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(image, flags, first.saturating_mul(block_bytes), length)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_are_read_and_everything_else_is_not() {
        let text = "Level Entries       Logical      Physical Length Flags\n \
                    0/ 0   1/  2     0 - 16382 66388 - 82770  16383 \n \
                    0/ 0   2/  2 16383 - 16383 82771 - 82771      1 Uninit\n \
                    0/ 1   1/  1     0 - 7 9 - 3 1\n\
                    debugfs: nonsense 1 - 2\n";
        let expected = [
            Extent { logical: 0, physical: 66388..82771 },
            Extent { logical: 16383, physical: 82771..82772 },
        ];
        assert_eq!(parse_extents(text), expected);
    }

    #[test]
    fn a_journal_with_something_in_it_is_left_alone() {
        let image = tempfile::tempfile().expect("temporary file");
        image.set_len(1 << 20).expect("length");
        let mut superblock = [0; 1024];
        superblock[0x38..0x3a].copy_from_slice(&0xef53_u16.to_le_bytes());
        superblock[4] = 255;
        image.write_all_at(&superblock, 1024).expect("write");
        let mut head = [0; 32];
        head[..4].copy_from_slice(&0xc03b_3998_u32.to_be_bytes());
        head[7] = 4;
        image.write_all_at(&[7; 8192], 64 * 1024).expect("write");
        let extents = [Extent { logical: 0, physical: 64..72 }];
        let content = |at| {
            let mut byte = [0];
            image.read_exact_at(&mut byte, at).expect("read");
            byte[0]
        };
        for (start, left) in [(1, 7), (0, 0)] {
            head[31] = start;
            image.write_all_at(&head, 64 * 1024).expect("write");
            empty_journal(&image, &extents).expect("empty");
            assert_eq!(content(65 * 1024), left);
            assert_eq!(content(72 * 1024 - 1), left);
            assert_eq!(content(64 * 1024), 0xc0, "its first block says that it is one");
        }
    }

    #[tokio::test]
    async fn a_program_that_prints_much_is_read_to_its_end() {
        let run = async |script: &str| super::run("sh", ["-c".as_ref(), script.as_ref()], &[0]).await;
        assert_eq!(run("yes | head -c 1000000").await.expect("success").len(), ANSWER_MAX_BYTES);
        let error = run("echo first; echo reason; exit 4").await.expect_err("failure").to_string();
        assert!(error.contains("exit status: 4") && error.ends_with("reason"), "{error}");
    }
}
