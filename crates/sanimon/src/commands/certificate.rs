//! `sanimon certificate`: a town's own authority, for the site and for devices. Who has one already does not need it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use chrono::Datelike;
use clap::{Args, Subcommand};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::screen;

/// The authority's own certificate, and those that it signs.
const CA_YEARS: i32 = 20;
const SIGNED_YEARS: i32 = 2;

#[derive(Debug, Subcommand)]
pub(crate) enum Certificate {
    /// Makes an authority (ca.pem, ca.key) and a certificate for the site's names (server.pem, server.key).
    Site(Site),
    /// Makes a certificate for a device, whose common name is its id ({id}.pem, {id}.key).
    Device(Device),
}

#[derive(Debug, Args)]
pub(crate) struct Site {
    /// A name or an address by which the site is reached; several times for several.
    #[arg(long = "name", value_name = "NAME", required = true)]
    names: Vec<String>,
    #[command(flatten)]
    folder: Folder,
}

#[derive(Debug, Args)]
pub(crate) struct Device {
    id: String,
    #[command(flatten)]
    folder: Folder,
}

#[derive(Debug, Args)]
pub(crate) struct Folder {
    /// Where the files are.
    #[arg(long = "folder", value_name = "DIR", default_value = "tls")]
    path: PathBuf,
}

impl Certificate {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Site(Site { names, folder }) => {
                make_site(names, &folder.path)?;
                screen::step("authority", &folder.path.join("ca.pem").display().to_string());
                screen::step("site", &folder.path.join("server.pem").display().to_string());
                Ok(())
            }
            Self::Device(Device { id, folder }) => {
                let issuer = authority(&folder.path)?;
                sign(&issuer, &id, Vec::new(), &folder.path, &id)?;
                screen::step("device", &folder.path.join(format!("{id}.pem")).display().to_string());
                Ok(())
            }
        }
    }
}

/// An authority, where there is none yet, and a certificate for the site's names.
pub(crate) fn make_site(names: Vec<String>, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    // An authority that is there already goes on: devices know it.
    if !folder.join("ca.key").exists() {
        let key = KeyPair::generate()?;
        let mut params = params(Vec::new(), "sanimon: the town's own authority", CA_YEARS)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        write_secret(&folder.join("ca.key"), &key.serialize_pem())?;
        fs::write(folder.join("ca.pem"), certificate.pem())?;
    }
    let name = names.first().cloned().unwrap_or_default();
    sign(&authority(folder)?, &name, names, folder, "server")
}

fn params(names: Vec<String>, common_name: &str, years: i32) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(names).context("a name is none that a certificate can have")?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let today = chrono::Utc::now().date_naive();
    let day = |year: i32| rcgen::date_time_ymd(year, today.month() as u8, today.day().min(28) as u8);
    params.not_before = day(today.year() - 1);
    params.not_after = day(today.year() + years);
    Ok(params)
}

fn authority(folder: &Path) -> anyhow::Result<Issuer<'static, KeyPair>> {
    let read = |name: &str| {
        let path = folder.join(name);
        let hint = "make an authority first: sanimon certificate site --name NAME";
        fs::read_to_string(&path).with_context(|| format!("cannot read {}: {hint}", path.display()))
    };
    let key = KeyPair::from_pem(&read("ca.key")?).context("ca.key holds no private key")?;
    // Its name and its key are all that a signature needs.
    let mut own = params(Vec::new(), "sanimon: the town's own authority", CA_YEARS)?;
    own.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    read("ca.pem")?;
    Ok(Issuer::new(own, key))
}

fn sign(
    issuer: &Issuer<'static, KeyPair>,
    common_name: &str,
    names: Vec<String>,
    folder: &Path,
    file: &str,
) -> anyhow::Result<()> {
    anyhow::ensure!(!file.contains(['/', '\\']) && file != "ca", "`{file}` is no name for a file");
    let purpose = if names.is_empty() {
        ExtendedKeyUsagePurpose::ClientAuth
    } else {
        ExtendedKeyUsagePurpose::ServerAuth
    };
    let mut params = params(names, common_name, SIGNED_YEARS)?;
    params.extended_key_usages = vec![purpose];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    // The key first: a running sanimon that reads between the two keeps what it has.
    write_secret(&folder.join(format!("{file}.key")), &key.serialize_pem())?;
    fs::write(folder.join(format!("{file}.pem")), certificate.pem())?;
    Ok(())
}

/// A file that only its owner reads.
pub(crate) fn write_secret(file: &Path, text: &str) -> anyhow::Result<()> {
    let open = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(file);
    open.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use sanimon_net::{Minimum, TlsFiles};

    use super::*;

    #[test]
    fn what_it_makes_is_what_the_configuration_takes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        make_site(vec!["sanimon.lan".to_owned(), "127.0.0.1".to_owned()], path)
            .expect("a site's certificate");
        let before = fs::read_to_string(path.join("ca.pem")).expect("an authority");
        let device = Device { id: "b-1".to_owned(), folder: Folder { path: path.to_owned() } };
        Certificate::Device(device).run().expect("a device's certificate");
        let files = TlsFiles {
            certificate: path.join("server.pem"),
            key: path.join("server.key"),
            client_ca: Some(path.join("ca.pem")),
            client_crl: None,
            client_required: true,
            minimum: Minimum::Tls13,
        };
        files.load().expect("sound files");
        make_site(vec!["sanimon.lan".to_owned()], path).expect("renewed");
        assert_eq!(fs::read_to_string(path.join("ca.pem")).expect("an authority"), before);
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(path.join("ca.key")).expect("a key").permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }
}
