//! A running `crumb`, with everything it prints. A panic in it fails the test that started it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::binary::binary;
use crate::until::until;

/// How long a line that must come may take.
const LINE_DEADLINE: Duration = Duration::from_secs(60);

/// A command line of the binary, free of the tester's own settings.
pub fn crumb(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CRUMB_") {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    command
}

/// A process and what it prints. Killed when dropped.
pub struct Process {
    child: Child,
    stdout: Receiver<String>,
    stderr: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

/// What a process left behind.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it printed, beyond the lines already read.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Process {
    /// Starts a command line.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (line, stdout) = channel();
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let err = BufReader::new(child.stderr.take().expect("piped"));
        let stderr = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&stderr);
        let readers = vec![
            std::thread::spawn(move || {
                for text in out.lines().map_while(Result::ok) {
                    // Whoever stopped listening does not need the rest.
                    let _ = line.send(text);
                }
            }),
            std::thread::spawn(move || listen(err, &heard)),
        ];
        Self { child, stdout, stderr, readers }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line it prints; none when it has ended.
    pub fn next_line(&self) -> Option<String> {
        match self.stdout.recv_timeout(LINE_DEADLINE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("it printed nothing more\n{}", self.stderr()),
        }
    }

    /// Reads on until a line that begins so, and gives what follows it.
    pub fn line_after(&self, beginning: &str) -> String {
        let deadline = Instant::now() + LINE_DEADLINE;
        while let Some(line) = self.next_line() {
            if let Some(rest) = line.strip_prefix(beginning) {
                return rest.to_owned();
            }
            assert!(Instant::now() < deadline, "no line begins with {beginning:?}");
        }
        panic!("it ended before it printed {beginning:?}\n{}", self.stderr());
    }

    /// What it has complained about so far.
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child")
    }

    /// Asks it to end (SIGTERM).
    pub fn ask_to_end(&self) {
        self.signal("TERM");
    }

    /// Ends it at once (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.id());
        let sent = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
        assert!(sent.success(), "{kill}");
    }

    /// Waits until it has ended by itself.
    pub fn finish(mut self) -> Finished {
        let status = until("the process has ended", || self.ended());
        self.read_to_the_end();
        let lines: Vec<String> = self.stdout.try_iter().collect();
        Finished { code: status.code(), stdout: lines.join("\n"), stderr: self.stderr() }
    }

    fn read_to_the_end(&mut self) {
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader does not panic");
        }
    }
}

fn listen(mut from: impl Read, heard: &Mutex<String>) {
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        let text = String::from_utf8_lossy(&bytes[..read]);
        heard.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.read_to_the_end();
        let stderr = self.stderr();
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "the test has failed; this may say why")]
            {
                eprintln!("--- what crumb said ---\n{stderr}");
            }
        } else {
            assert!(!stderr.contains("panicked"), "crumb panicked:\n{stderr}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start(command)
    }

    #[test]
    #[should_panic(expected = "crumb panicked")]
    fn a_panic_in_the_process_fails_the_test_that_started_it() {
        let process = shell("echo \"thread 'worker' panicked at\" >&2; echo ready");
        assert_eq!(process.line_after("re"), "ady");
    }

    #[test]
    fn what_a_process_leaves_behind_is_all_there() {
        let finished = shell("echo out; echo err >&2; exit 3").finish();
        assert_eq!((finished.code, &*finished.stdout, &*finished.stderr), (Some(3), "out", "err\n"));
    }
}
