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
        out.push_str(&format!("::{command} file={}", property(&annotation.file)));
        if let Some(line) = annotation.line {
            out.push_str(&format!(",line={line}"));
        }
        out.push_str(&format!(
            ",title={}::{} ({})\n",
            property(&annotation.title),
            data(&annotation.message),
            data(&annotation.rule.url)
        ));
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
                url: "https://example.com/1".into(),
            },
            level: Level::Warning,
            title: "a, b: 1".into(),
            message: "100 %\n::error::no".into(),
            file: "Gemfile.lock".into(),
            line: Some(7),
        }];
        assert_eq!(
            to_github(&document),
            "::warning file=Gemfile.lock,line=7,title=a%2C b%3A 1::100 %25%0A::error::no (https://example.com/1)\n"
        );
    }
}
