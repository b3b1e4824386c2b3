//! A disk that fails on command: a small library, preloaded into the server, stands between it and the system.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::server::Runner;

/// The library's source.
const SOURCE: &str = include_str!("../faults/faults.c");

/// The number of an error: the device fails.
pub const EIO: i32 = 5;
/// The number of an error: it can only be read.
pub const EROFS: i32 = 30;

/// What fails in the servers that [`Faults::runner`] has started.
pub struct Faults {
    folder: TempDir,
}

/// A call on a file that changes something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileCall {
    /// `write`, `sync`, or `change` (of a name, a size).
    pub call: String,
    /// The file.
    pub path: String,
    /// The number of the error it was made to fail with; 0 when it was let through.
    pub error: i32,
}

impl Faults {
    /// Nothing fails yet.
    pub fn none() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let source = folder.path().join("faults.c");
        std::fs::write(&source, SOURCE).expect("written");
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-shared", "-fPIC", "-o"])
            .arg(folder.path().join("faults.so"))
            .arg(source)
            .arg("-ldl");
        let built = cc.output().unwrap_or_else(|error| panic!("{cc:?}: {error}"));
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Self { folder }
    }

    /// Runs a command line with this disk.
    pub fn runner(&self) -> Runner {
        let (library, rules) = (self.folder.path().join("faults.so"), self.rules());
        Box::new(move |mut command| {
            command.env("LD_PRELOAD", &library).env("FAULTS", &rules);
            command
        })
    }

    /// From now on these fail, and nothing else: a call, its error, and a part of the path.
    pub fn set(&self, rules: &[(&str, i32, &str)]) {
        let lines: Vec<_> =
            rules.iter().map(|(call, error, path)| format!("{call} {error} {path}")).collect();
        let next = self.folder.path().join("next");
        std::fs::write(&next, lines.join("\n")).expect("written");
        std::fs::rename(next, self.rules()).expect("renamed");
    }

    /// All calls so far, oldest first.
    pub fn calls(&self) -> Vec<FileCall> {
        let log =
            std::fs::read_to_string(self.folder.path().join("rules.log")).expect("something was called");
        let call = |line: &str| {
            let (call, rest) = line.split_once(' ')?;
            let (path, error) = rest.rsplit_once(' ')?;
            Some(FileCall { call: call.to_owned(), path: path.to_owned(), error: error.parse().ok()? })
        };
        log.lines().map(|line| call(line).unwrap_or_else(|| panic!("no call: {line}"))).collect()
    }

    fn rules(&self) -> PathBuf {
        self.folder.path().join("rules")
    }
}
