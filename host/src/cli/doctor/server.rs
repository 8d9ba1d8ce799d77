//! Each upstream server: can it start, does it get what it needs, and does it reach what is not its own.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::finding::Findings;
use super::reach::{self, Own};
use crate::config::{Config, Program, Reach, Remote};

const EXECUTABLE: u32 = 0o111;
const ALL_WRITE: u32 = 0o002;

pub(super) fn look(config: &Config, file: &Path, found: &mut Findings) {
    if config.servers.is_empty() {
        let todo = "add a `[[server]]`, or take a client's with `portcullis import FILE --write`";
        return found.warning("servers", "there are none, so there are no tools", todo);
    }
    let mut own = vec![Own::new("the data directory", &config.data), Own::new("the policies", &config.policies)];
    // Servers run in the configuration's folder, so that one is always there; the rest can be elsewhere.
    if let Some(inside) = reach::directory(&config.folder, &own) {
        let what = format!("they run in `{}`, with {} in it", config.folder.display(), inside.what);
        let todo = "a server runs as the gate's user and can read and change that: set `gate.data` and `gate.policies` to \
                    absolute paths elsewhere, or start servers as another user";
        found.warning("servers", what, todo);
    }
    own.push(Own::new("the configuration", file));
    own.extend(std::env::current_exe().ok().map(|program| Own::new("this program", &program)));
    for server in &config.servers {
        let check = format!("server {}", server.name);
        match &server.reach {
            Reach::Child(child) => {
                program(&check, child, found);
                environment(&check, child, found);
                arguments(&check, child, &own, found);
                found.else_ok(&check, child.command.first().cloned().unwrap_or_default());
            }
            Reach::Http(remote) => headers(&check, remote, found),
        }
    }
}

fn program(check: &str, server: &Program, found: &mut Findings) {
    let Some(program) = server.command.first() else { return };
    let Some(path) = find(program, &server.directory, std::env::var_os("PATH").as_deref()) else {
        let what = format!("its program `{program}` is not there, or cannot be executed");
        let todo = if program.contains('/') {
            "correct the path in `command`, or make the file executable"
        } else {
            "install it, put its directory on the gate's PATH, or write its whole path in `command`"
        };
        return found.problem(check, what, todo);
    };
    let mode = std::fs::metadata(&path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & ALL_WRITE != 0 {
        let what = format!("every user of this machine can change its program `{}`", path.display());
        found.problem(check, what, format!("run `chmod o-w {}`, and see that it is what it was", path.display()));
    }
}

/// Where a program is, as the gate looks for it.
pub(super) fn find(program: &str, directory: &Path, path: Option<&OsStr>) -> Option<PathBuf> {
    let executable = |file: &PathBuf| {
        std::fs::metadata(file).is_ok_and(|file| file.is_file() && file.permissions().mode() & EXECUTABLE != 0)
    };
    if program.contains('/') {
        return Some(directory.join(program)).filter(executable);
    }
    std::env::split_paths(path?).map(|folder| folder.join(program)).find(executable)
}

fn environment(check: &str, server: &Program, found: &mut Findings) {
    let unset: Vec<&str> =
        server.env.iter().map(String::as_str).filter(|name| std::env::var_os(name).is_none()).collect();
    if !unset.is_empty() {
        let what = format!("it is to get `{}`, which is not set here", unset.join("`, `"));
        found.warning(check, what, "set it in the environment in which the gate is started");
    }
}

/// Whether each header can be filled. What is in it is not shown.
fn headers(check: &str, remote: &Remote, found: &mut Findings) {
    for field in &remote.headers {
        if let Err(unset) = field.fill(|name| std::env::var(name).ok()) {
            found.warning(check, unset.to_string(), "set it in the environment in which the gate is started");
        }
    }
    found.else_ok(check, format!("at {}, port {}", remote.host(), remote.port()));
}

fn arguments(check: &str, server: &Program, own: &[Own], found: &mut Findings) {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    for text in server.command.iter().skip(1) {
        if let Some(reached) = reach::argument(text, &server.directory, home.as_deref(), own) {
            let what = format!(
                "its argument `{text}` reaches {}: through it, an agent may change what governs it",
                reached.what
            );
            let todo = "give it a directory of its own, with nothing of the gate's in it or below it";
            found.problem(check, what, todo);
        }
    }
}
