//! Programs beside ours: installing what is missing, and starting one on a core of its own.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// The core servers are pinned to where they are compared.
pub const SERVER_CORE: usize = 0;
/// The core their load comes from.
pub const LOAD_CORE: usize = 1;

/// Makes sure the programs can be run; what is missing is installed with apt-get.
pub fn require(programs: &[&str]) -> anyhow::Result<()> {
    let missing: Vec<_> = programs.iter().copied().filter(|it| !is_there(it)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    // Best effort: lists may be fresh already.
    let _ = apt_get(&["update"]);
    let packages: Vec<_> =
        missing.iter().map(|it| if *it == "taskset" { "util-linux" } else { *it }).collect();
    let install = [&["install", "--yes", "--no-install-recommends"], &packages[..]].concat();
    let installed = apt_get(&install);
    match programs.iter().find(|it| !is_there(it)) {
        None => Ok(()),
        Some(program) => bail!(
            "{program} is missing and could not be installed ({}); install {} and try again",
            installed.err().map_or_else(|| "apt-get ran".to_owned(), |error| format!("{error:#}")),
            packages.join(" and ")
        ),
    }
}

/// A command that runs `program`, on that core only where one is named.
pub fn pinned(program: impl AsRef<OsStr>, core: Option<usize>) -> Command {
    let Some(core) = core else { return Command::new(program) };
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &core.to_string()]).arg(program);
    command
}

/// Keeps this process on one core until dropped.
pub struct Here {
    before: String,
}

impl Here {
    /// Moves all its threads there.
    pub fn pinned(core: usize) -> anyhow::Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let before = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let before = before.context("which cores there are")?.trim().to_owned();
        move_to(&core.to_string())?;
        Ok(Self { before })
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        // Where it fails the load stays on that core, which is no harm.
        let _ = move_to(&self.before);
    }
}

fn move_to(cores: &str) -> anyhow::Result<()> {
    let process = std::process::id().to_string();
    output(Command::new("taskset").args(["--all-tasks", "--pid", "--cpu-list", cores, &process])).map(drop)
}

/// Runs a command to its end and returns what it printed.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("running {name}"))?;
    if !output.status.success() {
        bail!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Waits until nothing is left to be written to the disks.
pub fn sync() -> anyhow::Result<()> {
    output(&mut Command::new("sync")).map(drop)
}

fn apt_get(arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("apt-get");
    output(command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive")).map(drop)
}

fn is_there(program: &str) -> bool {
    path_of(program).is_some()
}

/// The program, by its name or where Debian keeps what is for root.
pub fn path_of(program: &str) -> Option<String> {
    [program.to_owned(), format!("/usr/sbin/{program}")].into_iter().find(|path| {
        let mut command = Command::new(path);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Whatever it answers to this flag, it was found.
        command.arg("-v").status().is_ok()
    })
}
