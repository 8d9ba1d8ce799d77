//! The machine and the files: whose they are, who else can change them, how much room there is.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::finding::Findings;
use crate::clock::{Clock, Timestamp};

/// Below this the gate is close to refusing every call.
const FREE_BYTES_PROBLEM: u64 = 64 * 1024 * 1024;
/// Below this it is time to look for room.
const FREE_BYTES_WARNING: u64 = 1024 * 1024 * 1024;
/// 2026-01-01: no clock that goes right stands before it.
const CLOCK_MIN: Timestamp = Timestamp(1_767_225_600_000);
/// 2100-01-01.
const CLOCK_MAX: Timestamp = Timestamp(4_102_444_800_000);
/// Files of a directory that are looked at.
const FILES_MAX: usize = 1000;

/// Others than the owner.
const OTHERS: u32 = 0o077;
const ALL_WRITE: u32 = 0o002;
const GROUP_WRITE: u32 = 0o020;
/// In a directory with it, only a file's owner replaces the file.
const STICKY: u32 = 0o1000;

/// The user and the clock.
pub(super) fn machine(found: &mut Findings) {
    if rustix::process::getuid().is_root() {
        let todo = "run the gate as a user of its own, who may do nothing else";
        found.warning("user", "this is root: whatever the gate or a server does wrong, it does with all rights", todo);
    }
    clock(Clock::system().now(), found);
}

pub(super) fn clock(now: Timestamp, found: &mut Findings) {
    if now < CLOCK_MIN || now > CLOCK_MAX {
        let todo = "set the clock: windows of limits, expiries and the audit log depend on it";
        found.problem("clock", format!("it stands at {now}"), todo);
    }
    found.else_ok("clock", now.to_string());
}

/// The configuration file, and the folder in which it could be replaced.
pub(super) fn configuration(path: &Path, found: &mut Findings) {
    let Ok(path) = std::fs::canonicalize(path) else { return };
    writable("configuration", &path, found);
    if let Some(folder) = path.parent() {
        writable("configuration", folder, found);
    }
}

/// Says it when others can change a file, or what is in a directory.
fn writable(check: &str, path: &Path, found: &mut Findings) {
    let Ok(metadata) = std::fs::metadata(path) else { return };
    let (mode, shown) = (metadata.permissions().mode(), path.display());
    let guarded = metadata.is_dir() && mode & STICKY != 0;
    if mode & ALL_WRITE != 0 && !guarded {
        let what = format!("every user of this machine can change `{shown}` (mode {:o})", mode & 0o7777);
        found.problem(check, what, format!("run `chmod o-w {shown}`, and read what is in there"));
    } else if mode & GROUP_WRITE != 0 && !guarded && metadata.gid() != rustix::process::getgid().as_raw() {
        let what = format!("group {} can change `{shown}` (mode {:o})", metadata.gid(), mode & 0o7777);
        found.warning(check, what, format!("run `chmod g-w {shown}`, unless that is what you want"));
    }
}

/// The policy directory, and each file in it.
pub(super) fn policies(directory: &Path, found: &mut Findings) {
    writable("policies", directory, found);
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten().take(FILES_MAX) {
        writable("policies", &entry.path(), found);
    }
}

/// The data directory: its owner's alone, on a disk with room.
pub(super) fn data(data: &Path, found: &mut Findings) {
    let shown = data.display();
    room(data, found);
    let metadata = match std::fs::metadata(data) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return found.ok("data", format!("`{shown}` is not there yet; the first start makes it"));
        }
        Err(error) => {
            return found.problem("data", format!("cannot look at `{shown}`: {error}"), "give this user the right to");
        }
    };
    if !metadata.is_dir() {
        return found.problem("data", format!("`{shown}` is not a directory"), "move it away, or change `gate.data`");
    }
    let mode = metadata.permissions().mode();
    if mode & OTHERS != 0 {
        let what = format!("others can use `{shown}` (mode {:o}), so no gate starts on it", mode & 0o7777);
        found.problem("data", what, format!("run `chmod 700 {shown}`"));
    }
    owner(&metadata, data, found);
    for entry in std::fs::read_dir(data).into_iter().flatten().flatten().take(FILES_MAX) {
        let Ok(metadata) = entry.metadata() else { continue };
        let (mode, path) = (metadata.permissions().mode(), entry.path());
        if mode & OTHERS != 0 && !metadata.is_symlink() {
            let what = format!("others can use `{}` (mode {:o})", path.display(), mode & 0o7777);
            found.problem("data", what, format!("run `chmod go= {}`", path.display()));
        }
    }
    found.else_ok("data", format!("`{shown}` is this user's alone"));
}

fn owner(metadata: &Metadata, data: &Path, found: &mut Findings) {
    let me = rustix::process::getuid();
    if metadata.uid() != me.as_raw() && !me.is_root() {
        let what = format!("`{}` belongs to user {}, and this is user {}", data.display(), metadata.uid(), me.as_raw());
        found.problem("data", what, "run this, and the gate, as the user to whom it belongs");
    }
}

/// What is free where the store grows; where there is no directory yet, where it will be.
fn room(data: &Path, found: &mut Findings) {
    let Some(there) = data.ancestors().find(|path| path.exists()) else { return };
    match rustix::fs::statvfs(there) {
        Ok(disk) => {
            if disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
                found.problem("disk", format!("`{}` is mounted read-only", there.display()), "mount it writable");
            }
            free(disk.f_bavail.saturating_mul(disk.f_frsize), found);
        }
        Err(error) => {
            let what = format!("cannot tell what is free under `{}`: {error}", there.display());
            found.warning("disk", what, "look at it yourself");
        }
    }
}

pub(super) fn free(bytes: u64, found: &mut Findings) {
    let what = format!("{} MiB are free under the data directory", bytes / (1024 * 1024));
    let todo = "make room: a store that cannot write refuses every call";
    match bytes {
        ..FREE_BYTES_PROBLEM => found.problem("disk", what, todo),
        FREE_BYTES_PROBLEM..FREE_BYTES_WARNING => found.warning("disk", what, todo),
        _ => found.else_ok("disk", what),
    }
}
