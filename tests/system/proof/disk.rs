//! A disk that is full, or that turns read-only: nothing is acknowledged, it is said, and it goes on by itself.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::load::{Load, judge, site_for_load};
use super::{scale, told};
use crate::harness::wait_for;

/// A small file system of its own; `None` where this user may not mount one.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(crate) fn mount(at: &Path, megabytes: u64) -> Option<Self> {
        fs::create_dir_all(at).expect("a folder");
        let size = format!("size={megabytes}m");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).status();
        let mounted = done.is_ok_and(|status| status.success());
        assert!(mounted || std::env::var("CI").is_err(), "CI must be able to mount a tmpfs");
        mounted.then(|| Self(at.to_owned()))
    }

    /// False when the kernel refuses: somebody writes at this moment.
    fn remount(&self, how: &str) -> bool {
        let options = format!("remount,{how}");
        let done = Command::new("mount").args(["-o", &options]).arg(&self.0).output();
        done.is_ok_and(|output| output.status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_is_full_again_and_again() {
    let mut site = site_for_load("");
    let Some(_disk) = SmallDisk::mount(&site.data(), 24) else { return };
    site.prepare();
    let load = Load::start(site.mqtt, Duration::from_millis(1));
    let rounds = scale(2, 20);
    let ballast = site.data().join("ballast");
    for _ in 0..rounds {
        load.wait_for_more(30);
        let mut file = fs::File::create(&ballast).expect("a file");
        // Until the disk says no, and then what sanimon's log still had of room.
        wait_for("the disk is full, and it is said", || {
            while file.write_all(&[7; 4096]).is_ok() {}
            let (status, body) = site.get("/readyz")?;
            (status == 503 && body.contains("full")).then_some(())
        });
        drop(file);
        let stood_at = load.count();
        assert!(site.metric("sanimon_store_ok") == Some(0));
        fs::remove_file(&ballast).expect("the ballast");
        wait_for("it goes on by itself", || (site.get("/readyz")?.0 == 200).then_some(()));
        load.wait_for_more(10);
        assert!(load.count() > stood_at);
    }
    let mut result = judge(&site, &load.finish());
    result["times_full"] = rounds.into();
    told("disk-full", &result);
}

#[test]
fn a_disk_that_turns_read_only() {
    let mut site = site_for_load("");
    let Some(disk) = SmallDisk::mount(&site.data(), 64) else { return };
    site.prepare();
    let load = Load::start(site.mqtt, Duration::from_millis(5));
    load.wait_for_more(50);
    // A tmpfs with open files for writing refuses; a disk with errors does not ask. A process without them it is, then.
    assert_eq!(site.stop(), 0);
    wait_for("the disk is read-only", || disk.remount("ro").then_some(()));
    let refused =
        Command::new(crate::harness::BINARY).args(["serve", "--config"]).arg(site.config()).output();
    let output = refused.expect("a process");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot use the data directory") && said.contains("ead-only"), "{said}");
    assert!(disk.remount("rw"));
    site.start();
    load.wait_for_more(50);
    site.sign_in();
    let result = judge(&site, &load.finish());
    told("disk-read-only", &result);
}
