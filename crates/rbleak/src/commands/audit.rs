//! `rbleak audit`: gems and Rubies known to leak.

use crate::audit::args::{AuditArgs, AuditFormat};
use crate::audit::data::Data;
use crate::audit::document::{Told, document};
use crate::audit::{ignores, locate, place, update};
use crate::exit::ExitStatus;
use crate::shell;
use anyhow::{Context, Result, bail};
use jiff::civil::Date;
use rbleak_audit::matching::{Question, audit};
use rbleak_audit::{Lockfile, RubyVersion};
use std::path::Path;
use std::time::Duration;

/// Runs the command.
pub(crate) fn run(args: &AuditArgs) -> Result<ExitStatus> {
    let today = jiff::ZonedDateTime::now().date();
    if args.update {
        let url = args.from.as_deref().unwrap_or(update::REPOSITORY);
        let timeout = Duration::from_secs(args.timeout);
        let document = update::update(url, timeout, today)?;
        shell::show_as(&document, args.format.into(), args.output.as_deref())?;
        return Ok(ExitStatus::Clean);
    }
    let here = std::env::current_dir().context("this folder is gone")?;
    let gemfile = std::env::var_os("BUNDLE_GEMFILE");
    let found = locate::find(args.lockfile.as_deref(), &here, gemfile.as_deref())?;
    let lockfile = Lockfile::parse(&found.bytes).with_context(|| found.shown.clone())?;
    let folder = found
        .path
        .as_deref()
        .and_then(Path::parent)
        .unwrap_or(&here);
    let ignores = ignores(args.config.as_deref(), folder)?;
    let data = Data::load(args.db.as_deref())?;
    if let Some(days) = args.fail_on_stale {
        refuse_stale(&data, days, today)?;
    }
    let given = args
        .ruby
        .as_deref()
        .map(RubyVersion::of_people)
        .transpose()
        .context("--ruby wants a full version such as 3.1.7 or jruby-9.4.5.0")?;
    let ruby = match &given {
        Some(ruby) => Some((ruby, None)),
        None => lockfile
            .ruby
            .as_ref()
            .map(|(ruby, line)| (ruby, Some(*line))),
    };
    let answer = audit(&Question {
        lockfile: &lockfile,
        ruby,
        database: &data.database,
        ignores: &ignores,
        today,
    });
    let workspace = std::env::var_os("GITHUB_WORKSPACE").map(Into::into);
    let document = document(&Told {
        lockfile: &lockfile,
        name: &found.shown,
        place: match &found.path {
            Some(path) => place::of(path, workspace),
            None => "Gemfile.lock".to_owned(),
        },
        ruby: ruby.map(|(ruby, _)| ruby),
        data: &data,
        audit: &answer,
        today,
        all: args.all,
    });
    shell::show_as(&document, args.format.into(), args.output.as_deref())?;
    Ok(if answer.found.is_empty() {
        ExitStatus::Clean
    } else {
        ExitStatus::Found
    })
}

/// What is too old to be relied on gives no answer.
fn refuse_stale(data: &Data, days: u32, today: Date) -> Result<()> {
    let Some(date) = data.date else {
        bail!(
            "--fail-on-stale {days}: the advisories {} do not say of which day they are",
            data.origin
        );
    };
    let age = (today - date).get_days();
    if i64::from(age) > i64::from(days) {
        bail!(
            "the advisories are of {date}, {age} days old, and more than {days} are too many (--fail-on-stale): run rbleak audit --update"
        );
    }
    Ok(())
}

impl From<AuditFormat> for shell::Rendering {
    fn from(format: AuditFormat) -> shell::Rendering {
        match format {
            AuditFormat::Text => shell::Rendering::Text,
            AuditFormat::Json => shell::Rendering::Json,
            AuditFormat::Sarif => shell::Rendering::Sarif,
            AuditFormat::Markdown => shell::Rendering::Markdown,
            AuditFormat::Github => shell::Rendering::Github,
        }
    }
}
