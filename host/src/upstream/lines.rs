//! Lines of bounded length from a stream that nobody vouches for.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// All of it.
    Whole(Vec<u8>),
    /// The line was longer than allowed.
    Cut {
        /// Its start, as long as allowed.
        start: Vec<u8>,
        /// Its last bytes, [`TAIL_BYTES`] at most.
        tail: Vec<u8>,
    },
}

/// How much of a long line's end is kept.
const TAIL_BYTES: usize = 64;

/// Reads the next line, keeping at most `bytes_max` of it; none at the end of the stream. A last line without an end
/// counts as a line. Not to be dropped half-way: what was read until then is lost.
pub(super) async fn next_line<R>(reader: &mut R, bytes_max: usize) -> io::Result<Option<Line>>
where
    R: AsyncBufRead + Unpin,
{
    let mut kept = Vec::new();
    let mut tail = Vec::new();
    let mut any = false;
    loop {
        let chunk = reader.fill_buf().await?;
        if chunk.is_empty() {
            return Ok(any.then(|| line(kept, tail)));
        }
        any = true;
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
        let (fits, over) = part.split_at(part.len().min(bytes_max.saturating_sub(kept.len())));
        kept.extend_from_slice(fits);
        tail.extend_from_slice(over.get(over.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default());
        tail.drain(..tail.len().saturating_sub(TAIL_BYTES));
        let used = part.len().saturating_add(usize::from(end.is_some()));
        reader.consume(used);
        if end.is_some() {
            return Ok(Some(line(kept, tail)));
        }
    }
}

fn line(mut kept: Vec<u8>, tail: Vec<u8>) -> Line {
    if !tail.is_empty() {
        return Line::Cut { start: kept, tail };
    }
    if kept.last() == Some(&b'\r') {
        kept.pop();
    }
    Line::Whole(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(text: &[u8], bytes_max: usize, buffer: usize) -> Vec<Line> {
        let mut reader = tokio::io::BufReader::with_capacity(buffer, text);
        let mut lines = Vec::new();
        while let Some(line) = next_line(&mut reader, bytes_max).await.unwrap() {
            lines.push(line);
        }
        lines
    }

    #[tokio::test]
    async fn lines_are_split_and_bounded_whatever_the_buffer() {
        let whole = |text: &str| Line::Whole(text.into());
        let cut = |start: &str, tail: &str| Line::Cut { start: start.into(), tail: tail.into() };
        for buffer in [1, 2, 3, 64] {
            assert_eq!(
                all(b"a\r\n\nlonger than five\nfives\nend", 5, buffer).await,
                [whole("a"), whole(""), cut("longe", "r than five"), whole("fives"), whole("end")],
            );
        }
        assert!(all(b"", 5, 4).await.is_empty());
        let long = "0123456789".repeat(20);
        for buffer in [1, 7, 1000] {
            let tail = long.get(long.len() - TAIL_BYTES..).unwrap();
            assert_eq!(all(long.as_bytes(), 5, buffer).await, [cut("01234", tail)]);
        }
    }
}
