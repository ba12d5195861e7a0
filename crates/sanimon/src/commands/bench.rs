//! `sanimon bench`.
use clap::Subcommand;
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {}
impl Bench {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {}
    }
}
