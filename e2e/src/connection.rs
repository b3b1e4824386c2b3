//! One HTTP/1.1 connection, kept alive, that sends whatever bytes it is given: tests need requests
//! that no proper client would make. Proper clients are `curl` and the browser, in tests of their own.

use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::answer::Answer;

/// How long an answer may take: less than the server waits for a request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A connection to the server.
pub struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Says that nothing more will be sent.
    pub fn end_sending(&mut self) -> io::Result<()> {
        self.reader.get_mut().shutdown(Shutdown::Write)
    }

    /// Sends a request without a body and reads the answer.
    pub fn request(&mut self, method: &str, target: &str, headers: &str) -> io::Result<Answer> {
        self.send(format!("{method} {target} HTTP/1.1\r\nHost: crumb\r\n{headers}\r\n").as_bytes())?;
        self.answer(method != "HEAD")
    }

    /// Follows a link up to the redirect.
    pub fn get(&mut self, target: &str) -> io::Result<Answer> {
        self.request("GET", target, "")
    }

    /// Reads an answer. One to a `HEAD` has no body.
    pub fn answer(&mut self, has_body: bool) -> io::Result<Answer> {
        let first = self.line()?;
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| Error::new(ErrorKind::InvalidData, first))?;
        let mut answer = Answer { status, headers: Vec::new(), body: Vec::new() };
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').expect("a header has a colon");
            answer.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        assert_eq!(answer.header("transfer-encoding"), None, "this client reads no chunks");
        if has_body && status >= 200 && status != 204 {
            let length = answer.header("content-length").expect("every answer says how long it is");
            answer.body = vec![0; length.parse().expect("a length")];
            self.reader.read_exact(&mut answer.body)?;
        }
        Ok(answer)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        String::from_utf8(line).map_err(|error| Error::new(ErrorKind::InvalidData, error))
    }
}
