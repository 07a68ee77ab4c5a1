//! Which advisories apply, and what there is to do: small bundles, small
//! databases.

use rbleak_audit::matching::{Audit, Question, Remedy, audit};
use rbleak_audit::{Advisory, Database, Ignores, Lockfile, RubyVersion};

/// An advisory about the gem `a`.
fn advisory(id: &str, affected: &str, fixed: &str, more: &str) -> Advisory {
    let text = format!(
        "id: {id}\ngem: a\ntitle: t\nurl: https://example.com/a\naffected: ['{affected}']\nfixed: [{fixed}]\ndescription: d\ncertainty: high\n{more}"
    );
    Advisory::from_yaml(&text, id).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn lock(specs: &str, platforms: &str) -> Lockfile {
    let text = format!("GEM\n  specs:\n{specs}\nPLATFORMS\n{platforms}\nDEPENDENCIES\n  a\n  b\n");
    Lockfile::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Lets `look` at the audit of a bundle.
fn check(
    advisories: &[Advisory],
    specs: &str,
    platforms: &str,
    ruby: Option<&str>,
    look: impl FnOnce(&Audit<'_>),
) {
    let lockfile = lock(specs, platforms);
    let database: Database = advisories.iter().cloned().collect();
    let ruby = ruby.map(|text| RubyVersion::of_people(text).expect("a Ruby"));
    let ignores = Ignores::default();
    look(&audit(&Question {
        lockfile: &lockfile,
        ruby: ruby.as_ref().map(|ruby| (ruby, None)),
        database: &database,
        ignores: &ignores,
        today: jiff::civil::date(2026, 11, 23),
    }));
}

fn remedy(advisories: &[Advisory], specs: &str) -> Remedy {
    let mut remedy = None;
    check(advisories, specs, "  ruby\n", None, |audit| {
        remedy = audit.found.first().map(|found| found.remedy.clone());
    });
    remedy.expect("a finding")
}

fn at_least(version: &str) -> Remedy {
    Remedy::AtLeast(version.parse().expect("a version"))
}

#[test]
fn the_remedy_is_the_least_version_without_any_of_the_leaks() {
    let one = advisory("a-1", "< 2.0", "'>= 2.0'", "");
    let other = advisory("a-2", ">= 1.5, < 2.3", "'~> 1.9.4', '>= 2.3'", "");
    assert_eq!(
        remedy(std::slice::from_ref(&one), "    a (1.0)\n"),
        at_least("2.0")
    );
    // 1.9.4 has one of them still, 2.0 the other.
    assert_eq!(
        remedy(&[one.clone(), other.clone()], "    a (1.6)\n"),
        at_least("2.3")
    );
    // 1.0 has the first alone; 2.0 would bring the second.
    assert_eq!(
        remedy(&[one.clone(), other], "    a (1.0)\n"),
        Remedy::Unknown
    );
    let after = advisory("a-3", "= 3.0.0", "'> 3.0.0'", "");
    let bound = "3.0.0".parse().expect("a version");
    assert_eq!(remedy(&[after], "    a (3.0.0)\n"), Remedy::After(bound));
    let open = advisory("a-4", "<= 9", "", "");
    assert_eq!(
        remedy(std::slice::from_ref(&open), "    a (1.0)\n"),
        Remedy::Unknown
    );
    // What has no fix does not keep the others from theirs.
    assert_eq!(remedy(&[open, one], "    a (1.0)\n"), at_least("2.0"));
}

#[test]
fn who_rules_the_remedy_out_is_named() {
    let one = advisory("a-1", "< 2.0", "'>= 2.0'", "");
    let specs = "    a (1.0)\n    b (1.0)\n      a (~> 1.0)\n    c (1)\n      a (>= 1)\n";
    check(&[one], specs, "  ruby\n", None, |audit| {
        let blockers: Vec<_> = audit.found[0]
            .blockers
            .iter()
            .map(|(who, _)| *who)
            .collect();
        assert_eq!(blockers, [Some("b")]);
    });
}

#[test]
fn conditions_are_settled_where_the_lockfile_tells() {
    // Condition, platform of the gem, platforms, Ruby → what becomes of it.
    let cases = [
        ("engine: ruby", "", "  ruby\n", None, "leaks"),
        (
            "engine: ruby",
            "-java",
            "  java\n",
            None,
            "it runs on jruby, not ruby",
        ),
        (
            "engine: jruby",
            "",
            "  java\n  ruby\n",
            None,
            "if it runs on jruby",
        ),
        (
            "engine: jruby",
            "",
            "  java\n  ruby\n",
            Some("jruby-9.4.5.0"),
            "leaks",
        ),
        ("ruby: '>= 3.3'", "", "  ruby\n", None, "if Ruby is >= 3.3"),
        ("ruby: '>= 3.3'", "", "  ruby\n", Some("3.3.1"), "leaks"),
        (
            "ruby: '>= 3.3'",
            "",
            "  ruby\n",
            Some("3.1.7"),
            "Ruby is 3.1.7, not >= 3.3",
        ),
        (
            "gems: {b: '>= 2'}",
            "",
            "  ruby\n",
            None,
            "b is 1.0, not >= 2",
        ),
        ("gems: {b: '>= 1'}", "", "  ruby\n", None, "leaks"),
        (
            "gems: {z: '>= 1'}",
            "",
            "  ruby\n",
            None,
            "z is not in the lockfile",
        ),
        (
            "yjit: true",
            "",
            "  ruby\n",
            Some("3.0.7"),
            "Ruby 3.0.7 has no YJIT",
        ),
        ("yjit: true", "", "  ruby\n", Some("3.3.0"), "if YJIT is on"),
        ("yjit: true", "", "  java\n", None, "jruby has no YJIT"),
        ("setting: x is set", "", "  ruby\n", None, "if x is set"),
        (
            "library: L 6",
            "-x86_64-linux",
            "  ruby\n",
            None,
            "if built against L 6",
        ),
        (
            "system_library: L 6",
            "",
            "  ruby\n",
            None,
            "if built against the system's L 6",
        ),
        (
            "system_library: L 6",
            "-x86_64-linux",
            "  ruby\n",
            None,
            "the gem built for x86_64-linux brings its own library, it needs the system's L 6",
        ),
        (
            "word_size: 32",
            "",
            "  x86_64-linux\n  arm64-darwin\n",
            None,
            "no platform is of 32 bits",
        ),
        (
            "word_size: 32",
            "",
            "  ruby\n  x86_64-linux\n",
            None,
            "if the processor is of 32 bits",
        ),
        ("word_size: 32", "-x86-linux", "  ruby\n", None, "leaks"),
    ];
    for (condition, platform, platforms, ruby, expected) in cases {
        let one = advisory(
            "a-1",
            "< 2.0",
            "'>= 2.0'",
            &format!("only_when: {{{condition}}}\n"),
        );
        let specs = format!("    a (1.0{platform})\n    b (1.0)\n");
        check(&[one], &specs, platforms, ruby, |audit| {
            let told = match (audit.found.first(), audit.passed_over.first()) {
                (Some(found), None) => match found.leaks[0].provided.first() {
                    Some(condition) => format!("if {condition}"),
                    None => "leaks".to_owned(),
                },
                (None, Some(found)) => found.excluded[0].because.clone(),
                _ => "nothing".to_owned(),
            };
            assert_eq!(told, expected, "{condition} {platform}");
        });
    }
}

#[test]
fn a_gem_for_several_platforms_is_one_finding_and_leaks_if_one_does() {
    let one = advisory("a-1", "< 2.0", "'>= 2.0'", "only_when: {engine: ruby}\n");
    let specs = "    a (1.0)\n    a (1.0-java)\n    a (1.0-x86_64-linux)\n";
    check(&[one], specs, "  java\n  x86_64-linux\n", None, |audit| {
        assert_eq!((audit.gems, audit.found.len()), (1, 1));
        let rbleak_audit::matching::Matched::Gem { entries, way } = &audit.found[0].what else {
            panic!("a gem");
        };
        assert_eq!(
            entries.iter().map(|gem| gem.line).collect::<Vec<_>>(),
            [3, 4, 5]
        );
        assert_eq!(way, &["a"]);
    });
}
