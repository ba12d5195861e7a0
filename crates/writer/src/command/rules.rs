//! Rules that are put in force, and the documents that people save.

use std::sync::Arc;

use sanimon_alerting::RuleSet;
use sanimon_store::{NewRules, SavedDocument};

use super::{Done, Execution, Stopped};
use crate::cases::Cases;
use crate::restore::{Restored, restore};

/// Puts other rules in force: the engine begins anew from what is stored, under them. Answers their version.
#[derive(Debug, Clone)]
pub struct PutRules {
    pub new: NewRules,
    /// The document that was saved; `None`: the rules come from their file.
    pub document: Option<SavedDocument>,
}

/// A saved document stands in its file now.
#[derive(Debug, Clone)]
pub struct DocumentInFile {
    pub name: String,
    pub sha256: [u8; 32],
}

/// A document's file was changed by hand while nobody looked: what it says is in force, and that is on record.
#[derive(Debug, Clone)]
pub struct AdoptDocument(pub SavedDocument);

impl AdoptDocument {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        put_document(work, Some(&self.0))?;
        Ok(Done::Nothing)
    }
}

impl PutRules {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        let version = work.tx.put_rules_version(&self.new.text, work.now)?;
        put_document(work, self.document.as_ref())?;
        let rules = Arc::new(RuleSet::clone(&self.new.rules).with_version(version));
        let Restored { engine, effects } = restore(work.tx, &rules, &work.restore_from())?;
        // What follows is told by the names of the new rules.
        let mut cases = Cases::new(work.tx, &rules, work.settings, work.now);
        cases.apply(&effects)?;
        let Cases { changed, damaged, .. } = cases;
        work.cases.changed.extend(changed);
        work.cases.damaged.extend(damaged);
        work.after.rules = Some((rules, engine));
        Ok(Done::Number(version))
    }
}

impl DocumentInFile {
    pub(super) fn carry_out(&self, work: &mut Execution<'_>) -> Result<Done, Stopped> {
        work.tx.note_document_in_file(&self.name, &self.sha256)?;
        Ok(Done::Nothing)
    }
}

/// The text that was saved is in the file with the change that it makes, or neither is.
pub(super) fn put_document(work: &Execution<'_>, document: Option<&SavedDocument>) -> Result<(), Stopped> {
    if let Some(document) = document {
        work.tx.put_document(document, work.now)?;
    }
    Ok(())
}
