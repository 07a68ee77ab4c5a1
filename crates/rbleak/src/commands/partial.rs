//! The mark on what was made of dumps that are not whole.

use rbleak_heap::{Cut, Heap};
use rbleak_report::{Block, Document, Fact, Value, json};

/// Puts it at the head of a document if any of the heaps is not whole.
pub(super) fn mark(document: &mut Document, heaps: &[Heap]) {
    let partial: Vec<(String, Value)> = heaps.iter().filter_map(told).collect();
    if partial.is_empty() {
        return;
    }
    let (texts, data): (Vec<String>, Vec<Value>) = partial.into_iter().unzip();
    let text = format!("{}; what is missing is not counted", texts.join("; "));
    let fact = Fact::new("partial", text, Value::Array(data));
    document.blocks.insert(0, Block::Facts(vec![fact]));
}

fn told(heap: &Heap) -> Option<(String, Value)> {
    let issues = heap.issues();
    let truncation = issues.truncated();
    let skipped = issues.skipped();
    if truncation.is_none() && skipped == 0 {
        return None;
    }
    let mut parts = Vec::new();
    parts.extend(truncation.map(ToString::to_string));
    if skipped > 0 {
        parts.push(format!("{skipped} lines were left out"));
    }
    let cut = truncation.map(|truncation| {
        let cause = match &truncation.cause {
            Cut::MidLine => "mid_line",
            Cut::Decompression(_) => "decompression",
            Cut::Shrunk => "shrunk",
            Cut::Growing => "growing",
            Cut::Rewritten => "rewritten",
            _ => "other",
        };
        json!({ "line": truncation.line, "cause": cause })
    });
    Some((
        format!("{}: {}", heap.source(), parts.join(", ")),
        json!({ "name": heap.source(), "cut": cut, "skipped_lines": skipped }),
    ))
}
