//! Scopes: the parts of the interface that an API key opens.

use crate::{team::Role, word::words};

words! {
    /// Part of the interface that an API key opens.
    Scope, "scope" {
        /// Everything that the team's lists and records show; nothing inside a capsule.
        Read = "read",
        /// Capsules, what happens inside them, and the templates that are made of them.
        Capsules = "capsules",
        /// Builds of the team's templates.
        Builds = "builds",
        /// The team: its members, keys and settings.
        Admin = "admin",
    }
}

/// Set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// Scopes of a key whose maker names none.
    pub const DEFAULT: Self = Self::of(&[Scope::Capsules, Scope::Builds]);

    /// Returns the set of the given scopes.
    pub const fn of(scopes: &[Scope]) -> Self {
        let mut bits = 0;
        let mut rest = scopes;
        while let [scope, others @ ..] = rest {
            bits |= 1 << *scope as u8;
            rest = others;
        }
        Self(bits)
    }

    /// Returns true if the set has no scope.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns true if the sets have a scope in common.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Returns true if every scope of `other` is in this set.
    pub const fn includes(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the scopes that stay with a key whose maker has this role: only owners and admins administer the team.
    #[must_use]
    pub const fn limited_to(self, role: Role) -> Self {
        if role.includes(Role::Admin) { self } else { Self(self.0 & !Self::of(&[Scope::Admin]).0) }
    }

    /// Returns the scopes in the order of their declaration.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.iter().copied().filter(move |scope| self.intersects(Self::of(&[*scope])))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes.into_iter().fold(Self::default(), |set, scope| Self(set.0 | Self::of(&[scope]).0))
    }
}

impl std::fmt::Debug for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl std::fmt::Display for Scopes {
    /// Writes `` `capsules` or `builds` ``.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, scope) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { " or " };
            write!(f, "{separator}`{scope}`")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_what_was_put_into_them() {
        let set: Scopes = [Scope::Builds, Scope::Read].into_iter().collect();
        assert_eq!(set, Scopes::of(&[Scope::Read, Scope::Builds]));
        assert_eq!(set.iter().collect::<Vec<_>>(), [Scope::Read, Scope::Builds]);
        assert_eq!(set.to_string(), "`read` or `builds`");
        assert!(set.includes(Scopes::default()) && set.includes(Scopes::of(&[Scope::Read])));
        assert!(!set.includes(Scopes::DEFAULT) && set.intersects(Scopes::DEFAULT));
        assert!(Scopes::default().is_empty() && !set.is_empty());
    }

    #[test]
    fn a_key_administers_no_more_than_its_maker() {
        let all: Scopes = Scope::ALL.iter().copied().collect();
        assert_eq!(all.limited_to(Role::Owner), all);
        assert_eq!(all.limited_to(Role::Admin), all);
        assert_eq!(all.limited_to(Role::Member), Scopes::of(&[Scope::Read, Scope::Capsules, Scope::Builds]));
    }
}
