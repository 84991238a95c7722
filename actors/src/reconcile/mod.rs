//! The reconciler: compares what hosts have with what the rows say, and tells whom it concerns.
//!
//! ```text
//!   each look, each attached host that is due:
//!     rows (baseline) ─▶ HostConnection: take an inventory ─▶ rows again ─▶ compare ─▶ actors, host
//!                              └── handles no frame ──────────────────────────┘
//!   an agent attaches: its hello brings an inventory, which is compared before any frame is handled
//! ```
//!
//! A comparison is the one way to find out what became of everything: when a host attaches, after a panic, and every minute or so for
//! what nobody noticed. A host is due when that minute is over, or when somebody lost a message ([`DueHosts::soon`]).
//!
//! While rows are read its connection handles no frame, so an inventory is always compared with rows that are not ahead of
//! it, and whatever the host says next is told after what follows from the comparison.
//!
//! | what fails | what follows |
//! |---|---|
//! | the database, before the inventory is asked for | the host stays due; the next look tries again |
//! | the database, afterwards | the connection ends the link: the agent dials again, and brings another inventory |
//! | the host does not answer | it is due again after an interval |
//! | the reconciler panics | the connection goes on; the next look begins anew |

mod due;
mod reconciler;

pub(crate) use self::{
    due::DueHosts,
    reconciler::{ForHost, Reconciler},
};
