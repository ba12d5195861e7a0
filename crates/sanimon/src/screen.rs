//! What people read in the terminal.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};
use tracing_subscriber::EnvFilter;

/// Prints a text to the standard output. A closed pipe is no fault of ours.
pub(crate) fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// One step of a start, as a line: what, and how it stands.
pub(crate) fn step(what: &str, state: &str) {
    let _ = writeln!(std::io::stdout(), "  {what:<10} {state}");
}

/// A line that replaces itself, on a terminal only.
pub(crate) fn progress(what: &str, state: &str) {
    let mut out = std::io::stdout();
    if out.is_terminal() {
        let _ = write!(out, "\r  {what:<10} {state}\x1b[K");
        let _ = out.flush();
    }
}

/// Ends a line that replaced itself.
pub(crate) fn progress_done() {
    let mut out = std::io::stdout();
    if out.is_terminal() {
        let _ = write!(out, "\r\x1b[K");
        let _ = out.flush();
    }
}

/// A bar for what takes its time, on the standard error; on a terminal only.
pub(crate) fn bar(what: &'static str, all: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "  {msg:<10} {bar:30} {percent:>3}% {human_pos} of {human_len}, {eta} left",
    );
    // The template is a constant: it has no fault that a user could meet.
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(all).with_style(style).with_message(what)
}

/// One clear line about what went wrong.
pub(crate) fn complain(error: &anyhow::Error) {
    let _ = writeln!(std::io::stderr(), "sanimon: {error:#}");
}

/// Logs go to the standard error; `SANIMON_LOG` changes what (`info`, `sanimon_ingest=debug`, ...).
pub(crate) fn start_log(default: &str) {
    let filter = EnvFilter::try_from_env("SANIMON_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A second start (in tests) keeps the first.
    let _ = subscriber.try_init();
}
