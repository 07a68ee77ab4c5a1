//! A look at a process in words.

use super::findings::Finding;
use super::look::Looked;
use rbleak_process::allocator::{AllocatorKind, Linkage, Preload};
use rbleak_process::thp::HugePages;
use rbleak_report::{Block, Document, Fact, Finding as Shown, Section, Tone, Verdict, json};

/// Where facts go that belong to the second one, which names the Ruby.
const AFTER_RUBY: usize = 2;

/// The whole answer; `leaks` says what is known of this Ruby.
pub(crate) fn document(looked: &Looked, leaks: Option<Fact>, findings: &[Finding]) -> Document {
    let mut document = Document::new("rbleak/doctor/v1");
    document.push(Block::Verdict(verdict(looked, findings)));
    let mut facts = facts(looked);
    if let Some(leaks) = leaks {
        let (key, label) = ("known_leaks".to_owned(), "known leaks".to_owned());
        let leaks = Fact {
            key,
            label,
            ..leaks
        };
        facts.insert(AFTER_RUBY, leaks);
    }
    document.push(Block::Facts(facts));
    if !findings.is_empty() {
        document.push(Block::Findings(findings.iter().map(shown).collect()));
    }
    document
}

fn verdict(looked: &Looked, findings: &[Finding]) -> Verdict {
    let (word, tone) = match findings.len() {
        0 => ("HEALTHY".to_owned(), Tone::Good),
        1 => ("1 FINDING".to_owned(), Tone::Warning),
        n => (format!("{n} FINDINGS"), Tone::Warning),
    };
    let first = findings.first().map(|finding| finding.what.clone());
    Verdict {
        word,
        tone,
        headline: first.unwrap_or_else(|| looked.allocator.summary()),
        details: Vec::new(),
        data: data(findings),
    }
}

fn data(findings: &[Finding]) -> rbleak_report::Value {
    json!({"verdict": if findings.is_empty() { "healthy" } else { "findings" }, "findings": findings.len()})
}

fn facts(looked: &Looked) -> Vec<Fact> {
    let allocator = &looked.allocator;
    let mut facts = vec![
        Fact::new(
            "process",
            format!("{} ({})", looked.pid, looked.name),
            json!({"pid": looked.pid.0, "name": looked.name}),
        ),
        Fact::new(
            "ruby",
            looked.ruby.as_deref().unwrap_or("version unknown"),
            json!(looked.ruby),
        ),
        Fact::new(
            "allocator",
            allocator.summary(),
            json!({
                "kind": allocator.kind.to_string(),
                "version": allocator.version,
                "linkage": match allocator.linkage {
                    Linkage::Preloaded => "preloaded",
                    Linkage::Shared => "shared",
                    Linkage::Static => "static",
                },
                "beside": allocator.beside,
                "ld_preload": looked.ld_preload,
                "preload": match &allocator.preload {
                    Preload::NotSet => "not_set",
                    Preload::Loaded => "loaded",
                    Preload::NotMapped { .. } => "not_mapped",
                    Preload::Unknown => "unknown",
                },
                "arena_max": allocator.arena_max.to_string(),
                "malloc_conf": allocator.malloc_conf,
            }),
        ),
    ];
    if let (AllocatorKind::Glibc, Some(arenas)) = (allocator.kind, looked.arenas) {
        facts.push(Fact::new("arenas", arenas.to_string(), json!(arenas)));
    }
    if let Some(threads) = looked.threads {
        facts.push(Fact::new("threads", threads.to_string(), json!(threads)));
    }
    if let Some(memory) = looked.memory {
        facts.push(Fact::new(
            "memory",
            format!(
                "{} RSS, {} PSS, {} anonymous",
                memory.rss, memory.pss, memory.anonymous
            ),
            json!({
                "rss_bytes": memory.rss.0,
                "pss_bytes": memory.pss.0,
                "anonymous_bytes": memory.anonymous.0,
                "huge_bytes": memory.huge.0,
            }),
        ));
    }
    if let Some(huge) = looked.huge_pages {
        let name = match huge {
            HugePages::Always => "always",
            HugePages::Madvise => "madvise",
            HugePages::Never => "never",
        };
        facts.push(Fact::new("huge_pages", name, json!(name)));
    }
    facts.push(match looked.limit {
        Some(limit) => Fact::new(
            "limit",
            match limit.current {
                Some(current) => format!("{} of {} used in its cgroup", current, limit.limit),
                None => format!("{} in its cgroup", limit.limit),
            },
            json!({"limit_bytes": limit.limit.0, "current_bytes": limit.current.map(|c| c.0)}),
        ),
        None => Fact::new("limit", "none by a cgroup", json!(null)),
    });
    if let Some(yjit) = looked.yjit {
        let text = if yjit {
            "asked for"
        } else {
            "not asked for by its environment"
        };
        facts.push(Fact::new("yjit", text, json!(yjit)));
    }
    if !looked.settings.is_empty() {
        let all: Vec<String> = looked
            .settings
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        let map: serde_json::Map<_, _> = looked
            .settings
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        facts.push(Fact::new("settings", all.join(" "), map.into()));
    }
    facts
}

fn shown(finding: &Finding) -> Shown {
    let mut fix = vec![finding.fix.text.clone()];
    let places = finding.fix.places();
    for (place, lines) in &places {
        let labels = [*place].into_iter().chain(std::iter::repeat(""));
        fix.extend(labels.zip(lines).map(|(l, line)| format!("{l:<9}{line}")));
    }
    let set: serde_json::Map<_, _> = finding
        .fix
        .set
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let places: serde_json::Map<_, _> = places
        .iter()
        .map(|(place, lines)| ((*place).to_owned(), json!(lines)))
        .collect();
    Shown {
        title: finding.what.clone(),
        summary: String::new(),
        sections: vec![
            Section::new("evidence", finding.evidence.iter().cloned()),
            Section::new("why", [finding.why.to_owned()]),
            Section::new("fix", fix),
        ],
        data: json!({
            "id": finding.id,
            "evidence": finding.evidence,
            "why": finding.why,
            "fix": {
                "text": finding.fix.text,
                "set": set,
                "package": finding.fix.package,
                "in": places,
            },
        }),
    }
}
