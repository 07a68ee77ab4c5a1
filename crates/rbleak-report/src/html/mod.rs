//! One self-contained page: no network, no other file, and a policy that lets
//! nothing run but the scripts that were built in.
//!
//! Templates (`templates/`, askama) show what [`view`] prepares; all text passes
//! [`escape`]. Without JavaScript the page shows the same: plots and trees as
//! static pictures, tables in their order.

mod drawing;
pub(crate) mod escape;
mod picture;
mod table;
mod view;

use crate::document::Document;
use askama::Template;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use std::fmt;

const STYLE: &str = concat!(
    include_str!("../../assets/uplot/uPlot.min.css"),
    include_str!("../../assets/report.css")
);
const LIBRARY: &str = include_str!("../../assets/uplot/uPlot.iife.min.js");
const SCRIPT: &str = concat!(
    include_str!("../../assets/report.js"),
    include_str!("../../assets/charts.js"),
    include_str!("../../assets/icicle.js")
);

/// What stands around a document.
#[derive(Clone, Debug)]
pub struct Page {
    /// The title of the window, and of the page.
    pub title: String,
    /// A line under it: when, where, what.
    pub subtitle: String,
    /// Who made it: `rbleak 0.1.0`.
    pub generator: String,
}

/// Renders `document` as a page of HTML.
///
/// # Errors
/// If a template fails, which no document makes it do.
pub fn to_html(document: &Document, page: &Page) -> Result<String, fmt::Error> {
    let view = view::View::new(document);
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}' '{}'; img-src data:; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(LIBRARY),
        hash(SCRIPT)
    );
    PageTemplate {
        page,
        policy: &policy,
        style: STYLE,
        library: LIBRARY,
        script: SCRIPT,
        data: escape::script_data(&view.data),
        view,
    }
    .render()
    .map_err(|_| fmt::Error)
}

/// As a policy names it.
fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text)))
}

#[derive(Template)]
#[template(path = "page.html")]
struct PageTemplate<'a> {
    page: &'a Page,
    policy: &'a str,
    style: &'a str,
    library: &'a str,
    script: &'a str,
    data: String,
    view: view::View,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Block, Fact, Finding, Note, Tone, Verdict};
    use crate::figures::{Card, Path, PathStep, Picture};
    use serde_json::json;

    fn page(document: &Document) -> String {
        let page = Page {
            title: "a <title>".into(),
            subtitle: "when".into(),
            generator: "rbleak".into(),
        };
        to_html(document, &page).unwrap()
    }

    #[test]
    fn no_text_is_markup_and_nothing_is_fetched() {
        let evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>";
        let mut document = Document::new("t");
        document.push(Block::Facts(vec![
            Fact::new(evil, evil, json!(null)).hint(evil),
        ]));
        document.push(Block::Verdict(Verdict {
            word: evil.into(),
            tone: Tone::Bad,
            headline: evil.into(),
            details: vec![evil.into()],
            data: json!({}),
        }));
        document.push(Block::Cards(vec![Card {
            finding: Finding {
                title: evil.into(),
                summary: evil.into(),
                sections: vec![],
                data: json!({}),
            },
            figure: evil.into(),
            share: Some(0.5),
            pictures: vec![Picture::Path(Path {
                label: evil.into(),
                steps: vec![PathStep {
                    edge: Some(evil.into()),
                    node: evil.into(),
                }],
            })],
        }]));
        document.note(Note::warning(evil));
        let html = page(&document);
        assert!(!html.contains("<img"), "raw markup");
        assert!(!html.contains("<script>alert"), "raw markup");
        assert!(html.contains("&lt;script&gt;alert(1)"));
        for fetched in [
            "<script src",
            "<link",
            "<iframe",
            "href=\"http",
            "url(",
            "@import",
        ] {
            assert!(
                !html
                    .replace(STYLE, "")
                    .replace(LIBRARY, "")
                    .contains(fetched),
                "{fetched}"
            );
        }
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
        assert!(html.contains("default-src &#39;none&#39;"));
        assert!(!html.contains(" style=\""), "an inline style");
    }

    /// Hashes of the policy are of what stands in the page.
    #[test]
    fn nothing_built_in_ends_its_own_element() {
        assert!(!STYLE.contains("</"));
        assert!(!LIBRARY.contains("</script") && !SCRIPT.contains("</script"));
        assert!(!LIBRARY.contains("<!--") && !SCRIPT.contains("<!--"));
        assert_eq!(
            hash(""),
            "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
    }
}
