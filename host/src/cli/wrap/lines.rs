//! Standard input and output, a line a message. Each has a thread of its own: what blocks there must not keep the process
//! from ending.

use std::io::{self, BufRead as _, Read as _, Write as _};

use tokio::sync::{mpsc, oneshot};

use crate::limits::{BODY_BYTES_MAX, BODY_DRAINED_BYTES_MAX};
use crate::task;

/// Lines that wait on either side.
const WAITING_MAX: usize = 16;

/// A line of standard input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// As it was, without its end.
    Whole(Vec<u8>),
    /// It had more bytes than can be read for its id.
    Endless,
}

/// The lines of standard input.
pub(super) fn input() -> io::Result<mpsc::Receiver<Line>> {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    task::thread("standard input", move || {
        let mut stdin = io::stdin().lock();
        loop {
            let line = match line(&mut stdin) {
                Ok(Some(line)) => line,
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "standard input cannot be read");
                    return;
                }
            };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}

fn line(reader: &mut impl io::BufRead) -> io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(BODY_DRAINED_BYTES_MAX).unwrap_or(u64::MAX);
    if reader.take(most).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.pop_if(|byte| *byte == b'\n').is_none() && bytes.len() == BODY_DRAINED_BYTES_MAX {
        reader.skip_until(b'\n')?;
        return Ok(Some(Line::Endless));
    }
    Ok(Some(Line::Whole(bytes)))
}

/// Where lines of standard output go, and when the last of them was written. It closes when the client does.
pub(super) fn output() -> io::Result<(mpsc::Sender<String>, oneshot::Receiver<()>)> {
    let (sender, mut receiver) = mpsc::channel::<String>(WAITING_MAX);
    let (done, written) = oneshot::channel();
    task::thread("standard output", move || {
        let mut stdout = io::stdout();
        while let Some(line) = receiver.blocking_recv() {
            if let Err(error) = writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
                tracing::info!(%error, "standard output is closed");
                return;
            }
        }
        // Nobody may wait for it any more.
        let _ = done.send(());
    })?;
    Ok((sender, written))
}

/// Whether a message is larger than the gate takes.
pub(super) fn is_too_long(line: &[u8]) -> bool {
    line.len() > BODY_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<Line> {
        let mut reader = io::BufReader::new(text);
        std::iter::from_fn(|| line(&mut reader).unwrap()).collect()
    }

    fn whole(text: &str) -> Line {
        Line::Whole(text.into())
    }

    #[test]
    fn lines_are_bounded() {
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"a\n\nb"), [whole("a"), whole(""), whole("b")]);
        let most = "x".repeat(BODY_DRAINED_BYTES_MAX - 1);
        assert_eq!(lines(format!("{most}\nb\n").as_bytes()), [whole(&most), whole("b")]);
        assert_eq!(lines(format!("{most}xyz\nb\n").as_bytes()), [Line::Endless, whole("b")]);
        assert_eq!(lines(format!("{most}x\nb\n").as_bytes()), [Line::Endless, whole("b")]);
    }
}
