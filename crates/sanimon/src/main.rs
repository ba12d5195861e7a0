//! sanimon: a town's sanitation monitor. One binary, one command.
//!
//! This crate is the command line, the configuration, and the one place where the parts are put together
//! ([`site`]). Each command is a file in `commands/`.

#![forbid(unsafe_code)]

mod channels;
mod clock;
mod commands;
mod config;
mod doors;
mod http;
mod models;
mod replay;
mod screen;
mod service;
mod setup;
mod site;
mod supervisor;
mod tls;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

/// A message is made by one thread and freed by another, which costs the system's allocator a quarter of all time
/// (docs/PERFORMANCE.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// A town's sanitation monitor: bins, drains and public toilets over MQTT.
#[derive(Debug, Parser)]
#[command(name = "sanimon", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A working town in a browser: embedded broker, simulated township, console.
    Demo(commands::demo::Demo),
    /// Runs a site from its configuration.
    Serve(commands::serve::Serve),
    /// Publishes a simulated township to a broker.
    Simulate(commands::simulate::Simulate),
    /// Measures; prints one JSON object.
    #[command(subcommand)]
    Bench(commands::bench::Bench),
    /// Says every fault of a configuration, with file, line and fix.
    Check(commands::check::Check),
    /// Makes certificates by a town's own authority.
    #[command(subcommand)]
    Certificate(commands::certificate::Certificate),
    /// Says what a device's binary frame says.
    Decode(commands::decode::Decode),
    /// Says which rules speak for a device, with which numbers, and why.
    #[command(subcommand)]
    Rules(commands::rules::Rules),
    /// Tries rules on stored history: what would have been raised, cleared, missed.
    Replay(commands::replay::Replay),
    /// Enters devices from a table, or writes them to one.
    #[command(subcommand)]
    Device(commands::device::Device),
    /// Asks a running sanimon whether it is ready.
    Health(commands::health::Health),
    /// Copies everything to a file, while sanimon runs.
    Backup(commands::backup::Backup),
    /// Puts a backup back, while sanimon does not run.
    Restore(commands::backup::Restore),
    /// Writes readings as CSV or line protocol, while sanimon runs.
    Export(commands::export::Export),
    /// Stores readings from CSV or line protocol, while sanimon does not run.
    Import(commands::import::Import),
    /// Adds and lists the people who may sign in.
    #[command(subcommand)]
    User(commands::user::User),
    /// Prints the OpenAPI document.
    Openapi,
}

fn main() -> ExitCode {
    // clap ends the process with 2 on wrong use.
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Demo(demo) => demo.run(),
        Command::Serve(serve) => serve.run(),
        Command::Simulate(simulate) => simulate.run(),
        Command::Bench(bench) => bench.run(),
        Command::Check(check) => check.run(),
        Command::Certificate(certificate) => certificate.run(),
        Command::Decode(decode) => decode.run(),
        Command::Rules(rules) => rules.run(),
        Command::Replay(replay) => replay.run(),
        Command::Device(device) => device.run(),
        Command::Health(health) => health.run(),
        Command::Backup(backup) => backup.run(),
        Command::Restore(restore) => restore.run(),
        Command::Export(export) => export.run(),
        Command::Import(import) => import.run(),
        Command::User(user) => user.run(),
        Command::Openapi => {
            screen::print(&sanimon_api::openapi());
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen::complain(&error);
            ExitCode::FAILURE
        }
    }
}
