//! Server-sent events (WHATWG HTML, section 9.2), read as they come and bounded.

use crate::limits;

/// The events of a stream. Only their data matters here.
#[derive(Default)]
pub(super) struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
    /// The event has data, be it empty.
    any: bool,
    /// The last byte was a carriage return: a line feed right after it belongs to it.
    returned: bool,
    begun: bool,
    seen: usize,
}

/// An event or the whole stream has more bytes than the gate takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Events {
    /// Takes the next bytes: the data of the events that they complete.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, TooLong> {
        let mut complete = Vec::new();
        self.seen = self.seen.saturating_add(bytes.len());
        if self.seen > limits::STREAM_BYTES_MAX {
            return Err(TooLong);
        }
        while !bytes.is_empty() {
            if std::mem::take(&mut self.returned) && bytes.first() == Some(&b'\n') {
                bytes = bytes.get(1..).unwrap_or_default();
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if self.line.len().saturating_add(self.data.len()).saturating_add(part.len()) > limits::ANSWER_BYTES_MAX {
                return Err(TooLong);
            }
            self.line.extend_from_slice(part);
            bytes = rest;
            if let Some((byte, rest)) = rest.split_first() {
                self.returned = *byte == b'\r';
                bytes = rest;
                complete.extend(self.end_line());
            }
        }
        Ok(complete)
    }

    fn end_line(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            return std::mem::take(&mut self.any).then(|| std::mem::take(&mut self.data));
        }
        if let Some(value) = line.strip_prefix(b"data") {
            // `data` alone is a line of no data; `database` is another field.
            let value = if value.is_empty() { Some(value) } else { value.strip_prefix(b":") };
            if let Some(value) = value {
                if self.any {
                    self.data.push(b'\n');
                }
                self.any = true;
                self.data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "\u{feff}data: first\n\n: a comment\nevent: message\r\nid: 7\r\ndata:{\"a\":\r\ndata: 1}\r\n\r\nretry: 5\n\n\
                          data\rdata\r\rdatabase: x\n\ndata:  two\n\ndata: never ended";

    #[test]
    fn events_are_the_same_however_they_arrive() {
        let expected = ["first", "{\"a\":\n1}", "\n", " two"].map(|text| text.as_bytes().to_vec());
        for size in [1, 2, 3, 7, 1000] {
            let mut events = Events::default();
            let read: Vec<_> = STREAM.as_bytes().chunks(size).flat_map(|chunk| events.take(chunk).unwrap()).collect();
            assert_eq!(read, expected, "{size}");
        }
    }

    #[test]
    fn what_has_no_end_is_cut_off() {
        let chunk = vec![b'x'; 1024 * 1024];
        let mut lines = Events::default();
        assert_eq!((0..17).map(|_| lines.take(&chunk)).find(Result::is_err), Some(Err(TooLong)));
        let mut data = Events::default();
        let line = [b"data:", chunk.as_slice(), b"\n"].concat();
        assert_eq!((0..17).map(|_| data.take(&line)).find(Result::is_err), Some(Err(TooLong)));
        let mut comments = Events::default();
        let line = [b":", chunk.as_slice(), b"\n"].concat();
        assert_eq!((0..63).map(|_| comments.take(&line)).find(Result::is_err), None);
        assert_eq!(comments.take(&line), Err(TooLong));
    }
}
