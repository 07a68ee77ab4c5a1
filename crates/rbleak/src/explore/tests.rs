//! Keys pressed on a small heap, and what is drawn.

use super::model::Model;
use super::state::{App, Key, Next, Overlay, View};
use super::tree::{STEP, What};
use super::view::{Look, draw, page};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;
use rbleak_heap::graph::{Dominators, GraphInput};
use rbleak_heap::{Heap, Names, ReadOptions};
use std::fmt::Write as _;

const NAMES: &str = r#"{"kind":"constant","name":"Leaky::STORE","value":"0x4050"}
{"kind":"constant","name":"Leaky::LONG","value":"0x4140"}
{"kind":"ivar","object":"0x4078","name":"@token","value":"0x40a0"}
"#;
/// Strings in `Leaky::LONG`.
const LONG: usize = 450;

/// The top level holds an Array with a session and its token, and one with many
/// Strings; another Array is garbage.
fn dump() -> String {
    let mut text = r#"{"type":"ROOT", "root":"vm", "references":["0x4000"]}
{"address":"0x4000", "type":"CLASS", "class":"0x4000", "name":"Object", "references":["0x4028", "0x4050", "0x4140", "0x40f0"], "memsize":100}
{"address":"0x4028", "type":"MODULE", "class":"0x4000", "name":"Leaky", "memsize":100}
{"address":"0x4050", "type":"ARRAY", "class":"0x40c8", "length":2, "references":["0x4078"], "file":"/srv/app.rb", "line":3, "generation":4, "memsize":80}
{"address":"0x4078", "type":"OBJECT", "class":"0x40f0", "ivars":1, "references":["0x40a0"], "file":"/srv/app.rb", "line":46, "generation":5, "memsize":40}
{"address":"0x40a0", "type":"STRING", "class":"0x4118", "bytesize":90000, "value":"secret", "file":"/srv/app.rb", "line":45, "generation":5, "memsize":90000}
{"address":"0x40c8", "type":"CLASS", "class":"0x4000", "superclass":"0x4000", "name":"Array", "memsize":100}
{"address":"0x40f0", "type":"CLASS", "class":"0x4000", "superclass":"0x4000", "name":"Leaky::Session", "memsize":100}
{"address":"0x4118", "type":"CLASS", "class":"0x4000", "superclass":"0x4000", "name":"String", "memsize":100}
"#
    .to_owned();
    let strings: Vec<String> = (0..LONG)
        .map(|n| format!("\"{:#x}\"", 0x5000 + n * 8))
        .collect();
    let _ = writeln!(
        text,
        r#"{{"address":"0x4140", "type":"ARRAY", "class":"0x40c8", "length":{LONG}, "references":[{}], "memsize":4000}}"#,
        strings.join(", ")
    );
    let _ = writeln!(
        text,
        r#"{{"address":"0x4168", "type":"ARRAY", "class":"0x40c8", "length":0, "memsize":40}}"#
    );
    for string in strings {
        let _ = writeln!(
            text,
            r#"{{"address":{string}, "type":"STRING", "class":"0x4118", "bytesize":3, "value":"abc", "memsize":40}}"#
        );
    }
    text
}

