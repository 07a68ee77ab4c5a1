//! What a key does. Pure: a state, a key and the heap give the next state.

use super::list::{List, Move};
use super::model::{Found, Model, Neighbour};
use super::tree::{Tree, What};
use rbleak_heap::ObjectId;

/// A key, whatever terminal it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Backspace,
    Tab,
    BackTab,
    Escape,
    Char(char),
    /// Ctrl-C.
    Interrupt,
}

/// What fills the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Tree,
    Classes,
    Objects,
}

impl View {
    pub(crate) const ALL: [(View, &str); 3] = [
        (View::Tree, "Dominators"),
        (View::Classes, "Classes"),
        (View::Objects, "Objects"),
    ];
}

/// What lies over a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Overlay {
    Help,
    /// The way to an object, and the first line shown.
    Path(Vec<String>, usize),
}

/// One object with its neighbours, opened over a view.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) id: ObjectId,
    pub(crate) neighbours: Vec<Neighbour>,
    pub(crate) list: List,
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Stay,
    Quit,
}

/// Everything that is on the screen.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) view: View,
    pub(crate) tree: Tree,
    pub(crate) in_tree: List,
    pub(crate) in_classes: List,
    pub(crate) found: Found,
    pub(crate) in_found: List,
    /// The last one is shown.
    pub(crate) pages: Vec<Page>,
    pub(crate) overlay: Option<Overlay>,
    /// What is being typed after `/`.
    pub(crate) prompt: Option<String>,
    pub(crate) message: Option<String>,
    /// Rows of a list that fit the screen.
    page: usize,
}

impl App {
    pub(crate) fn new(model: &Model<'_>) -> App {
        App {
            view: View::Tree,
            tree: Tree::new(model.top()),
            in_tree: List::default(),
            in_classes: List::default(),
            found: Found::default(),
            in_found: List::default(),
            pages: Vec::new(),
            overlay: None,
            prompt: None,
            message: None,
            page: 1,
        }
    }

    /// Takes the number of rows that fit the screen from now on.
    pub(crate) fn resize(&mut self, page: usize, model: &Model<'_>) {
        self.page = page;
        let rows = self.rows(model);
        self.list().fit(rows, page);
    }

    /// The object that is selected, if a row is one.
    pub(crate) fn selected(&self) -> Option<ObjectId> {
        if let Some(page) = self.pages.last() {
            return page.neighbours.get(page.list.at)?.id;
        }
        match self.view {
            View::Tree => self.tree.object(self.in_tree.at),
            View::Classes => None,
            View::Objects => self.found.ids.get(self.in_found.at).copied(),
        }
    }

    /// What a key does.
    pub(crate) fn press(&mut self, key: Key, model: &Model<'_>) -> Next {
        self.message = None;
        if key == Key::Interrupt {
            return Next::Quit;
        }
        if self.prompt.is_some() {
            self.typed(key, model);
            return Next::Stay;
        }
        if self.overlay.is_some() {
            self.in_overlay(key);
            return Next::Stay;
        }
        if let Some(to) = movement(key) {
            let (rows, page) = (self.rows(model), self.page);
            self.list().go(to, rows, page);
            return Next::Stay;
        }
        match key {
            Key::Char('q') => return Next::Quit,
            Key::Char('?') => self.overlay = Some(Overlay::Help),
            Key::Char('/') => self.prompt = Some(String::new()),
            Key::Char('p') => self.path(model),
            Key::Tab => self.turn(1, model),
            Key::BackTab => self.turn(View::ALL.len() - 1, model),
            Key::Char(number @ '1'..='3') => {
                let index = number as usize - '1' as usize;
                self.go_to(View::ALL[index].0, model);
            }
            Key::Enter | Key::Char('o') => self.enter(model),
            Key::Backspace | Key::Escape => {
                self.pages.pop();
            }
            Key::Right | Key::Char('l') => self.right(model),
            Key::Left | Key::Char('h') => self.left(model),
            Key::Char(' ') => self.toggle(model),
            _ => {}
        }
        Next::Stay
    }

    /// The list that keys move in.
    pub(crate) fn list(&mut self) -> &mut List {
        if let Some(page) = self.pages.last_mut() {
            return &mut page.list;
        }
        match self.view {
            View::Tree => &mut self.in_tree,
            View::Classes => &mut self.in_classes,
            View::Objects => &mut self.in_found,
        }
    }

