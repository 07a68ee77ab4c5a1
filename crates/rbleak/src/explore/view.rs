//! Draws a state. Decides nothing but where things stand and what is cut.

use super::list::List;
use super::model::Model;
use super::state::{App, Overlay, View};
use super::tree::What;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph};
use rbleak_heap::ObjectId;
use rbleak_report::sanitize;
use rbleak_units::grouped;

/// Narrower screens show no details.
const WIDE: u16 = 90;
/// Deeper rows of the tree are not indented further.
const MAX_INDENT: usize = 16;

const HELP: &[(&str, &str)] = &[
    ("↑ ↓  k j", "move"),
    ("PgUp PgDn  u d", "a page"),
    ("Home End  g G", "to the first, to the last"),
    ("→  l  Space", "what the object keeps; opens a list"),
    ("←  h", "close, or go to what keeps it; back"),
    ("Enter  o", "what it refers to and what refers to it"),
    ("Backspace  Esc", "back"),
    ("p", "the way from a root to the object"),
    ("/", "search: class, FILE:LINE, file, name, 0xADDRESS"),
    ("Tab  1 2 3", "dominators, classes, objects"),
    ("?", "this help"),
    ("q  Ctrl-C", "quit"),
];

/// How things look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) is_colored: bool,
}

impl Look {
    fn color(self, color: Color) -> Style {
        match self.is_colored {
            true => Style::new().fg(color),
            false => Style::new(),
        }
    }

    fn quiet(self) -> Style {
        self.color(Color::DarkGray)
    }

    fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// The parts of the screen.
struct Parts {
    title: Rect,
    tabs: Rect,
    heading: Rect,
    list: Rect,
    details: Option<Rect>,
    footer: Rect,
}

fn parts(area: Rect) -> Parts {
    let [title, tabs, body, footer] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area);
    let (body, details) = if area.width >= WIDE {
        let [body, details] =
            Layout::horizontal([Constraint::Fill(1), Constraint::Length(area.width / 3)])
                .areas(body);
        (body, Some(details))
    } else {
        (body, None)
    };
    let [heading, list] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(body);
    Parts {
        title,
        tabs,
        heading,
        list,
        details,
        footer,
    }
}

/// Rows of a list on a screen of this size.
pub(crate) fn page(area: Rect) -> usize {
    usize::from(parts(area).list.height)
}

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame<'_>, app: &App, model: &Model<'_>, look: Look) {
    let parts = parts(frame.area());
    let heap = model.heap();
    let (objects, bytes) = heap.live_totals();
    let title = format!("{} · {objects} objects, {bytes}", heap.source());
    let title = Line::from(vec![
        Span::styled("rbleak  ", Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(sanitize(&title).into_owned()),
    ]);
    frame.render_widget(title, parts.title);
    frame.render_widget(tabs(app, look), parts.tabs);
    list(frame, app, model, look, &parts);
    if let Some(area) = parts.details {
        details(frame, app, model, look, area);
    }
    frame.render_widget(footer(app, look), parts.footer);
    match &app.overlay {
        Some(Overlay::Help) => {
            let lines = HELP
                .iter()
                .map(|(keys, text)| Line::raw(format!("{keys:<16} {text}")));
            overlay(frame, "Keys", lines.collect(), 0);
        }
        Some(Overlay::Path(lines, top)) => {
            let lines = lines
                .iter()
                .map(|line| Line::raw(sanitize(line).into_owned()));
            overlay(frame, "Held by", lines.collect(), *top);
        }
        None => {}
    }
}

fn tabs(app: &App, look: Look) -> Line<'static> {
    let mut spans = Vec::new();
    for (number, (view, name)) in View::ALL.into_iter().enumerate() {
        let mut text = format!(" {} {name} ", number + 1);
        if view == View::Objects && !app.found.ids.is_empty() {
            let title = sanitize(&app.found.title).into_owned();
            let count = grouped(app.found.ids.len() as u64);
            text = format!("{text}· {title} ({count}) ");
        }
        let style = match view == app.view {
            true => look.selected(),
            false => Style::new(),
        };
        spans.push(Span::styled(text, style));
        spans.push(Span::raw(" "));
    }
    Line::from(spans)
}

