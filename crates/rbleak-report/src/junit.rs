//! JUnit's XML, which services of CI read: the document's checks, a test each.
//!
//! What could not be told is an error and not a failure: the check itself did
//! not come to its end.

use crate::document::{Check, Document, Outcome};
use crate::sanitize::sanitize;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// Renders the checks of `document` as one suite; one without any is an empty
/// suite.
///
/// # Errors
/// If the XML cannot be written, which memory that runs out is a reason for.
pub fn to_junit(document: &Document) -> Result<String, quick_junit::SerializeError> {
    let mut suite = TestSuite::new("rbleak");
    suite.add_test_cases(document.checks.iter().map(|check| case(document, check)));
    let mut report = Report::new("rbleak");
    report.add_test_suite(suite);
    report.to_string()
}

fn case(document: &Document, check: &Check) -> TestCase {
    let details: Vec<_> = check.details.iter().map(|line| sanitize(line)).collect();
    let details = details.join("\n");
    let message = sanitize(&check.message);
    let unsuccessful = |kind, word: &str| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_type(word).set_message(&*message);
        if !details.is_empty() {
            status.set_description(details.as_str());
        }
        status
    };
    let status = match check.outcome {
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::Failed => unsuccessful(NonSuccessKind::Failure, "leak"),
        Outcome::Untold => unsuccessful(NonSuccessKind::Error, "inconclusive"),
    };
    let mut case = TestCase::new(&*sanitize(&check.name), status);
    case.set_classname(document.schema.as_str());
    if check.outcome == Outcome::Passed {
        case.set_system_out(&*message);
    }
    case
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, outcome: Outcome) -> Check {
        Check {
            name: name.into(),
            outcome,
            message: "a < b & \u{1b}[31mc".into(),
            details: vec!["one".into(), "two".into()],
        }
    }

    #[test]
    fn each_check_is_a_case_and_no_text_is_markup() {
        let mut document = Document::new("rbleak/t/v1");
        document.checks = vec![
            check("flat", Outcome::Passed),
            check("<grows>", Outcome::Failed),
            check("who knows", Outcome::Untold),
        ];
        let text = to_junit(&document).unwrap();
        for part in [
            "<testsuite name=\"rbleak\" tests=\"3\" disabled=\"0\" errors=\"1\" failures=\"1\">",
            "<testcase name=\"flat\" classname=\"rbleak/t/v1\">",
            "<testcase name=\"&lt;grows&gt;\" classname=\"rbleak/t/v1\">",
            "<failure message=\"a &lt; b &amp; ",
            " type=\"leak\">one\ntwo</failure>",
            " type=\"inconclusive\">one\ntwo</error>",
        ] {
            assert!(text.contains(part), "no `{part}` in {text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn no_checks_are_an_empty_suite() {
        let text = to_junit(&Document::new("t")).unwrap();
        assert!(text.contains("tests=\"0\""), "{text}");
    }
}
