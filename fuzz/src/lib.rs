//! What the targets share: changes to files as the fuzzer draws them, and a server to send requests to.

use std::cell::RefCell;
use std::fs;
use std::path::Path;

use e2e::{Answer, Connection};
use testkit::TestServer;

/// The files of a folder: names and contents.
pub type Files = Vec<(String, Vec<u8>)>;

/// All files of a folder but the lock, by name.
pub fn read_files(dir: &Path) -> Files {
    let entries = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry"));
    let files = entries.map(|entry| {
        let name = entry.file_name().into_string().expect("a text");
        (name, fs::read(entry.path()).expect("readable"))
    });
    let mut files: Files = files.filter(|(name, _)| name != "lock").collect();
    files.sort();
    files
}

/// Writes the files to a folder.
pub fn write_files(dir: &Path, files: &Files) {
    for (name, bytes) in files {
        fs::write(dir.join(name), bytes).expect("writable");
    }
}

/// Reads the fuzzer's bytes as a row of changes to the files: bytes and bits, cuts, pieces moved, files gone,
/// renamed and exchanged.
pub fn damage(files: &mut Files, mut draw: &[u8]) {
    while let Some((change, rest)) = draw.split_first_chunk::<8>() {
        draw = rest;
        if files.is_empty() {
            return;
        }
        let [what, file, other, value, ..] = *change;
        let (file, other) = (usize::from(file) % files.len(), usize::from(other) % files.len());
        let at = usize::from(u16::from_le_bytes([change[4], change[5]]));
        let to = usize::from(u16::from_le_bytes([change[6], change[7]]));
        let (name, bytes) = &mut files[file];
        match what % 9 {
            0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= value),
            1 => bytes.truncate(at),
            2 => bytes.extend(std::iter::repeat_n(value, at)),
            3 => bytes.iter_mut().skip(at).take(usize::from(value)).for_each(|byte| *byte = 0),
            4 => {
                let piece: Vec<u8> =
                    bytes.iter().skip(at / 16 * 16).take(usize::from(value)).copied().collect();
                let target = files[other].1.iter_mut().skip(to / 16 * 16);
                target.zip(piece).for_each(|(byte, new)| *byte = new);
            }
            5 => drop(files.remove(file)),
            6 => {
                let stolen = files[other].1.clone();
                files[file].1 = stolen;
            }
            7 => {
                // A header with the checksum that its bytes have.
                if let Some(header) = bytes.get_mut(..64) {
                    let crc = crc32c::crc32c(&header[..60]);
                    header[60..64].copy_from_slice(&crc.to_le_bytes());
                }
            }
            _ => *name = name.replacen(['1', '2', '3', '4'], &(value % 10).to_string(), 1),
        }
    }
}

/// A server in this process that trusts its peer's word on addresses. A panic in it ends the fuzzing.
pub fn server() -> &'static TestServer {
    thread_local! {
        // All is over when the one thread that asks is.
        static SERVER: &'static TestServer = Box::leak(Box::new(TestServer::with(|config| {
            config.tracking.pixel_calls_per_second = 0;
            config.server.trusted_proxies = vec!["127.0.0.0/8".to_owned(), "10.0.0.0/8".to_owned()];
        })));
    }
    SERVER.with(|server| *server)
}

/// Sends a request and takes the answer, which is never a failure of the server's own.
pub fn ask(method: &str, target: &str, headers: &str, body: &[u8]) -> Option<Answer> {
    thread_local! {
        static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
    }
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: crumb\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    CONNECTION.with_borrow_mut(|kept| {
        let mut connection =
            kept.take().unwrap_or_else(|| Connection::open(server().address()).expect("the server listens"));
        // A request that is no HTTP is answered once, and the connection is closed.
        connection.send(&[head.as_bytes(), body].concat()).ok()?;
        let answer = connection.answer(method != "HEAD").ok()?;
        assert!(answer.status < 500, "{method} {target}: {answer:?}");
        if answer.header("connection") != Some("close") {
            *kept = Some(connection);
        }
        Some(answer)
    })
}

/// Bytes as they can stand in a request's first line or a header: no byte that would end either.
pub fn in_a_line(bytes: &[u8], also: &[u8]) -> String {
    let fit = bytes.iter().filter(|byte| !b"\r\n\0".contains(byte) && !also.contains(byte));
    String::from_utf8_lossy(&fit.copied().collect::<Vec<_>>()).into_owned()
}
