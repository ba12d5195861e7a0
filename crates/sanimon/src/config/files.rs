//! The files that the console may change, too: rules, zones, teams.

use std::io::Write;
use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use sanimon_alerting::RuleSet;
use sanimon_api::SetupDocument;
use sanimon_operations::Teams;
use sanimon_store::Zone;
use sha2::{Digest, Sha256};

use super::reader::{ConfigFault, Document};
use super::{rules, teams, zones};

/// One of them: named by the configuration, or in the data directory as soon as somebody has saved it from the console.
#[derive(Debug, Clone)]
pub(crate) struct SetupFile {
    pub(crate) path: PathBuf,
    /// What counts while there is no such file; `None`: the configuration names it, so it must be there.
    built_in: Option<&'static str>,
}

impl SetupFile {
    fn new(named: Option<PathBuf>, data: &Path, name: &str, built_in: &'static str) -> Self {
        match named {
            Some(path) => Self { path, built_in: None },
            None => Self { path: data.join(name), built_in: Some(built_in) },
        }
    }

    /// Whether a restore brings it back: a file that the configuration names is the administrator's own, if it is there.
    pub(crate) fn comes_with_the_data(&self) -> bool {
        self.built_in.is_some() || !self.path.exists()
    }

    /// Nobody has saved it yet, and the configuration names none.
    pub(crate) fn is_missing(&self) -> bool {
        self.built_in.is_some() && !self.path.exists()
    }

    fn document(&self) -> Document {
        match self.built_in {
            Some(text) if !self.path.exists() => {
                let name = self.path.file_name().unwrap_or_default().to_string_lossy();
                Document::of(&format!("the built-in {name}"), text)
            }
            _ => Document::read(&self.path),
        }
    }

    pub(crate) fn text(&self) -> Result<String, ConfigFault> {
        let Document { text, faults, .. } = self.document();
        faults.into_iter().next().map_or(Ok(text), Err)
    }

    /// Writes a text beside the file, synced: [`Staged::put_in_place`] replaces the file as a whole.
    pub(crate) fn stage(&self, text: &str) -> Result<Staged, String> {
        let failed = |error: std::io::Error| self.not_written(&error);
        let mut draft = tempfile::NamedTempFile::new_in(self.folder()).map_err(failed)?;
        draft.write_all(text.as_bytes()).and_then(|()| draft.as_file().sync_all()).map_err(failed)?;
        if let Ok(known) = std::fs::metadata(&self.path) {
            draft.as_file().set_permissions(known.permissions()).map_err(failed)?;
        }
        Ok(Staged { draft, file: self.clone() })
    }

    /// The SHA-256 of what the file says; `None`: there is no file.
    pub(crate) fn digest(&self) -> Option<[u8; 32]> {
        let text = std::fs::read(&self.path).ok()?;
        Some(Sha256::digest(&text).into())
    }

    fn folder(&self) -> &Path {
        self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    fn not_written(&self, error: &std::io::Error) -> String {
        format!(
            "{} cannot be written: {error}. Give sanimon the right to write there, or change the file by hand",
            self.path.display()
        )
    }
}

/// A text that is written beside its file.
#[derive(Debug)]
pub(crate) struct Staged {
    draft: tempfile::NamedTempFile,
    file: SetupFile,
}

impl Staged {
    /// After a crash there is the old file or the new one.
    pub(crate) fn put_in_place(self) -> Result<(), String> {
        let Self { draft, file } = self;
        draft.persist(&file.path).map_err(|error| file.not_written(&error.error))?;
        let synced = std::fs::File::open(file.folder()).and_then(|folder| folder.sync_all());
        synced.map_err(|error| file.not_written(&error))
    }
}

/// All three.
#[derive(Debug, Clone)]
pub(crate) struct SetupFiles {
    pub(crate) rules: SetupFile,
    pub(crate) zones: SetupFile,
    pub(crate) teams: SetupFile,
    time_zone: Tz,
}

/// What of them the configuration names.
#[derive(Debug, Default)]
pub(crate) struct NamedFiles {
    pub(crate) rules: Option<PathBuf>,
    pub(crate) zones: Option<PathBuf>,
    pub(crate) teams: Option<PathBuf>,
}

impl SetupFiles {
    /// Those of a site whose data are in this directory.
    pub(crate) fn new(data: &Path, named: NamedFiles, time_zone: Tz) -> Self {
        Self {
            rules: SetupFile::new(named.rules, data, "rules.toml", rules::DEFAULT_RULES),
            zones: SetupFile::new(named.zones, data, "zones.toml", ""),
            teams: SetupFile::new(named.teams, data, "teams.toml", ""),
            time_zone,
        }
    }

