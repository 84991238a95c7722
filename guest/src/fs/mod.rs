//! Files of the capsule: looked at, read, written, moved, removed and watched for a caller.
//!
//! ```text
//!   FileStart ──▶ user looked up ──▶ a thread with the user's rights ──▶ read, write, list, …
//!      data   ──────────────────────────▶ │ bounded                        │
//!   events  ◀──────────────────────────── bounded channel ◀───────────────┘
//! ```
//!
//! Each request works on a thread of its own, as its files may be on a filesystem that hangs, and only it is to wait.
//! The thread has the rights of the user, so what may be done is the kernel's decision, made at the moment in which it
//! is done, and what is made belongs to the user. Content goes through in pieces, and no faster than both ends take it. Only an
//! archive is unpacked with the daemon's own rights, and what is made then given to the user.
//!
//! What happens on failure: one [`FsError`], which names the path, as the last event. A caller that goes away ends its
//! request; of a file that was being written then, nothing is left.

mod caller;
mod entry;
mod error;
mod folders;
mod list;
mod place;
mod read;
mod remove;
mod rename;
mod rights;
mod serve;
mod staged;
mod unpack;
mod watch;
mod write;

pub use self::{error::FsError, serve::serve};
