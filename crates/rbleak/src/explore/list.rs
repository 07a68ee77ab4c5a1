//! A list of which a part is on the screen.

/// What is selected and what is visible. Knows no rows, only their number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct List {
    /// The selected row.
    pub(crate) at: usize,
    /// The first visible row.
    pub(crate) top: usize,
}

/// A way to move in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
}

impl List {
    /// Moves within `rows` rows, of which `page` are visible.
    pub(crate) fn go(&mut self, to: Move, rows: usize, page: usize) {
        let page = page.max(1);
        self.at = match to {
            Move::Up => self.at.saturating_sub(1),
            Move::Down => self.at + 1,
            Move::PageUp => self.at.saturating_sub(page),
            Move::PageDown => self.at + page,
            Move::Home => 0,
            Move::End => usize::MAX,
        };
        self.fit(rows, page);
    }

    /// Keeps the selected row within the rows, and visible.
    pub(crate) fn fit(&mut self, rows: usize, page: usize) {
        let page = page.max(1);
        self.at = self.at.min(rows.saturating_sub(1));
        let most = rows.saturating_sub(page);
        let least = (self.at + 1).saturating_sub(page);
        self.top = self.top.min(most).clamp(least, self.at.max(least));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selected_row_is_always_visible() {
        let mut list = List::default();
        let moves = [
            (Move::Up, 0, 0),
            (Move::Down, 1, 0),
            (Move::PageDown, 6, 2),
            (Move::PageDown, 9, 5),
            (Move::Down, 9, 5),
            (Move::PageUp, 4, 4),
            (Move::End, 9, 5),
            (Move::Home, 0, 0),
        ];
        for (to, at, top) in moves {
            list.go(to, 10, 5);
            assert_eq!((list.at, list.top), (at, top), "{to:?}");
        }
        list.go(Move::End, 10, 5);
        list.fit(3, 5);
        assert_eq!((list.at, list.top), (2, 0));
        list.fit(0, 0);
        assert_eq!((list.at, list.top), (0, 0));
    }
}
