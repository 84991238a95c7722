//! Search for users whom a team may add.

use wrenn_domain::{ids::UserId, user::FoundUser};

use crate::{Store, StoreError};

/// Makes a text match itself only in a pattern of `LIKE`.
fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '%' | '_') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

impl Store {
    /// Returns the active users with a proved address that begins with `prefix` in whatever case, by address.
    pub async fn users_by_email_prefix(
        &self,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<FoundUser>, StoreError> {
        // In the order of the index for prefixes: for another one, Postgres would go through all users.
        let rows = sqlx::query!(
            "SELECT id, name, email FROM users
             WHERE lower(email) LIKE lower($1) || '%' AND is_active AND email_verified_at IS NOT NULL
             ORDER BY lower(email) USING ~<~ LIMIT $2",
            literal(prefix),
            i64::from(limit),
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        Ok(rows.map(|row| FoundUser { user_id: UserId(row.id), name: row.name, email: row.email }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_themselves() {
        assert_eq!(literal(r"a%b_c\d"), r"a\%b\_c\\d");
    }
}
