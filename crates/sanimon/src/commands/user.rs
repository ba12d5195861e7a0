//! `sanimon user`: the people who may sign in. For a site that is not running.

use std::io::{BufRead, IsTerminal};

use clap::{Args, Subcommand};
use sanimon_domain::{Clock, ZoneId};
use sanimon_store::Account;
use sanimon_writer::PutAccount;

use super::place::{Place, audit};
use crate::clock::RealClock;
use crate::screen;

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Adds a person; the password is read from the standard input, or made and shown once.
    Add(Entry),
    /// Gives a person another password.
    Passwd(Known),
    /// Lists names and roles.
    List(Place),
}

#[derive(Debug, Args)]
pub(crate) struct Entry {
    name: String,
    /// viewer, crew, dispatcher, manager or admin
    #[arg(long, default_value = "dispatcher", value_parser = sanimon_api::ROLES)]
    role: String,
    /// A zone that the person is limited to; several times for several. Left out: the whole site.
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    zone: Vec<ZoneId>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Known {
    name: String,
    #[command(flatten)]
    place: Place,
}

impl User {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(place) => {
                let store = place.find()?.store()?;
                let lines: Vec<String> = store.shared.accounts()?.iter().map(line).collect();
                screen::print(&lines.concat());
                Ok(())
            }
            Self::Add(Entry { name, role, zone, place }) => store(&name, Some((&role, zone)), place),
            Self::Passwd(Known { name, place }) => store(&name, None, place),
        }
    }
}

/// A new account with this role and these zones, or another password for one that is there.
fn store(name: &str, new: Option<(&str, Vec<ZoneId>)>, place: Place) -> anyhow::Result<()> {
    anyhow::ensure!(
        sanimon_api::valid_account_name(name),
        "`{name}` is no account name: letters, digits, - _ . @, at most 64"
    );
    let mut writer = place.find()?.offline()?;
    let account = match (writer.shared()?.account(name)?, new) {
        (None, Some((role, zones))) => Account { zones, ..Account::new(name, String::new(), role) },
        (Some(known), None) => known,
        (None, None) => anyhow::bail!("there is no account `{name}`: `sanimon user list` shows all"),
        (Some(_), Some(_)) => {
            anyhow::bail!("there is an account `{name}` already: use `sanimon user passwd {name}`")
        }
    };
    let (password, was_made) = password()?;
    let password_hash = sanimon_api::hash_password(&password).map_err(|error| anyhow::anyhow!(error))?;
    let account = Account { password_hash, ..account };
    let detail = format!("{{\"role\":\"{}\"}}", account.role);
    writer.ask(RealClock.now(), audit("user.put", name, detail), PutAccount(account))?;
    if was_made {
        screen::print(&format!("{name} / {password}   (shown once: keep it)\n"));
    }
    Ok(())
}

/// Name, role, zones.
fn line(account: &Account) -> String {
    let zones: Vec<&str> = account.zones.iter().map(ZoneId::as_str).collect();
    let zones = if zones.is_empty() { String::new() } else { format!("\t{}", zones.join(" ")) };
    format!("{}\t{}{zones}\n", account.name, account.role)
}

fn zone(text: &str) -> Result<ZoneId, String> {
    ZoneId::new(text).map_err(|error| error.to_string())
}

/// From a pipe, or made.
fn password() -> anyhow::Result<(String, bool)> {
    let input = std::io::stdin();
    if input.is_terminal() {
        return Ok((sanimon_api::random_password(), true));
    }
    let mut line = String::new();
    input.lock().read_line(&mut line)?;
    let password = line.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        return Ok((sanimon_api::random_password(), true));
    }
    anyhow::ensure!(password.chars().count() >= 8, "the password has fewer than 8 characters");
    Ok((password.to_owned(), false))
}
