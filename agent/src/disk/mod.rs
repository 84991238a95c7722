//! Disk images: sparse raw files on one volume that can clone them in constant time.
//!
//! ```text
//!   data folder on XFS or btrfs            data folder on anything else
//!   <data>/volume/     a folder            <data>/volume.xfs ─ loop device ─▶ <data>/volume/  a mount
//! ```
//!
//! [`Volume`] is that place; [`atomic_write`] is for the small files beside the images. The loop device is told
//! to go away with its mount, so whoever unmounts the volume leaves nothing behind; a device that a crash left
//! without a mount is found by its file and used again.

mod atomic;
mod image;
mod volume;

pub(crate) use self::{
    atomic::sync_parent,
    volume::{is_loopback, loops_over, unescape_mount},
};
pub use self::{
    atomic::{AtomicWriteError, Durability, atomic_write},
    image::{Flattened, ImageError},
    volume::{CloseVolumeError, OpenVolumeError, Volume, VolumeSize},
};
