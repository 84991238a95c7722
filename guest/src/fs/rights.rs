//! Acting for a user: what may be done, and who owns what is made, is the kernel's decision.

use std::io;

use nix::unistd::geteuid;

use super::error::FsError;
use crate::{
    accounts::Account,
    sys::{FsRights, Identity},
};

/// Does `work` on this thread with the filesystem rights of `account`.
///
/// A daemon that is not root, as in tests, can only act for itself.
pub(super) fn with_rights_of<T>(
    account: &Account,
    work: impl FnOnce() -> Result<T, FsError>,
) -> Result<T, FsError> {
    let own = geteuid().as_raw();
    if own == account.uid {
        return work();
    }
    let identity = Identity { uid: account.uid, gid: account.gid, groups: account.groups.clone() };
    let taken =
        if own == 0 { FsRights::take(&identity) } else { Err(io::Error::from_raw_os_error(libc::EPERM)) };
    let _rights = taken.map_err(|source| FsError::Rights { user: account.name.clone(), source })?;
    work()
}
