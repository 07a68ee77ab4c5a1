//! Draws a watch: what is said, lines over time, a row for each process, and
//! what the memory of the chosen one is used for. Decides nothing.

use super::document::{kind_names, until};
use super::plain::said;
use super::state::{Row, State};
use crate::verdicts::{duration, word};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Cell, Chart, Dataset, GraphType, Paragraph, Table, TableState};
use rbleak_report::sanitize;
use rbleak_trend::{Sample, Signal, Verdict};
use rbleak_units::{Bytes, grouped};

/// Points of a line: no screen shows more.
const MOST_POINTS: usize = 600;
const COLORS: [Color; 6] = [
    Color::Cyan,
    Color::Yellow,
    Color::Green,
    Color::Magenta,
    Color::Blue,
    Color::Red,
];

/// What the reader has chosen, and how things look.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) title: String,
    pub(crate) is_colored: bool,
    pub(crate) chosen: usize,
    /// Lines by age of the process in place of time.
    pub(crate) by_age: bool,
    /// Something that is wrong now.
    pub(crate) trouble: Option<String>,
}

impl View {
    fn color(&self, color: Color) -> Style {
        match self.is_colored {
            true => Style::new().fg(color),
            false => Style::new(),
        }
    }
}

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame<'_>, state: &State, view: &View) {
    let rows = state.rows.len() as u16;
    let [title, verdict, chart, table, kinds, events, footer] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Min(4),
        Constraint::Length((rows + 1).min(frame.area().height / 3)),
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(heading(state, view), title);
    frame.render_widget(Paragraph::new(answer(state, view)), verdict);
    draw_chart(frame, chart, state, view);
    draw_rows(frame, table, state, view);
    frame.render_widget(Paragraph::new(of_chosen(state, view)), kinds);
    let last = state.events.iter().rev().take(2).rev();
    let last: Vec<Line<'_>> = last.map(|event| Line::raw(sanitize(event))).collect();
    frame.render_widget(
        Paragraph::new(last).style(view.color(Color::DarkGray)),
        events,
    );
    let keys = "↑ ↓ process   a by age or time   q end with the verdict";
    let footing = match &view.trouble {
        Some(trouble) => Line::styled(sanitize(trouble).into_owned(), view.color(Color::Red)),
        None => Line::styled(keys, view.color(Color::DarkGray)),
    };
    frame.render_widget(Paragraph::new(footing), footer);
}

fn heading(state: &State, view: &View) -> Paragraph<'static> {
    let mut text = format!("{} · {}", view.title, duration(state.now));
    if let Some(current) = state.group.and_then(|group| group.current) {
        let limit = state.group.and_then(|group| group.limit);
        let limit = limit.map_or(String::new(), |limit| format!(" of {limit}"));
        text.push_str(&format!(" · cgroup {current}{limit}"));
    }
    Paragraph::new(Line::from(vec![
        Span::styled("rbleak watch  ", Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(sanitize(&text).into_owned()),
    ]))
}

fn tone(verdict: Verdict) -> Color {
    match verdict {
        Verdict::Leak => Color::Red,
        Verdict::Plateau => Color::Green,
        Verdict::NotEnoughData => Color::DarkGray,
        _ => Color::Yellow,
    }
}

/// The worst that is said, and when the limit is reached.
fn answer(state: &State, view: &View) -> Vec<Line<'static>> {
    let judged = state
        .rows
        .iter()
        .filter_map(|row| Some((row, row.judgement.as_ref()?)));
    let worst = judged.max_by(|a, b| {
        let rank = |j: &rbleak_trend::Judgement| (j.verdict == Verdict::Leak, j.leak_probability);
        let ((a_leaks, a), (b_leaks, b)) = (rank(a.1), rank(b.1));
        a_leaks.cmp(&b_leaks).then(a.total_cmp(&b))
    });
    let Some((row, judgement)) = worst else {
        return vec![Line::raw("looking …")];
    };
    let style = view
        .color(tone(judgement.verdict))
        .add_modifier(Modifier::BOLD);
    let confidence = match judgement.verdict {
        Verdict::NotEnoughData => String::new(),
        _ => format!("  confidence {:.0} %", 100.0 * judgement.confidence),
    };
    let rest = said(row).replacen(word(judgement.verdict), "", 1);
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("{:<16}", word(judgement.verdict)), style),
        Span::raw(format!("{}{rest}{confidence}", sanitize(&row.name))),
    ])];
    if let Some(ending) = state.ending()
        && let Some(seconds) = &ending.seconds
    {
        lines.push(Line::raw(format!(
            "{:<16}{} in {}",
            "limit",
            ending.limit,
            until(seconds)
        )));
    }
    lines
}

/// Anonymous memory where it is known, for it is what leaks; else RSS.
fn shown(state: &State) -> Signal {
    let has_it = |row: &Row| row.latest.anonymous.is_some();
    match state.rows.iter().any(has_it) {
        true => Signal::Anonymous,
        false => Signal::Rss,
    }
}

/// The points of a row, life by life.
fn points(row: &Row, signal: Signal, by_age: bool) -> Vec<Vec<(f64, f64)>> {
    let stride = row.series.kept().div_ceil(MOST_POINTS).max(1);
    let of_life = |life: &[Sample]| {
        let birth = life.first().and_then(|sample| row.birth(sample.life));
        let start = birth.filter(|_| by_age).unwrap_or(0.0);
        let all = life.iter().step_by(stride).chain(life.last());
        all.filter_map(|sample| Some((sample.at - start, signal.of(sample)?)))
            .collect()
    };
    row.series.lives().map(of_life).collect()
}

