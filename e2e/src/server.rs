//! A server on a data folder of its own, that can be killed and started again.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::client::Client;
use crate::connection::Connection;
use crate::process::{Finished, Process, crumb};

/// What a setting is and what it is set to, such as `("JOURNAL__FILE_MIB", "1")`.
pub type Setting = (&'static str, &'static str);

/// What becomes of a command line before it is run, such as that it runs where a [`crate::SmallDisk`] is mounted.
pub type Runner = Box<dyn Fn(Command) -> Command>;

/// The real server on 127.0.0.1, with a temporary data folder.
pub struct Server {
    data: PathBuf,
    settings: Vec<Setting>,
    runner: Runner,
    process: Option<Process>,
    address: SocketAddr,
    admin_key: String,
    // Last, so that the process is gone before its folder.
    folder: Option<TempDir>,
}

impl Server {
    /// Starts one with the default settings.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with these settings.
    pub fn start_with(settings: &[Setting]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::start_owning(folder, settings, "admin")
    }

    /// Starts one on a data folder that is there, and has a key named `tester` made.
    pub fn start_on(folder: TempDir) -> Self {
        Self::start_owning(folder, &[], "tester")
    }

    /// Starts another one on the database that a first one is set to. It takes the first one's keys.
    pub fn start_beside(first: &Self, settings: &[Setting]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut server = Self::unstarted(folder.path(), settings, Box::new(|command| command));
        server.folder = Some(folder);
        server.admin_key.clone_from(&first.admin_key);
        server.start_again();
        server
    }

    fn start_owning(folder: TempDir, settings: &[Setting], key_name: &str) -> Self {
        let mut server = Self::launch(folder.path(), settings, Box::new(|command| command), key_name);
        server.folder = Some(folder);
        server
    }

    /// Starts one on a data folder that outlives it.
    pub fn start_in(data: &Path, settings: &[Setting], runner: Runner) -> Self {
        Self::launch(data, settings, runner, "admin")
    }

    fn launch(data: &Path, settings: &[Setting], runner: Runner, key_name: &str) -> Self {
        let mut server = Self::unstarted(data, settings, runner);
        server.start_again();
        server.admin_key = server.create_key(&["--name", key_name]);
        server
    }

    fn unstarted(data: &Path, settings: &[Setting], runner: Runner) -> Self {
        Self {
            data: data.to_owned(),
            settings: settings.to_vec(),
            runner,
            process: None,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin_key: String::new(),
            folder: None,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A caller that may do everything.
    pub fn api(&self) -> Client {
        Client::new(self.address, &self.admin_key)
    }

    /// A caller with a key made as told, such as `["--name", "shop", "--scope", "conversion"]`.
    pub fn api_with(&self, arguments: &[&str]) -> Client {
        Client::new(self.address, &self.create_key(arguments))
    }

    fn create_key(&self, arguments: &[&str]) -> String {
        let made = self.command(&[&["key", "create"], arguments].concat());
        assert_eq!(made.code, Some(0), "{made:?}");
        made.stdout
    }

    /// Runs a command on the server's data folder, with its settings.
    pub fn command(&self, arguments: &[&str]) -> Finished {
        Process::start(self.command_line(arguments)).finish()
    }

    /// A visitor's connection.
    pub fn connect(&self) -> Connection {
        Connection::open(self.address).expect("the server listens")
    }

    /// A visitor follows a link: the id of the click.
    pub fn click(&self, link: &str) -> String {
        let answer = self.connect().get(link).expect("an answer");
        assert_eq!(answer.status, 302, "{link}");
        answer.click_id().expect("the landing page is told the click id")
    }

    /// The running process.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the server runs")
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        // Dropped, it is looked through for panics.
        self.process.take().expect("the server runs").kill();
    }

    /// SIGTERM, and what came of it.
    pub fn stop(&mut self) -> Finished {
        self.process().ask_to_end();
        self.stop_was_asked()
    }

    /// What came of a signal to stop.
    pub fn stop_was_asked(&mut self) -> Finished {
        self.process.take().expect("the server runs").finish()
    }

    /// Starts it again on the same data, once it was killed or stopped.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "the server still runs");
        let process = Process::start(self.serve());
        self.address = process.line_after("listening on http://").parse().expect("an address");
        self.process = Some(process);
    }

    fn serve(&self) -> Command {
        self.command_line(&["serve", "--listen", "127.0.0.1:0"])
    }

    /// A command on the server's data folder, with its settings.
    pub fn command_line(&self, arguments: &[&str]) -> Command {
        let mut command = crumb(arguments);
        command.arg("--data").arg(self.data());
        for (name, value) in &self.settings {
            command.env(format!("CRUMB_{name}"), value);
        }
        (self.runner)(command)
    }

    /// Starts it once it was killed, and kills it so long afterwards, whatever it is doing by then.
    pub fn start_and_kill(&self, after: Duration) {
        assert!(self.process.is_none(), "the server still runs");
        let mut process = Process::start(self.serve());
        // No condition to wait for: that the moment is arbitrary is the point.
        std::thread::park_timeout(after);
        process.kill();
    }

    /// Tries to start where it must not succeed: how it ended.
    pub fn fail_to_start(&self) -> Finished {
        Process::start(self.serve()).finish()
    }

    /// A counter or gauge of `/metrics`.
    pub fn metric(&self, name: &str) -> u64 {
        let answer = self.connect().get("/metrics").expect("an answer");
        let value = answer.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no metric {name}"))
    }
}
