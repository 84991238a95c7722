//! What becomes of a world to which nothing more is done: no faults, no requests.
//!
//! Everything that is on its way arrives, everybody does what there is to do, hosts attach, and the reconciler looks
//! until a look changes nothing. That is one order of many; but it begins in *every* world that is reached, and
//! so in the middle of everything. It is how "every operation settles" is checked: the checker's own `eventually`
//! looks at ends of paths only, and treats a loop as if it were none.

use crate::{
    actions::Action,
    model::System,
    world::{Budget, World},
};

/// Steps after which a world is taken for one that never comes to rest.
const MAX_STEPS: usize = 500;

/// Whether a world comes to rest, and in a state that `is_right`.
pub(crate) fn comes_to_rest(system: &System, world: &World, is_right: impl Fn(&World) -> bool) -> bool {
    let mut world = World { budget: Budget::default(), ..world.clone() };
    let mut path = Vec::new();
    let mut looked_at = None;
    let is_settling = loop {
        let mut actions = Vec::new();
        world.inner_actions(&mut actions);
        if actions.is_empty() && looked_at.as_ref() == Some(&world) {
            break is_right(&world);
        }
        if !system.note_settling(&world) {
            let is_again = path.contains(&world);
            if !is_again {
                // It was judged before.
                break true;
            }
            if looked_at.is_none() {
                // It comes again and again.
                break false;
            }
        }
        if path.len() > MAX_STEPS {
            break false;
        }
        path.push(world.clone());
        if actions.is_empty() {
            looked_at = Some(world.clone());
            actions.extend((0..world.hosts.len()).map(Action::Look));
        } else {
            actions.truncate(1);
        }
        for action in actions {
            world.happens(action, &system.resting);
        }
    };
    if !is_settling {
        system.forget_settling(&path);
    }
    is_settling
}
