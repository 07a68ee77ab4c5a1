//! Workflow commands of GitHub Actions: the document's annotations, one a line.

use crate::annotation::Level;
use crate::document::Document;

/// Renders the annotations of `document`; nothing where there is none.
pub fn to_github(document: &Document) -> String {
    let mut out = String::new();
    for annotation in &document.annotations {
        let command = match annotation.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "notice",
        };
        out.push_str(&format!("::{command} "));
        if let Some(file) = &annotation.file {
            out.push_str(&format!("file={},", property(file)));
            if let Some(line) = annotation.line {
                out.push_str(&format!("line={line},"));
            }
        }
        out.push_str(&format!(
            "title={}::{}",
            property(&annotation.title),
            data(&annotation.message)
        ));
        if let Some(url) = &annotation.rule.url {
            out.push_str(&format!(" ({})", data(url)));
        }
        out.push('\n');
    }
    out
}

/// What would end the message is escaped, as GitHub wants it.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annotation::{Annotation, Rule};

    #[test]
    fn an_annotation_is_one_line() {
        let mut document = Document::new("t");
        document.annotations = vec![Annotation {
            rule: Rule {
                id: "a-1".into(),
                summary: String::new(),
                description: String::new(),
                url: Some("https://example.com/1".into()),
            },
            level: Level::Warning,
            title: "a, b: 1".into(),
            message: "100 %\n::error::no".into(),
            file: Some("Gemfile.lock".into()),
            line: Some(7),
        }];
        assert_eq!(
            to_github(&document),
            "::warning file=Gemfile.lock,line=7,title=a%2C b%3A 1::100 %25%0A::error::no (https://example.com/1)\n"
        );
    }
    #[test]
    fn one_without_a_file_or_a_page_has_neither() {
        let mut document = Document::new("t");
        document.annotations = vec![Annotation {
            rule: Rule {
                id: "leak".into(),
                summary: String::new(),
                description: String::new(),
                url: None,
            },
            level: Level::Note,
            title: "FIXED".into(),
            message: "flat".into(),
            file: None,
            line: Some(7),
        }];
        assert_eq!(to_github(&document), "::notice title=FIXED::flat\n");
    }
}
