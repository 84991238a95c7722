//! Clients: what they ask for, in any order, and again.

use wrenn_domain::sandbox::state::{Memory, Request};
use wrenn_proto::ids::TemplateId;

use crate::{
    control::Fate,
    rules::Rules,
    world::{SandboxIx, World},
};

/// What can be asked for. A template that is asked for is a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Wish {
    Pause,
    Resume,
    ResumeWithoutMemory,
    Snapshot,
    Flatten,
    Destroy,
}

impl Wish {
    /// All there are.
    pub(crate) const ALL: [Self; 6] =
        [Self::Pause, Self::Resume, Self::ResumeWithoutMemory, Self::Snapshot, Self::Flatten, Self::Destroy];

    fn request(self, template: TemplateId) -> Request {
        match self {
            Self::Pause => Request::Pause,
            Self::Resume => Request::Resume(Memory::Keep),
            Self::ResumeWithoutMemory => Request::Resume(Memory::Drop),
            Self::Snapshot => Request::Snapshot(template),
            Self::Flatten => Request::Flatten(template),
            Self::Destroy => Request::Destroy,
        }
    }
}

impl World {
    /// A client asks for something; returns false if nothing follows from it.
    pub(crate) fn ask(&mut self, ix: SandboxIx, wish: Wish, fate: Fate, rules: &Rules) -> bool {
        let next = self.sandboxes[ix].row.lifecycle.generation.next();
        let template = TemplateId(uuid::Uuid::from_u128(next.0.into()));
        self.operate(ix, wish.request(template), fate, rules)
    }
}
