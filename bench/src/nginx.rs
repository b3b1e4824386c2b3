//! nginx as a peer: one worker on the server's core, answering 302 to a `Location` as long as ours.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::tools::{SERVER_CORE, output, path_of, pinned};

/// How nginx writes its access log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Log {
    /// Not at all.
    Off,
    /// In pieces of 64 KiB, at least once a second.
    Buffered,
    /// A write for each request, without a sync.
    Unbuffered,
}

/// A running nginx.
pub struct Nginx {
    /// Where it listens.
    pub address: SocketAddr,
    program: String,
    configuration: PathBuf,
    child: Child,
}

impl Nginx {
    /// Starts one on a free port, its files in `folder`.
    pub fn start(folder: &Path, log: Log) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        // Free at this moment; nginx takes it in the next.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let configuration = folder.join("nginx.conf");
        std::fs::write(&configuration, text(folder, address, log))?;
        let program = path_of("nginx").context("nginx is not installed")?;
        let mut command = pinned(&program, Some(SERVER_CORE));
        command.arg("-c").arg(&configuration).arg("-p").arg(folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("starting nginx")?;
        let mut nginx = Self { address, program, configuration, child };
        nginx.wait_until_it_listens()?;
        Ok(nginx)
    }

    fn wait_until_it_listens(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            ensure!(self.child.try_wait()?.is_none(), "nginx did not start");
            ensure!(begun.elapsed() < Duration::from_secs(10), "nginx does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let mut command = pinned(&self.program, None);
        // When it ended by itself there is nobody to tell.
        let _ = output(command.arg("-c").arg(&self.configuration).args(["-s", "stop"]));
        let _ = self.child.wait();
    }
}

fn text(folder: &Path, address: SocketAddr, log: Log) -> String {
    let folder = folder.display();
    let log = match log {
        Log::Off => "off".to_owned(),
        Log::Buffered => format!("{folder}/access.log combined buffer=64k flush=1s"),
        Log::Unbuffered => format!("{folder}/access.log combined"),
    };
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {folder}/{kind};\n"))
        .concat();
    format!(
        "daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n{temporary}  access_log {log};\n  keepalive_requests 1000000000;\n  \
         server {{\n    listen {address} backlog=4096;\n    add_header Cache-Control no-store;\n    \
         return 302 \"https://shop.example/landing\
         ?click_id=01234567-89ab-7def-8123-456789abcdef&offer_id=123&s1=banner_300x250\";\n  }}\n}}\n"
    )
}
