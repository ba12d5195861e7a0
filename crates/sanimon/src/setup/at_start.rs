//! At the start: saves that a crash broke off are finished, and files that were changed by hand are told, not taken silently.
//! After a restore: files come back as they were saved last.

use std::path::PathBuf;

use sanimon_api::SetupDocument;
use sanimon_domain::TimestampMs;
use sanimon_store::{SavedDocument, Shared};
use sanimon_writer::{AdoptDocument, Author, Command, Entry};
use sha2::{Digest, Sha256};

use crate::config::{SetupFile, SetupFiles, Staged};

const ALL: [SetupDocument; 3] = [SetupDocument::Rules, SetupDocument::Zones, SetupDocument::Teams];

/// What is to be put on record once the writer runs.
pub(crate) type OnRecord = Vec<(Entry, Command)>;

/// Brings the files in line with what was saved last. Read them after this.
pub(crate) fn reconcile(files: &SetupFiles, shared: &Shared, now: TimestampMs) -> anyhow::Result<OnRecord> {
    let mut on_record = Vec::new();
    for document in ALL {
        let Some(saved) = shared.document(document.as_str())? else { continue };
        let file = files.of(document);
        match state_of(file, &saved) {
            State::Same if saved.is_in_file => {}
            State::Same => on_record.push(adopted(document, "document.in_file", saved, now)),
            State::NotMoved => {
                write(file, &saved)?;
                tracing::warn!(file = %file.path.display(), "a save that was broken off is finished");
                on_record.push(adopted(document, "document.in_file", saved, now));
            }
            State::ChangedByHand(text) => {
                tracing::warn!(file = %file.path.display(), "the file was changed by hand: what it says now is in force");
                let by_hand = SavedDocument { text, ..saved };
                on_record.push(adopted(document, "document.changed_by_hand", by_hand, now));
            }
            State::Gone => {
                tracing::warn!(file = %file.path.display(), "the file is gone: what is built in is in force");
            }
        }
    }
    Ok(on_record)
}

/// After a restore: writes what was saved last of each document into its file. Gives those files.
pub(crate) fn put_back(files: &SetupFiles, shared: &Shared) -> anyhow::Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for document in ALL {
        let Some(saved) = shared.document(document.as_str())? else { continue };
        let file = files.of(document);
        if file.comes_with_the_data() && !matches!(state_of(file, &saved), State::Same) {
            write(file, &saved)?;
            written.push(file.path.clone());
        }
    }
    Ok(written)
}

fn write(file: &SetupFile, saved: &SavedDocument) -> anyhow::Result<()> {
    file.stage(&saved.text).and_then(Staged::put_in_place).map_err(anyhow::Error::msg)
}

/// What a file says, compared with what was saved last.
enum State {
    Same,
    /// The process ended between the commit and the move.
    NotMoved,
    ChangedByHand(String),
    Gone,
}

fn state_of(file: &SetupFile, saved: &SavedDocument) -> State {
    let digest = file.digest();
    if digest == Some(Sha256::digest(saved.text.as_bytes()).into()) {
        return State::Same;
    }
    if !saved.is_in_file && digest == saved.replaces {
        return State::NotMoved;
    }
    match std::fs::read_to_string(&file.path) {
        Ok(text) => State::ChangedByHand(text),
        Err(_) => State::Gone,
    }
}

fn adopted(
    document: SetupDocument,
    action: &'static str,
    saved: SavedDocument,
    now: TimestampMs,
) -> (Entry, Command) {
    let entry = Entry::new(now, Author::Site("start"), action).about(document.as_str());
    (entry, Command::AdoptDocument(AdoptDocument(SavedDocument { is_in_file: true, ..saved })))
}
