//! Pages of lists: the part of a list that is requested, and the part that was read.
//!
//! Lists are ordered by time and id, so a page begins behind a [`Position`] and not at a count of rows: rows that appear
//! or vanish meanwhile neither repeat others nor hide them.

use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Rows of a page that a client may request.
pub const PAGE_ROWS: RangeInclusive<i64> = 1..=1000;
/// Rows of a list that is requested as a whole.
pub const MAX_ROWS: u32 = 10_000;

/// Place of a row in a list that is ordered by time, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// When the row was made.
    pub at: DateTime<Utc>,
    /// The row's id.
    pub id: Uuid,
}

/// Part of a list that is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Most rows that are returned.
    pub limit: u32,
    /// The last row of the page before; `None` for the beginning of the list.
    pub after: Option<Position>,
}

impl PageRequest {
    /// The whole list, up to [`MAX_ROWS`].
    pub const WHOLE: Self = Self { limit: MAX_ROWS, after: None };

    /// Returns the number of rows to read: one more than are returned shows that the list goes on.
    pub fn rows_to_read(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Returns the time and the id behind which the page begins.
    pub fn bounds(&self) -> (Option<DateTime<Utc>>, Option<Uuid>) {
        self.after.map(|after| (after.at, after.id)).unzip()
    }
}

/// Part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Position of the last row, if the list goes on behind it.
    pub next: Option<Position>,
}

impl<T> Page<T> {
    /// Makes a page of the rows that were read for a request, of which one more than requested shows that there are others.
    pub fn of(mut rows: Vec<T>, request: PageRequest, position: impl Fn(&T) -> Position) -> Self {
        let limit = request.limit as usize;
        let goes_on = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| goes_on).map(position);
        Self { items: rows, next }
    }

    /// Converts each row.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(convert).collect(), next: self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(row: &u32) -> Position {
        Position { at: DateTime::UNIX_EPOCH, id: Uuid::from_u128(u128::from(*row)) }
    }

    #[test]
    fn a_page_names_its_last_row_only_if_the_list_goes_on() {
        let request = PageRequest { limit: 2, after: None };
        assert_eq!(request.rows_to_read(), 3);
        let more = Page::of(vec![1, 2, 3], request, position);
        assert_eq!((more.items, more.next), (vec![1, 2], Some(position(&2))));
        for rows in [vec![], vec![1], vec![1, 2]] {
            let last = Page::of(rows.clone(), request, position);
            assert_eq!((last.items, last.next), (rows, None));
        }
    }
}