    fn rows(&self, model: &Model<'_>) -> usize {
        if let Some(page) = self.pages.last() {
            return page.neighbours.len();
        }
        match self.view {
            View::Tree => self.tree.rows.len(),
            View::Classes => model.classes().len(),
            View::Objects => self.found.ids.len(),
        }
    }

    fn turn(&mut self, by: usize, model: &Model<'_>) {
        let all = View::ALL.map(|(view, _)| view);
        let at = all.iter().position(|&view| view == self.view).unwrap_or(0);
        self.go_to(all[(at + by) % all.len()], model);
    }

    fn go_to(&mut self, view: View, model: &Model<'_>) {
        self.pages.clear();
        self.view = view;
        self.resize(self.page, model);
    }

    fn enter(&mut self, model: &Model<'_>) {
        if self.pages.is_empty() && self.view == View::Classes {
            self.find(model.of_class(self.in_classes.at), model);
            return;
        }
        let is_more = self.pages.is_empty()
            && self.view == View::Tree
            && self.tree.object(self.in_tree.at).is_none();
        if is_more {
            self.right(model);
        } else if let Some(id) = self.selected() {
            self.pages.push(Page {
                id,
                neighbours: model.neighbours(id),
                list: List::default(),
            });
        }
    }

    fn right(&mut self, model: &Model<'_>) {
        if !self.pages.is_empty() || self.view != View::Tree {
            return self.enter(model);
        }
        self.in_tree.at = self.tree.open(self.in_tree.at, model);
        self.in_tree.fit(self.tree.rows.len(), self.page);
    }

    fn left(&mut self, model: &Model<'_>) {
        if self.pages.pop().is_none() && self.view == View::Tree {
            self.in_tree.at = self.tree.close(self.in_tree.at);
        }
        self.resize(self.page, model);
    }

    fn toggle(&mut self, model: &Model<'_>) {
        if !self.pages.is_empty() || self.view != View::Tree {
            return;
        }
        let row = self.tree.rows.get(self.in_tree.at);
        match row.map(|row| row.what) {
            Some(What::Object { is_open: true, .. }) => self.left(model),
            Some(_) => self.right(model),
            None => {}
        }
    }

    fn path(&mut self, model: &Model<'_>) {
        let shown = self.pages.last().map(|page| page.id);
        match self.selected().or(shown) {
            Some(id) => self.overlay = Some(Overlay::Path(model.path(id), 0)),
            None => self.message = Some("select an object first".to_owned()),
        }
    }

    fn in_overlay(&mut self, key: Key) {
        if let (Some(Overlay::Path(lines, top)), Some(to)) = (&mut self.overlay, movement(key)) {
            let mut list = List {
                at: *top,
                top: *top,
            };
            list.go(to, lines.len(), 1);
            *top = list.at;
            return;
        }
        self.overlay = None;
    }

    fn typed(&mut self, key: Key, model: &Model<'_>) {
        let Some(text) = &mut self.prompt else {
            return;
        };
        match key {
            Key::Char(c) => text.push(c),
            Key::Backspace if text.is_empty() => self.prompt = None,
            Key::Backspace => {
                text.pop();
            }
            Key::Escape => self.prompt = None,
            Key::Enter => {
                let text = std::mem::take(text);
                self.prompt = None;
                if text.trim().is_empty() {
                    return;
                }
                match model.search(&text) {
                    Ok(found) => self.find(found, model),
                    Err(sentence) => self.message = Some(sentence),
                }
            }
            _ => {}
        }
    }

    fn find(&mut self, found: Found, model: &Model<'_>) {
        self.found = found;
        self.in_found = List::default();
        self.go_to(View::Objects, model);
    }
}

/// The movement in a list that a key stands for.
fn movement(key: Key) -> Option<Move> {
    Some(match key {
        Key::Up | Key::Char('k') => Move::Up,
        Key::Down | Key::Char('j') => Move::Down,
        Key::PageUp | Key::Char('u') => Move::PageUp,
        Key::PageDown | Key::Char('d') => Move::PageDown,
        Key::Home | Key::Char('g') => Move::Home,
        Key::End | Key::Char('G') => Move::End,
        _ => return None,
    })
}
