//! Puts the advisories of `advisories/` into one file that the binary embeds,
//! so that no YAML is read at run time; a broken one breaks the build.

use rbleak_audit::{Advisory, Database, Store};
use std::error::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../advisories");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut database = Database::default();
    for kind in ["gems", "rubies"] {
        for subject in entries(&folder.join(kind))? {
            for file in entries(&subject)? {
                let told = |what: &dyn std::fmt::Display| format!("{}: {what}", file.display());
                let text = std::fs::read_to_string(&file).map_err(|error| told(&error))?;
                let stem = file.file_stem().unwrap_or_default().to_string_lossy();
                let advisory = Advisory::from_yaml(&text, &stem).map_err(|error| told(&error))?;
                if let Some(problem) = advisory.problems().first() {
                    return Err(told(problem).into());
                }
                database.insert(advisory);
            }
        }
    }
    let date = std::fs::read_to_string(folder.join("DATE"))?
        .trim()
        .parse()?;
    let store = Store::new(None, None, date, true, &database);
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("advisories.json");
    std::fs::write(out, store.to_json()?)?;
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut entries = Vec::new();
    for entry in
        std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?
    {
        entries.push(entry?.path());
    }
    entries.sort();
    Ok(entries)
}
