//! Saving a document is one step that nobody can halve: the writer accepts first, then the file is moved into place.
//!
//! The text, its entry in the audit log and what it changes are one transaction. The file is written beside its place before
//! (so that a disk that refuses says so before anything changes), and moved there after. All of it runs in a task of its own,
//! not in the request: a browser that goes away ends nothing. A process that ends between the commit and the move finishes
//! it at its next start ([`sanimon_store::SavedDocument`]).

use axum::http::StatusCode;
use sanimon_store::SavedDocument;
use sanimon_writer::{Author, DocumentInFile, Entry, PutRules, PutTeams, SetZones};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::source::{Checked, SetupDocument, StagedFile};
use super::{Saved, current, refuse, version};
use crate::access::User;
use crate::error::Problem;
use crate::state::ApiState;

/// Saves a document; ends in its own time, also when nobody waits any more.
pub(super) async fn save(
    state: ApiState,
    user: User,
    document: SetupDocument,
    saved: Saved,
) -> Result<String, Problem> {
    let task = tokio::spawn(save_whole(state, user, document, saved));
    task.await.map_err(|_| Problem::internal("saving a document broke off"))?
}

async fn save_whole(
    state: ApiState,
    user: User,
    document: SetupDocument,
    saved: Saved,
) -> Result<String, Problem> {
    // One at a time: two who save the same version must not both be believed.
    let _turn = state.saving.lock().await;
    let before = current(&state, document)?;
    if saved.version != version(&before) {
        let why = "somebody else changed it meanwhile: read it again, and make your change there";
        return Err(Problem::new(StatusCode::CONFLICT, why));
    }
    let checked = state.site.setup.check(document, &saved.text).map_err(refuse)?;
    let staged = stage(&state, document, saved.text.clone()).await?;
    let row = SavedDocument {
        name: document.as_str().to_owned(),
        text: saved.text.clone(),
        replaces: state.site.setup.file_digest(document),
        is_in_file: false,
    };
    let detail = json!({ "from": version(&before), "to": version(&saved.text) });
    let entry = state.audit(&user, audit_word(document), "", &detail);
    put_in_force(&state, entry, checked, row).await?;
    tracing::info!(document = document.as_str(), who = user.name, "set up was changed");
    put_in_place(&state, document, staged, &saved.text).await;
    Ok(saved.text)
}

async fn stage(
    state: &ApiState,
    document: SetupDocument,
    text: String,
) -> Result<Box<dyn StagedFile>, Problem> {
    let setup = state.site.setup.clone();
    let staged = tokio::task::spawn_blocking(move || setup.stage(document, &text)).await;
    staged.map_err(Problem::internal)?.map_err(|why| Problem::new(StatusCode::CONFLICT, why))
}

async fn put_in_force(
    state: &ApiState,
    entry: Entry,
    checked: Checked,
    row: SavedDocument,
) -> Result<(), Problem> {
    let document = Some(row);
    match checked {
        Checked::Rules(new) => state.change(entry, PutRules { new: *new, document }).await.map(|_: i64| ()),
        Checked::Zones(zones) => state.change(entry, SetZones { zones, document }).await,
        Checked::Teams(teams) => state.change(entry, PutTeams { teams, document }).await,
    }
}

/// It is in force whatever happens here: what fails is said, and done at the next start.
async fn put_in_place(state: &ApiState, document: SetupDocument, staged: Box<dyn StagedFile>, text: &str) {
    let name = document.as_str();
    match tokio::task::spawn_blocking(move || staged.put_in_place()).await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => {
            return tracing::error!(document = name, why, "in force, and its file is not written yet");
        }
        Err(error) => {
            return tracing::error!(document = name, %error, "in force, and its file is not written yet");
        }
    }
    let sha256 = Sha256::digest(text.as_bytes()).into();
    let entry = Entry::new(state.now(), Author::Site("console"), "document.in_file").about(name);
    if let Err(problem) = state.change(entry, DocumentInFile { name: name.to_owned(), sha256 }).await {
        tracing::warn!(
            document = name,
            why = problem.detail,
            "that a document is in its file is not noted yet"
        );
    }
}

const fn audit_word(document: SetupDocument) -> &'static str {
    match document {
        SetupDocument::Rules => "rules.save",
        SetupDocument::Zones => "zones.save",
        SetupDocument::Teams => "teams.save",
    }
}