    pub(crate) fn of(&self, document: SetupDocument) -> &SetupFile {
        match document {
            SetupDocument::Rules => &self.rules,
            SetupDocument::Zones => &self.zones,
            SetupDocument::Teams => &self.teams,
        }
    }

    /// The same, with the example's teams until others are saved: a demo has people.
    pub(crate) fn with_example_teams(mut self) -> Self {
        self.teams.built_in = Some(teams::EXAMPLE);
        self
    }

    /// The rules with their text; every fault otherwise.
    pub(crate) fn read_rules(&self) -> Result<(RuleSet, String), Vec<ConfigFault>> {
        let document = self.rules.document();
        let text = document.text().to_owned();
        Ok((rules::read(document)?, text))
    }

    pub(crate) fn read_zones(&self) -> Result<Vec<Zone>, Vec<ConfigFault>> {
        zones::read(self.zones.document())
    }

    pub(crate) fn read_teams(&self) -> Result<Teams, Vec<ConfigFault>> {
        teams::read(self.teams.document(), self.time_zone)
    }

    pub(crate) fn rules_of(text: &str) -> Result<RuleSet, Vec<ConfigFault>> {
        rules::read(Document::of("rules.toml", text))
    }

    pub(crate) fn zones_of(text: &str) -> Result<Vec<Zone>, Vec<ConfigFault>> {
        zones::read(Document::of("zones.toml", text))
    }

    pub(crate) fn teams_of(&self, text: &str) -> Result<Teams, Vec<ConfigFault>> {
        teams::read(Document::of("teams.toml", text), self.time_zone)
    }
}

/// Rules in a file of their own, wherever it is.
pub(crate) fn rules_in(path: &Path) -> Result<RuleSet, Vec<ConfigFault>> {
    rules::read(Document::read(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_counts_from_then_on_and_what_is_named_must_be_there() {
        let data = tempfile::tempdir().expect("a folder");
        let files = SetupFiles::new(data.path(), NamedFiles::default(), Tz::Asia__Shanghai);
        assert!(files.rules.is_missing() && files.read_rules().expect("the built-in ones").0.len() > 10);
        assert_eq!(files.read_zones().expect("none").len(), 0);
        files
            .zones
            .stage("[[zone]]\nid = \"a\"\nname = { en = \"A\", zh = \"甲\" }\nclass = \"street\"\n")
            .expect("written")
            .put_in_place()
            .expect("moved");
        assert_eq!(files.read_zones().expect("one").len(), 1);
        let named = NamedFiles { rules: Some(data.path().join("mine.toml")), ..NamedFiles::default() };
        let files = SetupFiles::new(data.path(), named, Tz::Asia__Shanghai);
        let faults = files.read_rules().expect_err("it is not there");
        assert!(faults[0].to_string().contains("mine.toml: cannot be read"), "{faults:?}");
    }

    #[test]
    fn what_cannot_be_written_says_what_to_do() {
        let files = SetupFiles::new(Path::new("/nowhere/at/all"), NamedFiles::default(), Tz::UTC);
        let told = files.rules.stage("x").expect_err("no such folder");
        assert!(
            told.contains("/nowhere/at/all/rules.toml cannot be written") && told.contains("by hand"),
            "{told}"
        );
    }
}
