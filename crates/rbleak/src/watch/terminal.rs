//! The screen and the keys of a watch. Whatever ends it, the terminal is as it
//! was: the guard puts it back when it is dropped, ratatui's hook before a
//! panic is told; signals end the watch, which drops the guard.

use super::state::State;
use super::view::{View, draw};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use rbleak_capture::Interrupt;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// How long a signal may go unseen.
const TICK: Duration = Duration::from_millis(100);

/// Whether keys can be read and a screen be drawn.
pub(crate) fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// What the reader wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    GoOn,
    End,
}

/// The screen; dropping it puts the terminal back.
pub(crate) struct Screen {
    terminal: DefaultTerminal,
    pub(crate) view: View,
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

impl Screen {
    /// Takes the terminal over.
    pub(crate) fn open(title: String, is_colored: bool) -> io::Result<Screen> {
        let terminal = ratatui::try_init().inspect_err(|_| ratatui::restore())?;
        let view = View {
            title,
            is_colored,
            chosen: 0,
            by_age: false,
            trouble: None,
        };
        Ok(Screen { terminal, view })
    }

    /// Shows the state and heeds keys until `next`.
    pub(crate) fn show(
        &mut self,
        state: &State,
        next: Instant,
        interrupt: &Interrupt,
    ) -> io::Result<Wish> {
        self.draw(state)?;
        loop {
            let left = next.saturating_duration_since(Instant::now());
            if left.is_zero() || interrupt.is_requested() {
                return Ok(Wish::GoOn);
            }
            if !event::poll(left.min(TICK))? {
                continue;
            }
            if self.heed(event::read()?, state) == Wish::End {
                return Ok(Wish::End);
            }
            self.draw(state)?;
        }
    }

    fn draw(&mut self, state: &State) -> io::Result<()> {
        let view = &self.view;
        self.terminal.draw(|frame| draw(frame, state, view))?;
        Ok(())
    }

    fn heed(&mut self, event: Event, state: &State) -> Wish {
        let Event::Key(key) = event else {
            return Wish::GoOn;
        };
        if key.kind == KeyEventKind::Release {
            return Wish::GoOn;
        }
        let last = state.rows.len().saturating_sub(1);
        let view = &mut self.view;
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                return Wish::End;
            }
            KeyCode::Char('q') | KeyCode::Esc => return Wish::End,
            KeyCode::Char('a') => view.by_age = !view.by_age,
            KeyCode::Down | KeyCode::Char('j') => view.chosen = (view.chosen + 1).min(last),
            KeyCode::Up | KeyCode::Char('k') => view.chosen = view.chosen.saturating_sub(1),
            _ => {}
        }
        Wish::GoOn
    }
}