/// The list of the view, or of the object that is opened over it.
fn list(frame: &mut Frame<'_>, app: &App, model: &Model<'_>, look: Look, parts: &Parts) {
    let (heading, list, rows): (String, List, Vec<String>) = if let Some(page) = app.pages.last() {
        let shown = visible(page.list, page.neighbours.len(), parts.list);
        let rows = page.neighbours[shown].iter();
        (
            format!(" {}", model.in_list(page.id)),
            page.list,
            rows.map(|row| row.text.clone()).collect(),
        )
    } else {
        match app.view {
            View::Tree => {
                let shown = visible(app.in_tree, app.tree.rows.len(), parts.list);
                let rows = shown.map(|at| tree_row(app, model, at));
                (
                    sizes("retained", "share", "own", "object"),
                    app.in_tree,
                    rows.collect(),
                )
            }
            View::Classes => {
                let classes = model.classes();
                let shown = visible(app.in_classes, classes.len(), parts.list);
                let rows = classes[shown].iter().map(|total| {
                    let name = total.key.class.unwrap_or("(no class)");
                    let object_type = total.key.object_type.map_or("", |it| it.as_str());
                    let text = format!(
                        "{:>11}  {name}  {object_type}",
                        total.own.objects.to_string()
                    );
                    sizes(
                        &total.retained.to_string(),
                        &model.percent(total.retained),
                        &total.own.bytes.to_string(),
                        &text,
                    )
                });
                let rows = rows.collect();
                let heading = sizes("retained", "share", "own", "    objects  class");
                (heading, app.in_classes, rows)
            }
            View::Objects => {
                let ids = &app.found.ids;
                let shown = visible(app.in_found, ids.len(), parts.list);
                let mut rows: Vec<String> = ids[shown]
                    .iter()
                    .map(|&id| object_row(model, id, &model.in_list(id)))
                    .collect();
                if ids.is_empty() {
                    rows.push("  search with /, or choose a class".to_owned());
                }
                (
                    sizes("retained", "share", "own", "object"),
                    app.in_found,
                    rows,
                )
            }
        }
    };
    let heading = Line::styled(sanitize(&heading).into_owned(), look.quiet());
    frame.render_widget(heading, parts.heading);
    let lines = rows.iter().zip(list.top..).map(|(row, at)| {
        let width = usize::from(parts.list.width);
        let text = format!("{:<width$}", sanitize(row));
        match at == list.at {
            true => Line::styled(text, look.selected()),
            false => Line::raw(text),
        }
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), parts.list);
}

fn visible(list: List, rows: usize, area: Rect) -> std::ops::Range<usize> {
    let end = rows.min(list.top + usize::from(area.height));
    list.top.min(end)..end
}

fn tree_row(app: &App, model: &Model<'_>, at: usize) -> String {
    let row = app.tree.rows[at];
    let indent = "  ".repeat(row.depth.min(MAX_INDENT));
    match row.what {
        What::More { hidden, .. } => {
            let text = format!("{indent}… {} more", grouped(hidden as u64));
            sizes("", "", "", &text)
        }
        What::Object { id, is_open } => {
            let mark = match (is_open, model.has_children(id)) {
                (true, _) => "▾",
                (false, true) => "▸",
                (false, false) => " ",
            };
            let deep = match row.depth > MAX_INDENT {
                true => format!("[{}] ", row.depth),
                false => String::new(),
            };
            let object = model.in_tree(row.above, id);
            object_row(model, id, &format!("{indent}{mark} {deep}{object}"))
        }
    }
}

fn object_row(model: &Model<'_>, id: ObjectId, text: &str) -> String {
    let retained = model.retained(id);
    sizes(
        &retained.to_string(),
        &model.percent(retained),
        &model.own(id).to_string(),
        text,
    )
}

fn sizes(retained: &str, share: &str, own: &str, text: &str) -> String {
    format!(" {retained:>8} {share:>8} {own:>8}  {text}")
}

fn details(frame: &mut Frame<'_>, app: &App, model: &Model<'_>, look: Look, area: Rect) {
    let block = Block::new()
        .borders(Borders::LEFT)
        .border_style(look.quiet());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let Some(id) = app.selected().or(app.pages.last().map(|page| page.id)) else {
        return;
    };
    let lines = model.details(id).into_iter().map(|(label, text)| {
        Line::from(vec![
            Span::styled(format!(" {label:<11} "), look.color(Color::Cyan)),
            Span::raw(sanitize(&text).into_owned()),
        ])
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), inner);
}

fn footer(app: &App, look: Look) -> Line<'static> {
    if let Some(text) = &app.prompt {
        return Line::raw(format!("/{}▏", sanitize(text)));
    }
    if let Some(message) = &app.message {
        return Line::styled(sanitize(message).into_owned(), look.color(Color::Yellow));
    }
    let keys = "? keys   / search   Enter references   p path   Tab view   q quit";
    Line::styled(keys, look.quiet())
}

/// A box over the middle of the screen, as large as its lines.
fn overlay(frame: &mut Frame<'_>, title: &'static str, lines: Vec<Line<'_>>, top: usize) {
    let screen = frame.area();
    let widest = lines.iter().map(Line::width).max().unwrap_or(0);
    let fit = |size: usize, most: u16| u16::try_from(size).unwrap_or(most).min(most);
    let width = fit(widest + 4, screen.width);
    let height = fit(lines.len() + 2, screen.height);
    let area = Rect {
        x: (screen.width - width) / 2,
        y: (screen.height - height) / 2,
        width,
        height,
    };
    let block = Block::bordered().title(title);
    let top = top.min(
        lines
            .len()
            .saturating_sub(usize::from(height.saturating_sub(2))),
    );
    let lines: Vec<Line<'_>> = lines.into_iter().skip(top).collect();
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(block), area);
}
