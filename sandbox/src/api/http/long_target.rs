//! Request targets of up to a megabyte, as Go's server takes them. The HTTP library here ends at 64 KiB,
//! and `kubectl exec` puts each argument of the command into the query.
//!
//! So the query of a long first request line travels on as a header. Later requests of a connection
//! are left as they are: an exec always has a connection of its own.

use std::io;

use axum::http::HeaderMap;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

/// The header that holds the query of a long target.
const HEADER: &str = "x-sandbox-query";
/// The longest target that is left as it is.
const SHORT: usize = 60 * 1024;
/// Go's `DefaultMaxHeaderBytes`.
pub(super) const LONGEST: usize = 1 << 20;

/// The query that was moved, if it was.
pub(super) fn query(headers: &HeaderMap) -> Option<&str> {
    headers.get(HEADER)?.to_str().ok()
}

/// The stream with the query of a long first line moved into a header.
pub(super) async fn shortened<S>(mut stream: S) -> io::Result<impl AsyncRead + AsyncWrite + Unpin>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = Vec::with_capacity(8 * 1024);
    let line_end = loop {
        let from = head.len();
        if stream.read_buf(&mut head).await? == 0 {
            break None;
        }
        if let Some(at) = head.iter().skip(from).position(|byte| *byte == b'\n') {
            break Some(from + at);
        }
        if head.len() > LONGEST {
            break None;
        }
    };
    if let Some(end) = line_end.filter(|end| *end > SHORT)
        && let Some(moved) = head.get(..end).and_then(moved)
    {
        head.splice(..=end, moved);
    }
    let (rest, writer) = tokio::io::split(stream);
    Ok(tokio::io::join(io::Cursor::new(head).chain(rest), writer))
}

/// The first lines of the request without a query in its target.
fn moved(line: &[u8]) -> Option<Vec<u8>> {
    let line = str::from_utf8(line).ok()?.trim_end();
    let (method, rest) = line.split_once(' ')?;
    let (target, version) = rest.rsplit_once(' ')?;
    let (path, query) = target.split_once('?')?;
    Some(format!("{method} {path} {version}\r\n{HEADER}: {query}\r\n").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_long_queries_move() {
        let long = "x".repeat(SHORT);
        for (sent, got) in [
            ("GET /a?b=c HTTP/1.1\r\nh: 1\r\n\r\n".to_owned(), None),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), None),
            (
                format!("GET /a?b={long} HTTP/1.1\r\nh: 1\r\n\r\n"),
                Some(format!(
                    "GET /a HTTP/1.1\r\n{HEADER}: b={long}\r\nh: 1\r\n\r\n"
                )),
            ),
        ] {
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            let (_, mut writer) = tokio::io::split(ours);
            let bytes = sent.clone();
            tokio::spawn(async move {
                use tokio::io::AsyncWriteExt as _;
                writer.write_all(bytes.as_bytes()).await.unwrap();
                writer.shutdown().await.unwrap();
            });
            let mut seen = String::new();
            let mut stream = shortened(theirs).await.unwrap();
            stream.read_to_string(&mut seen).await.unwrap();
            assert!(seen == got.unwrap_or(sent));
        }
    }
}
