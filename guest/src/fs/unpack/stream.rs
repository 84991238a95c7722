//! The bytes of an archive, as they arrive.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use wrenn_proto::guest::file_input::Input;

use super::super::{caller::Inputs, error::FsError};

/// An archive ends with as many zeros.
const END_BYTES: usize = 1024;

/// Reads what the caller sends, up to the end of it.
pub(super) struct Stream {
    inputs: Inputs,
    chunk: Bytes,
    /// Zeros that have been the last to arrive, as far as they count.
    zeros: usize,
    state: State,
}

enum State {
    More,
    Ended,
    Broken(FsError),
}

impl Stream {
    pub(super) fn new(inputs: Inputs) -> Self {
        Self { inputs, chunk: Bytes::new(), zeros: 0, state: State::More }
    }

    /// Waits for data; false if there is no more.
    fn fill(&mut self) -> bool {
        while self.chunk.is_empty() && matches!(self.state, State::More) {
            match self.inputs.next() {
                Some(Input::Data(data)) => {
                    self.zeros = match data.iter().rposition(|byte| *byte != 0) {
                        Some(last) => data.len() - 1 - last,
                        None => END_BYTES.min(self.zeros + data.len()),
                    };
                    self.chunk = data;
                }
                Some(Input::End(_)) => self.state = State::Ended,
                Some(Input::Start(_)) => self.state = State::Broken(FsError::OutOfOrder),
                None => self.state = State::Broken(FsError::ArchiveCutOff),
            }
        }
        !self.chunk.is_empty()
    }

    /// Says how the stream has ended. What follows an archive that `is_read` to its end is taken and left out; one that
    /// has no end was cut off by whoever packed it.
    pub(super) fn finish(mut self, is_read: bool) -> Result<(), FsError> {
        while is_read && self.fill() {
            self.chunk = Bytes::new();
        }
        match self.state {
            State::Broken(error) => Err(error),
            State::Ended if self.zeros < END_BYTES => Err(FsError::ArchiveCutOff),
            State::Ended | State::More => Ok(()),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill();
        if let State::Broken(error) = &self.state {
            return Err(io::Error::other(error.to_string()));
        }
        let length = self.chunk.len().min(buffer.len());
        self.chunk.copy_to_slice(buffer.get_mut(..length).unwrap_or_default());
        Ok(length)
    }
}
