//! What the files of a policy directory look like from outside: cheap to take, and another one whenever a file was
//! written, replaced, or reached through a link that leads elsewhere now.

use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, MetadataExt as _};

/// The directory itself, and each file, where it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(Vec<Option<Looks>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Looks {
    device: u64,
    inode: u64,
    size: u64,
    /// Modified and changed, in seconds and nanoseconds: the second cannot be set back by whoever writes the file.
    times: [i64; 4],
}

impl Fingerprint {
    /// Of these files in a directory, as they are now.
    pub(super) fn of(directory: &Path, files: &[String]) -> Self {
        let Ok(dir) = Dir::open_ambient_dir(directory, ambient_authority()) else { return Self(vec![None]) };
        // Of the directory itself only which one it is: files beside the policies' own do not matter.
        let own = dir.dir_metadata().ok().map(|metadata| Looks { size: 0, times: [0; 4], ..looks(&metadata) });
        let each = files.iter().map(|file| dir.metadata(file).ok().map(|metadata| looks(&metadata)));
        Self(std::iter::once(own).chain(each).collect())
    }
}

fn looks(metadata: &Metadata) -> Looks {
    Looks {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        times: [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()],
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn whatever_happens_to_a_file_shows() {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("policies");
        let files = ["a.toml".to_owned(), "link/b.wasm".to_owned()];
        let look = || Fingerprint::of(&dir, &files);
        let mut seen = Vec::new();
        let mut step = |what: &str| {
            let now = look();
            assert_eq!(now, look(), "{what}: at rest it is the same");
            assert!(!seen.contains(&now), "{what} does not show");
            seen.push(now);
        };
        fs::create_dir_all(dir.join("one")).unwrap();
        step("a directory");
        fs::write(dir.join("a.toml"), "1").unwrap();
        step("a file");
        fs::write(dir.join("new"), "2").unwrap();
        fs::rename(dir.join("new"), dir.join("a.toml")).unwrap();
        step("a file in its place");
        symlink("one", dir.join("link")).unwrap();
        fs::write(dir.join("one/b.wasm"), "b").unwrap();
        step("a file behind a link");
        fs::create_dir(dir.join("two")).unwrap();
        fs::write(dir.join("two/b.wasm"), "b").unwrap();
        fs::remove_file(dir.join("link")).unwrap();
        symlink("two", dir.join("link")).unwrap();
        step("a link that leads elsewhere");
        fs::rename(&dir, outer.path().join("old")).unwrap();
        step("no directory");
    }

    #[test]
    fn a_file_beside_does_not_show() {
        let dir = tempfile::tempdir().unwrap();
        let before = Fingerprint::of(dir.path(), &["a".to_owned()]);
        fs::write(dir.path().join("a~"), "1").unwrap();
        assert_eq!(Fingerprint::of(dir.path(), &["a".to_owned()]), before);
    }
}
