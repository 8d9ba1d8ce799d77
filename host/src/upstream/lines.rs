//! Lines of bounded length from a stream that nobody vouches for.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// All of it.
    Whole(Vec<u8>),
    /// Its start; the line was longer than allowed.
    Cut(Vec<u8>),
}

/// Reads the next line, keeping at most `bytes_max` of it; none at the end of the stream. A last line without an end
/// counts as a line. Not to be dropped half-way: what was read until then is lost.
pub(super) async fn next_line<R>(reader: &mut R, bytes_max: usize) -> io::Result<Option<Line>>
where
    R: AsyncBufRead + Unpin,
{
    let mut kept = Vec::new();
    let mut cut = false;
    let mut any = false;
    loop {
        let chunk = reader.fill_buf().await?;
        if chunk.is_empty() {
            return Ok(any.then(|| line(kept, cut)));
        }
        any = true;
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
        let room = bytes_max.saturating_sub(kept.len());
        cut |= part.len() > room;
        kept.extend_from_slice(part.get(..room).unwrap_or(part));
        let used = part.len().saturating_add(usize::from(end.is_some()));
        reader.consume(used);
        if end.is_some() {
            return Ok(Some(line(kept, cut)));
        }
    }
}

fn line(mut kept: Vec<u8>, cut: bool) -> Line {
    if cut {
        return Line::Cut(kept);
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
        for buffer in [1, 2, 3, 64] {
            assert_eq!(
                all(b"a\r\n\nlonger than five\nfives\nend", 5, buffer).await,
                [whole("a"), whole(""), Line::Cut(b"longe".into()), whole("fives"), whole("end")],
            );
        }
        assert!(all(b"", 5, 4).await.is_empty());
    }
}
