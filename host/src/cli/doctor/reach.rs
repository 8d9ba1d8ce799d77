//! Whether a server can be told to work on the gate's own files. A server runs as the same user as the gate: one that
//! serves files from a directory with the store, the policies or the configuration below it hands the gate to its agents.

use std::path::{Component, Path, PathBuf};

/// A file or directory of the gate's own.
#[derive(Clone, Debug)]
pub(super) struct Own {
    /// What it is.
    pub(super) what: &'static str,
    path: PathBuf,
}

impl Own {
    pub(super) fn new(what: &'static str, path: &Path) -> Self {
        Self { what, path: resolve(path) }
    }

    /// Whether a path is this one, above it, or in it.
    fn reached_by(&self, path: &Path) -> bool {
        self.path.starts_with(path) || path.starts_with(&self.path)
    }
}

/// What an argument of a server that runs in `directory` reaches.
pub(super) fn argument<'a>(argument: &str, directory: &Path, home: Option<&Path>, own: &'a [Own]) -> Option<&'a Own> {
    // Paths stand alone, after `=`, or between `:` or `,` as in mounts; and behind the scheme of a URL.
    let parts = argument.split(['=', ',', ':']);
    let candidates = std::iter::once(argument).chain(parts).filter(|text| !text.is_empty());
    candidates.filter_map(|text| candidate(text, directory, home)).find_map(|path| {
        let path = resolve(&path);
        own.iter().find(|own| own.reached_by(&path))
    })
}

/// What a working directory has below it.
pub(super) fn directory<'a>(directory: &Path, own: &'a [Own]) -> Option<&'a Own> {
    let directory = resolve(directory);
    own.iter().find(|own| own.reached_by(&directory))
}

/// The path that a text can be: one with a separator or of dots, or the name of something that is there.
fn candidate(text: &str, directory: &Path, home: Option<&Path>) -> Option<PathBuf> {
    if text == "~" || text.starts_with("~/") {
        return Some(home?.join(text.trim_start_matches('~').trim_start_matches('/')));
    }
    let path = directory.join(text);
    let is_path = text.contains('/') || matches!(text, "." | "..");
    (is_path || path.symlink_metadata().is_ok()).then_some(path)
}

/// The path without symbolic links and `..`; of one that is not there, as far as it is.
fn resolve(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut missing = Vec::new();
    for ancestor in absolute.ancestors() {
        if let Ok(found) = std::fs::canonicalize(ancestor) {
            return missing.iter().rev().fold(found, |path: PathBuf, part: &Component<'_>| match part {
                Component::ParentDir => path.parent().map_or_else(|| path.clone(), Path::to_owned),
                part => path.join(part),
            });
        }
        missing.extend(ancestor.components().next_back());
    }
    absolute
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn whatever_leads_to_the_gates_own_files_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir_all(at("gate/data")).unwrap();
        std::fs::create_dir_all(at("gate/work")).unwrap();
        std::fs::create_dir_all(at("other")).unwrap();
        symlink(at("gate"), at("other/link")).unwrap();
        symlink(at("gate/data"), at("gate/work/d")).unwrap();
        let own = [Own::new("data", &at("gate/data")), Own::new("policies", &at("gate/policies"))];
        let (gate, home) = (at("gate"), at(""));
        let reached = |text: &str| argument(text, &gate, Some(&home), &own).map(|own| own.what);
        let root = at("gate").display().to_string();
        for text in [
            ".",
            "..",
            "/",
            "data",
            "./data",
            "data/store/x",
            "work/d",
            "--root=.",
            "~",
            "~/gate",
            "--db=sqlite:data/x.db",
            "work/../data",
            "../other/link",
            "../other/link/data/new",
            "nothing/../data",
            &root,
            &format!("{root}/"),
            &format!("--root={root}"),
            &format!("file://{root}/data"),
            &format!("{root}:/mnt"),
            &format!("type=bind,src={root},dst=/x"),
        ] {
            assert_eq!(reached(text), Some("data"), "{text}");
        }
        assert_eq!(reached("policies/x.wasm"), Some("policies"), "although it is not there yet");
        for text in ["work", "./work", "../other", "-y", "database", "https://host/data", "", "=", "state.json"] {
            assert_eq!(reached(text), None, "{text}");
        }
        assert_eq!(directory(&gate, &own).map(|own| own.what), Some("data"));
        assert!(directory(&at("other"), &own).is_none());
    }
}
