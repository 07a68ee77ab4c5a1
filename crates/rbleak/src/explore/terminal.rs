//! The screen, the keys and the signals.
//!
//! Whatever ends the loop, the terminal is as it was: the guard puts it back
//! when it is dropped, ratatui's hook before a panic is told, and SIGTERM,
//! SIGHUP and SIGINT end the loop before they end the process.

use super::model::Model;
use super::state::{App, Key, Next};
use super::view::{Look, draw, page};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How long a signal may go unseen.
const TICK: Duration = Duration::from_millis(100);

/// Whether keys can be read and a screen be drawn.
pub(crate) fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Puts the terminal back.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Shows the heap until the user leaves. A signal that ended it is raised
/// again once the terminal is back.
pub(crate) fn run(app: &mut App, model: &Model<'_>, look: Look) -> io::Result<()> {
    let signal = Arc::new(AtomicUsize::new(0));
    for number in [SIGTERM, SIGHUP, SIGINT] {
        signal_hook::flag::register_usize(number, Arc::clone(&signal), number as usize)?;
    }
    let guard = Guard;
    let mut terminal = ratatui::try_init()?;
    let outcome = show(&mut terminal, app, model, look, &signal);
    drop(terminal);
    drop(guard);
    match signal.load(Ordering::SeqCst) {
        0 => outcome,
        number => signal_hook::low_level::emulate_default_handler(number as i32),
    }
}

fn show(
    terminal: &mut DefaultTerminal,
    app: &mut App,
    model: &Model<'_>,
    look: Look,
    signal: &AtomicUsize,
) -> io::Result<()> {
    let mut is_drawn = false;
    let mut size = terminal.size()?;
    while signal.load(Ordering::SeqCst) == 0 {
        if !is_drawn {
            terminal.draw(|frame| {
                app.resize(page(frame.area()), model);
                draw(frame, app, model, look);
            })?;
            is_drawn = true;
        }
        if !event::poll(TICK)? {
            // The signal for it is lost on who does not wait for events yet.
            let now = terminal.size()?;
            is_drawn = now == size;
            size = now;
            continue;
        }
        match event::read()? {
            Event::Key(pressed) => {
                if let Some(key) = key(pressed)
                    && app.press(key, model) == Next::Quit
                {
                    break;
                }
                is_drawn = false;
            }
            Event::Resize(..) => is_drawn = false,
            _ => {}
        }
    }
    Ok(())
}

/// Our name of a key.
fn key(pressed: KeyEvent) -> Option<Key> {
    if pressed.kind == KeyEventKind::Release {
        return None;
    }
    let is_control = pressed.modifiers.contains(KeyModifiers::CONTROL);
    Some(match pressed.code {
        KeyCode::Char('c') if is_control => Key::Interrupt,
        KeyCode::Char('u' | 'b') if is_control => Key::PageUp,
        KeyCode::Char('d' | 'f') if is_control => Key::PageDown,
        KeyCode::Char('n') if is_control => Key::Down,
        KeyCode::Char('p') if is_control => Key::Up,
        KeyCode::Char(_) if is_control => return None,
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Esc => Key::Escape,
        // Not in releases: a test looks whether the terminal survives.
        #[cfg(debug_assertions)]
        KeyCode::F(12) => panic!("asked for with F12"),
        _ => return None,
    })
}