fn with(test: impl FnOnce(&mut App, &Model<'_>)) {
    let text = std::io::Cursor::new(dump());
    let heap = Heap::read(text, "small.json", &ReadOptions::default()).expect("a heap");
    let names = Names::read(NAMES.as_bytes()).expect("names");
    let dominators = Dominators::new(GraphInput {
        heap: &heap,
        names: &names,
        is_tool_file: &|_| false,
    })
    .expect("dominators");
    let model = Model::new(&dominators, &names);
    let mut app = App::new(&model);
    app.resize(10, &model);
    test(&mut app, &model);
}

fn press(app: &mut App, model: &Model<'_>, keys: &str) {
    for key in keys.chars() {
        let key = match key {
            '⏎' => Key::Enter,
            '⌫' => Key::Backspace,
            '⎋' => Key::Escape,
            '↹' => Key::Tab,
            key => Key::Char(key),
        };
        assert_eq!(app.press(key, model), Next::Stay);
    }
}

/// The object that is selected, in words.
fn selected(app: &App, model: &Model<'_>) -> String {
    app.selected()
        .map_or_else(String::new, |id| model.in_list(id))
}

fn screen(app: &mut App, model: &Model<'_>, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a screen");
    let look = Look { is_colored: false };
    terminal
        .draw(|frame| {
            app.resize(page(frame.area()), model);
            draw(frame, app, model, look);
        })
        .expect("drawn");
    terminal
}

#[test]
fn the_tree_opens_and_closes() {
    with(|app, model| {
        let top = app.tree.rows.len();
        assert!(selected(app, model).contains("Leaky::STORE"));
        press(app, model, "l");
        assert_eq!(app.tree.rows.len(), top + 1);
        // What is open is entered, its child opened.
        press(app, model, "ll");
        assert_eq!(app.tree.rows.len(), top + 2);
        press(app, model, "l");
        assert!(selected(app, model).contains("app.rb:45"));
        // Nothing below a String.
        press(app, model, "l");
        assert_eq!(app.tree.rows.len(), top + 2);
        // To what it hangs on, and that one closes with all below.
        press(app, model, "h");
        assert!(selected(app, model).contains("Session"));
        press(app, model, "hh");
        assert!(selected(app, model).contains("STORE"));
        assert_eq!(app.tree.rows.len(), top + 1);
        press(app, model, " ");
        assert_eq!(app.tree.rows.len(), top);
    });
}

#[test]
fn many_children_come_by_and_by() {
    with(|app, model| {
        let top = app.tree.rows.len();
        press(app, model, "jl");
        assert_eq!(app.tree.rows.len(), top + STEP + 1);
        let more = |app: &App| {
            let mut rows = app.tree.rows.iter();
            rows.position(|row| matches!(row.what, What::More { .. }))
        };
        app.in_tree.at = more(app).expect("more");
        assert_eq!(app.selected(), None);
        press(app, model, "⏎");
        assert_eq!(app.tree.rows.len(), top + 2 * STEP + 1);
        app.in_tree.at = more(app).expect("more");
        press(app, model, "l");
        assert_eq!(app.tree.rows.len(), top + LONG);
        assert_eq!(more(app), None);
    });
}

#[test]
fn a_search_finds_classes_lines_names_and_addresses() {
    with(|app, model| {
        for (text, first, count) in [
            ("session", "Leaky::Session  0x4078", 1),
            ("app.rb:45", "String  0x40a0", 1),
            ("/srv/app", "Leaky::STORE", 3),
            ("0x4168", "0x4168", 1),
            ("Leaky::LONG", "Array (450)", 1),
            ("string", "String  0x40a0", LONG + 1),
        ] {
            press(app, model, &format!("/{text}⏎"));
            assert_eq!(app.message, None, "{text}");
            assert_eq!(app.view, View::Objects);
            assert_eq!(app.found.ids.len(), count, "{text}");
            assert!(selected(app, model).contains(first), "{text}");
        }
        for text in ["nowhere", "0x10", "0xzz", "app.rb:99"] {
            press(app, model, &format!("/{text}⏎"));
            assert!(app.message.is_some(), "{text}");
        }
        // While typing, keys are letters.
        press(app, model, "/q⌫⌫");
        assert_eq!(app.prompt, None);
        press(app, model, "/q⎋");
        assert_eq!((app.prompt.clone(), app.view), (None, View::Objects));
    });
}

#[test]
fn an_object_leads_to_its_neighbours_and_back() {
    with(|app, model| {
        press(app, model, "⏎");
        let texts = |app: &App| -> String {
            let page = app.pages.last().expect("a page");
            let texts = page.neighbours.iter().map(|row| row.text.as_str());
            texts.collect::<Vec<_>>().join("\n")
        };
        assert!(texts(app).contains("refers to (1)"), "{}", texts(app));
        press(app, model, "jj⏎");
        assert!(texts(app).contains("@token String"), "{}", texts(app));
        assert!(texts(app).contains("referred to by (1)"), "{}", texts(app));
        assert_eq!(app.pages.len(), 2);
        press(app, model, "⌫⎋");
        assert!(app.pages.is_empty());
        assert!(selected(app, model).contains("STORE"));
    });
}

#[test]
fn a_class_leads_to_its_objects() {
    with(|app, model| {
        press(app, model, "↹⏎");
        assert_eq!(app.view, View::Objects);
        assert!(!app.found.ids.is_empty());
        press(app, model, "1");
        assert_eq!(app.view, View::Tree);
    });
}

#[test]
fn what_lies_over_a_view_goes_with_a_key() {
    with(|app, model| {
        press(app, model, "?");
        assert_eq!(app.overlay, Some(Overlay::Help));
        press(app, model, "qp");
        let Some(Overlay::Path(lines, 0)) = &app.overlay else {
            panic!("{:?}", app.overlay);
        };
        assert_eq!(lines[0], "Leaky::STORE");
        press(app, model, "⎋");
        assert_eq!(app.overlay, None);
        assert_eq!(app.press(Key::Char('q'), model), Next::Quit);
        press(app, model, "/abc");
        assert_eq!(app.press(Key::Interrupt, model), Next::Quit);
    });
}

/// Whatever is pressed, the selected row is on the screen and drawing works.
#[test]
fn no_sequence_of_keys_goes_astray() {
    const KEYS: [Key; 24] = [
        Key::Up,
        Key::Down,
        Key::Left,
        Key::Right,
        Key::PageUp,
        Key::PageDown,
        Key::Home,
        Key::End,
        Key::Enter,
        Key::Backspace,
        Key::Tab,
        Key::BackTab,
        Key::Escape,
        Key::Char('/'),
        Key::Char('s'),
        Key::Char('l'),
        Key::Char('h'),
        Key::Char('p'),
        Key::Char('?'),
        Key::Char(' '),
        Key::Char('2'),
        Key::Char('3'),
        Key::Char('j'),
        Key::Char('\u{202e}'),
    ];
    with(|app, model| {
        // Numerical Recipes' generator: the same keys on every run.
        let mut state = 1_u32;
        for _ in 0..3000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let key = KEYS[(state >> 16) as usize % KEYS.len()];
            app.press(key, model);
            let sizes = [(100, 20), (40, 8), (1, 1), (200, 3)];
            let (width, height) = sizes[(state >> 8) as usize % sizes.len()];
            screen(app, model, width, height);
            let list = *app.list();
            let page = page(ratatui::layout::Rect::new(0, 0, width, height)).max(1);
            assert!(list.top <= list.at && list.at < list.top + page, "{list:?}");
        }
    });
}

