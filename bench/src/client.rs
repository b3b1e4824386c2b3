//! A keep-alive HTTP/1.1 connection that does only what a load needs: one request, one whole
//! answer with a `Content-Length`. Small, because it shares the machine with what it measures.

use std::net::SocketAddr;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest answer read, in bytes: a page of 10,000 clicks is some 10 MB.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// An open connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A whole answer.
pub struct Answer<'b> {
    /// The status code.
    pub status: u16,
    head: &'b str,
    /// The body.
    pub body: &'b [u8],
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.context("connecting")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and reads its answer.
    pub async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        self.stream.write_all(request).await.context("sending")?;
        self.buffer.clear();
        let head_end = loop {
            if let Some(at) = self.buffer.windows(4).position(|it| it == b"\r\n\r\n") {
                break at + 4;
            }
            self.read_more().await?;
        };
        let length = content_length(&self.buffer[..head_end])?;
        ensure!(length <= ANSWER_BYTES_MAX, "an answer of {length} bytes");
        while self.buffer.len() < head_end + length {
            self.read_more().await?;
        }
        ensure!(self.buffer.len() == head_end + length, "more than one answer");
        let head = str::from_utf8(&self.buffer[..head_end]).context("the head of the answer")?;
        let status = head.get(9..12).and_then(|it| it.parse().ok()).context("no status")?;
        Ok(Answer { status, head, body: &self.buffer[head_end..] })
    }

    /// Gets a path and reads the answer as JSON; anything but 200 is an error.
    pub async fn get_json(&mut self, path: &str, key: &str) -> anyhow::Result<serde_json::Value> {
        self.ask(&get(path, key)).await?.json()
    }

    async fn read_more(&mut self) -> anyhow::Result<()> {
        if self.stream.read_buf(&mut self.buffer).await.context("reading")? == 0 {
            bail!("the server closed the connection");
        }
        Ok(())
    }
}

impl Answer<'_> {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(self.head, name)
    }

    /// The body of a 200.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        let text = String::from_utf8_lossy(self.body);
        ensure!(self.status == 200, "answered {}: {text}", self.status);
        serde_json::from_slice(self.body).with_context(|| format!("not JSON: {text}"))
    }
}

/// A `GET` of an API path.
pub fn get(path: &str, key: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: bench\r\nX-Api-Key: {key}\r\n\r\n").into_bytes()
}

/// A `POST` of a form to an API path, appended to `request`.
pub fn post(request: &mut Vec<u8>, path: &str, key: &str, form: &str) {
    let length = form.len();
    let text = format!(
        "POST {path} HTTP/1.1\r\nHost: bench\r\nX-Api-Key: {key}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
    );
    request.extend_from_slice(text.as_bytes());
}

fn content_length(head: &[u8]) -> anyhow::Result<usize> {
    let head = str::from_utf8(head).context("the head of the answer")?;
    header(head, "content-length").context("no length")?.parse().context("the length")
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.split("\r\n").skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_whatever_their_case() {
        let head = "HTTP/1.1 302 Found\r\nLocation: https://a.example/?b=c:d\r\nContent-LENGTH: 12\r\n\r\n";
        assert_eq!(header(head, "location"), Some("https://a.example/?b=c:d"));
        assert_eq!(content_length(head.as_bytes()).expect("there"), 12);
        assert_eq!(header(head, "HTTP/1.1 302 Found"), None);
    }
}
