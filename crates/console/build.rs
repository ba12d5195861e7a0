//! Builds the web console with npm into `$OUT_DIR` and tells `rust-embed` where it is.
//!
//! * npm missing: the build goes on with a warning, and `/` says how to get the console.
//! * npm present and failing: the build fails, for what would be embedded is not what the sources say.
//! * `SANIMON_CONSOLE=skip` leaves the console out.
//!
//! The sources are copied to `$OUT_DIR` and built there: a build never writes into the source tree, and two builds of
//! different profiles do not meet.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the bundler reads. Only paths that exist are watched, or every build would run again.
const SOURCES: [&str; 8] = [
    "index.html",
    "package.json",
    "package-lock.json",
    "public",
    "src",
    "svelte.config.js",
    "tsconfig.json",
    "vite.config.ts",
];

fn main() {
    let console = PathBuf::from(env("CARGO_MANIFEST_DIR")).join("../../dashboards/console");
    let out = PathBuf::from(env("OUT_DIR"));
    let dist = out.join("dist");
    println!("cargo::rerun-if-env-changed=SANIMON_CONSOLE");
    println!("cargo::rerun-if-changed=build.rs");
    for source in SOURCES.iter().map(|name| console.join(name)).filter(|path| path.exists()) {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    println!("cargo::rustc-env=SANIMON_CONSOLE_DIST={}", dist.display());
    if std::env::var_os("SANIMON_CONSOLE").is_some_and(|value| value == "skip") {
        return empty(&dist);
    }
    let npm_works = Command::new("npm").arg("--version").output().is_ok_and(|output| output.status.success());
    if !npm_works {
        println!(
            "cargo::warning=the web console is left out: npm was not found. Install Node.js 20.19 or newer and build again"
        );
        return empty(&dist);
    }
    if let Err(why) = build(&console, &out, &dist) {
        panic!("the web console could not be built: {why}\n(SANIMON_CONSOLE=skip leaves it out)");
    }
}

fn env(name: &str) -> String {
    std::env::var(name).expect("cargo sets it for build scripts")
}

fn empty(dist: &Path) {
    let _ = fs::remove_dir_all(dist);
    fs::create_dir_all(dist).expect("OUT_DIR can be written");
}

fn build(console: &Path, out: &Path, dist: &Path) -> Result<(), String> {
    let work = out.join("console");
    let failed = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    fs::create_dir_all(&work).map_err(failed("make the work folder"))?;
    let lock = File::create(out.join("console.lock")).map_err(failed("make the lock file"))?;
    lock.lock().map_err(failed("lock the work folder"))?;
    for name in SOURCES {
        mirror(&console.join(name), &work.join(name)).map_err(failed("copy the sources"))?;
    }
    install(&work)?;
    run(&work, &["run", "build", "--", "--outDir", &dist.display().to_string(), "--emptyOutDir"])
}

/// `npm ci`, only when the lock file is another than the one that was installed.
fn install(work: &Path) -> Result<(), String> {
    let lock =
        fs::read(work.join("package-lock.json")).map_err(|error| format!("package-lock.json: {error}"))?;
    let stamp = work.join("installed.lock");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    run(work, &["ci", "--no-audit", "--no-fund", "--loglevel=error"])?;
    fs::write(&stamp, &lock).map_err(|error| format!("{}: {error}", stamp.display()))
}

fn run(folder: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("npm").args(arguments).current_dir(folder).output();
    let output = output.map_err(|error| format!("npm {}: {error}", arguments[0]))?;
    if output.status.success() {
        return Ok(());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Err(format!("npm {} failed:\n{}{}", arguments.join(" "), text(&output.stdout), text(&output.stderr)))
}

/// Makes `to` the same as `from`: files that are gone are removed.
fn mirror(from: &Path, to: &Path) -> io::Result<()> {
    if !from.exists() {
        return if to.is_dir() { fs::remove_dir_all(to) } else { fs::remove_file(to).or(Ok(())) };
    }
    if !from.is_dir() {
        return fs::copy(from, to).map(|_| ());
    }
    fs::create_dir_all(to)?;
    let names = |folder: &Path| -> io::Result<Vec<_>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect()
    };
    let wanted = names(from)?;
    for name in names(to)?.into_iter().filter(|name| !wanted.contains(name)) {
        mirror(&from.join(&name), &to.join(&name))?;
    }
    wanted.iter().map(OsStr::new).try_for_each(|name| mirror(&from.join(name), &to.join(name)))
}