#[test]
fn the_tree_on_a_wide_screen() {
    with(|app, model| {
        press(app, model, "lj");
        let terminal = screen(app, model, 110, 18);
        insta::assert_snapshot!(terminal.backend());
    });
}

#[test]
fn neighbours_on_a_narrow_screen() {
    with(|app, model| {
        press(app, model, "l⏎");
        let terminal = screen(app, model, 64, 12);
        insta::assert_snapshot!(terminal.backend());
    });
}

#[test]
fn classes_and_keys() {
    with(|app, model| {
        press(app, model, "2?");
        let terminal = screen(app, model, 80, 20);
        insta::assert_snapshot!(terminal.backend());
    });
}

#[test]
fn a_way_over_found_objects() {
    with(|app, model| {
        press(app, model, "/app.rb:45⏎p");
        let terminal = screen(app, model, 80, 12);
        insta::assert_snapshot!(terminal.backend());
    });
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted() {
    with(|app, model| {
        let colored = |terminal: &Terminal<TestBackend>| {
            let cells = terminal.backend().buffer().content().iter();
            cells
                .filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
                .count()
        };
        assert_eq!(colored(&screen(app, model, 110, 18)), 0);
        let mut terminal = Terminal::new(TestBackend::new(110, 18)).expect("a screen");
        let look = Look { is_colored: true };
        terminal
            .draw(|frame| draw(frame, app, model, look))
            .expect("drawn");
        assert!(colored(&terminal) > 0);
    });
}
