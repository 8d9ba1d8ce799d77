//! How much of a value is kept in the log.

/// What is kept of one value, in bytes of JSON. The part that passes it is still kept, and parts are bounded themselves.
const BYTES_MAX: usize = 64 * 1024;

/// What a value may still take up. It is used up by what is written and by what had to be looked at for it, so that it
/// bounds the work as well.
pub(super) struct Room {
    left: usize,
    whole: usize,
}

impl Room {
    /// The room of a value that has so many bytes as JSON.
    pub(super) fn new(whole: usize) -> Self {
        Self { left: BYTES_MAX, whole }
    }

    /// The room of a document of so many bytes that stands in a string, of which no more than `bytes_max` will be kept.
    pub(super) fn of_document(whole: usize, bytes_max: usize) -> Self {
        Self { left: bytes_max, whole }
    }

    /// Whether nothing more is kept.
    pub(super) fn is_full(&self) -> bool {
        self.left == 0
    }

    /// Something of so many bytes, and what stands between it and the next.
    pub(super) fn take(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes.saturating_add(1));
    }

    /// A text, of which so many bytes were looked at.
    pub(super) fn take_text(&mut self, seen_bytes: usize, written: &str) {
        self.take(string_bytes(written).max(seen_bytes));
    }

    /// Stands for everything that was left out.
    pub(super) fn note(&self) -> String {
        format!("… ({} bytes in all)", self.whole)
    }
}

/// The name of the note among the members of an object, which none of them has.
pub(super) fn note_name(taken: &dyn Fn(&str) -> bool) -> String {
    let mut name = "…".to_owned();
    while taken(&name) {
        name.push('…');
    }
    name
}

/// The bytes of a string in JSON, with its quotes.
fn string_bytes(text: &str) -> usize {
    let written = |byte| match byte {
        b'"' | b'\\' => 2,
        0..=0x1f => 6,
        _ => 1_usize,
    };
    text.bytes().map(written).sum::<usize>().saturating_add(2)
}
