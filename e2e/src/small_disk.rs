//! A file system of its own that is small enough to fill. It is mounted where only its keeper sees it, so that it
//! goes with the keeper; servers on it run where the keeper is, tests reach it through the keeper's root in `/proc`.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use crate::server::Runner;

/// Mounts, says so, then runs what it is told line by line until nobody tells it anything more.
const KEEPER: &str = r#"mount -t tmpfs -o "size=$2m" crumb "$1" && echo mounted || exit
while read -r command; do if eval "$command" >&2; then echo done; else echo failed; fi; done"#;

/// A small file system, mounted until it is dropped.
pub struct SmallDisk {
    keeper: Child,
    tell: ChildStdin,
    told: BufReader<ChildStdout>,
    mounted_on: TempDir,
    /// How to get to where the keeper is.
    enter: &'static [&'static str],
}

/// How to make a place where something can be mounted, and how to enter it: as root, else as the root of a user
/// namespace.
type Way = (&'static [&'static str], &'static [&'static str]);
const WAYS: [Way; 2] = [
    (&["--mount"], &["--mount"]),
    (&["--user", "--map-root-user", "--mount"], &["--user", "--preserve-credentials", "--mount"]),
];

impl SmallDisk {
    /// Mounts one of so many MiB.
    pub fn of_mib(mib: u32) -> Self {
        let mut complaints = String::new();
        let mounted = WAYS.into_iter().find_map(|way| Self::try_of_mib(mib, way, &mut complaints));
        mounted.unwrap_or_else(|| {
            panic!(
                "cannot mount a small disk; run as root, or where users may have namespaces:\n{complaints}"
            )
        })
    }

    fn try_of_mib(mib: u32, (make, enter): Way, complaints: &mut String) -> Option<Self> {
        let mounted_on = tempfile::tempdir().expect("a temporary folder");
        let mut unshare = Command::new("unshare");
        unshare.args(make).args(["sh", "-c", KEEPER, "keeper"]).arg(mounted_on.path()).arg(mib.to_string());
        unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut keeper = unshare.spawn().unwrap_or_else(|error| panic!("{unshare:?}: {error}"));
        let tell = keeper.stdin.take().expect("piped");
        let told = BufReader::new(keeper.stdout.take().expect("piped"));
        let mut disk = Self { keeper, tell, told, mounted_on, enter };
        if disk.line() == "mounted" {
            return Some(disk);
        }
        let mut stderr = disk.keeper.stderr.take().expect("piped");
        stderr.read_to_string(complaints).expect("text");
        None
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.told.read_line(&mut line).expect("text");
        line.trim_end().to_owned()
    }

    /// Runs a command line where the disk is.
    pub fn runner(&self) -> Runner {
        let (keeper, enter) = (self.keeper.id().to_string(), self.enter);
        Box::new(move |command| {
            let mut entered = Command::new("nsenter");
            entered
                .args(["--target", &keeper])
                .args(enter)
                .arg(command.get_program())
                .args(command.get_args());
            for (name, value) in command.get_envs() {
                match value {
                    Some(value) => entered.env(name, value),
                    None => entered.env_remove(name),
                };
            }
            entered
        })
    }

    /// Its root folder, as those see it who run where it is.
    pub fn inside(&self) -> &Path {
        self.mounted_on.path()
    }

    /// Its root folder, as everybody else sees it.
    pub fn path(&self) -> PathBuf {
        let root = Path::new("/proc").join(self.keeper.id().to_string()).join("root");
        root.join(self.mounted_on.path().strip_prefix("/").expect("absolute"))
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        let ballast = OpenOptions::new().create(true).append(true).open(self.path().join("ballast"));
        let mut ballast = ballast.expect("a ballast file");
        let mut bytes = vec![0x55; 1 << 16];
        while bytes.len() >= 512 {
            if ballast.write_all(&bytes).is_err() {
                bytes.truncate(bytes.len() / 2);
            }
        }
    }

    /// Gives back what `fill` has taken.
    pub fn make_room(&self) {
        File::create(self.path().join("ballast")).expect("truncated");
    }

    /// Mounts it anew in place, such as `ro`; only while nobody has a file open for writing.
    pub fn remount(&mut self, options: &str) {
        let command = format!("mount -o remount,bind,{options} {}\n", self.mounted_on.path().display());
        self.tell.write_all(command.as_bytes()).expect("the keeper listens");
        assert_eq!(self.line(), "done", "{command}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_disk_is_filled_and_emptied_and_remounted() {
        let mut disk = SmallDisk::of_mib(2);
        let file = disk.path().join("file");
        std::fs::write(&file, [1; 5000]).expect("there is room");
        disk.fill();
        assert!(std::fs::write(&file, vec![1; 100_000]).is_err(), "there is no room");
        disk.make_room();
        std::fs::write(&file, vec![1; 100_000]).expect("there is room again");
        disk.remount("ro");
        assert!(std::fs::write(&file, "x").is_err(), "it can only be read");
        disk.remount("rw");
        std::fs::write(&file, "x").expect("it can be written again");
    }
}