fn draw_chart(frame: &mut Frame<'_>, area: Rect, state: &State, view: &View) {
    let signal = shown(state);
    let lines: Vec<(usize, Vec<(f64, f64)>)> = state
        .rows
        .iter()
        .enumerate()
        .flat_map(|(index, row)| {
            let pieces = points(row, signal, view.by_age).into_iter();
            pieces.map(move |piece| (index, piece))
        })
        .collect();
    let all = || lines.iter().flat_map(|(_, piece)| piece);
    let most = |value: &dyn Fn(&(f64, f64)) -> f64| all().map(value).fold(f64::MIN, f64::max);
    let least = |value: &dyn Fn(&(f64, f64)) -> f64| all().map(value).fold(f64::MAX, f64::min);
    if all().next().is_none() {
        return;
    }
    let (from, to) = (least(&|p| p.0), most(&|p| p.0).max(least(&|p| p.0) + 1.0));
    let (low, high) = (least(&|p| p.1), most(&|p| p.1));
    // What hardly moves is not blown up to the whole height.
    let low = (low - 0.5 * (high - low).max(0.1 * high)).max(0.0);
    let high = high.max(low + 1.0);
    let datasets = lines.iter().map(|(index, piece)| {
        let mut style = view.color(COLORS[index % COLORS.len()]);
        if *index == view.chosen && state.rows.len() > 1 {
            style = style.add_modifier(Modifier::BOLD);
        }
        Dataset::default()
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(style)
            .data(piece)
    });
    let bytes = |value: f64| Bytes(value as u64).to_string();
    let name = match signal {
        Signal::Anonymous => "anonymous memory",
        _ => "RSS",
    };
    let along = match view.by_age {
        true => "age",
        false => "time",
    };
    let chart = Chart::new(datasets.collect())
        .legend_position(None)
        .y_axis(Axis::default().title(name).bounds([low, high]).labels([
            bytes(low),
            bytes((low + high) / 2.0),
            bytes(high),
        ]))
        .x_axis(
            Axis::default()
                .title(along)
                .bounds([from, to])
                .labels([duration(from), duration(to)]),
        );
    frame.render_widget(chart, area);
}

fn draw_rows(frame: &mut Frame<'_>, area: Rect, state: &State, view: &View) {
    let headings = [
        "",
        "process",
        "pid",
        "age",
        "life",
        "RSS",
        "PSS",
        "USS",
        "anonymous",
        "so far",
    ];
    let right =
        |text: String| Cell::new(ratatui::text::Text::from(text).alignment(Alignment::Right));
    let known = |value: Option<Bytes>| right(value.map_or(String::new(), |v| v.to_string()));
    let rows = state.rows.iter().enumerate().map(|(index, row)| {
        let verdict = row.judgement.as_ref().map(|judgement| judgement.verdict);
        ratatui::widgets::Row::new([
            Cell::new("━").style(view.color(COLORS[index % COLORS.len()])),
            Cell::new(sanitize(&row.name).into_owned()),
            right(row.alive.map_or("ended".to_owned(), |pid| pid.to_string())),
            right(duration(row.age)),
            right(row.lives.to_string()),
            known(row.latest.rss),
            known(row.walked.map(|walked| walked.pss)),
            known(row.walked.map(|walked| walked.private)),
            known(row.latest.anonymous),
            Cell::new(said(row)).style(verdict.map_or(Style::new(), |v| view.color(tone(v)))),
        ])
    });
    let name = state.rows.iter().map(|row| row.name.chars().count()).max();
    let name = name.unwrap_or(0).clamp(7, 24) as u16;
    let widths = [1, name, 8, 9, 4, 9, 9, 9, 9].map(Constraint::Length);
    let widths = widths.into_iter().chain([Constraint::Fill(1)]);
    let header = ratatui::widgets::Row::new(headings.map(|heading| {
        let is_left = ["", "process", "so far"].contains(&heading);
        match is_left {
            true => Cell::new(heading),
            false => right(heading.to_owned()),
        }
    }));
    let table = Table::new(rows, widths)
        .header(header.style(view.color(Color::DarkGray)))
        .row_highlight_style(Style::new().add_modifier(Modifier::BOLD));
    let mut chosen = TableState::default().with_selected(view.chosen);
    frame.render_stateful_widget(table, area, &mut chosen);
}

/// Live slots, malloc and kinds of memory of the chosen row.
fn of_chosen(state: &State, view: &View) -> Line<'static> {
    let Some(row) = state.rows.get(view.chosen) else {
        return Line::default();
    };
    let mut parts = vec![sanitize(&row.name).into_owned()];
    parts.extend(
        row.latest
            .live_slots
            .map(|slots| format!("{} slots", grouped(slots as u64))),
    );
    parts.extend(
        row.latest
            .malloc_in_use
            .map(|bytes| format!("malloc {bytes}")),
    );
    if let Some(kinds) = row.kinds {
        parts.extend(
            kind_names(&kinds)
                .iter()
                .map(|(name, bytes)| format!("{} {bytes}", name.replace('_', " "))),
        );
        parts.extend(kinds.arenas.map(|arenas| format!("{arenas} arenas")));
    }
    Line::raw(parts.join(" · "))
}
