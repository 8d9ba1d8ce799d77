//! The custom section that says what a component was built from.

/// Its name.
pub const SECTION: &str = "portcullis:sources";

/// The id of a custom section, in core modules and in components.
const CUSTOM: u8 = 0;
/// The magic number and the version.
const HEADER_BYTES: usize = 8;

/// What a component was built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltFrom {
    /// The digest of its sources: [`super::sources`].
    pub sources: String,
    /// The compiler, as `rustc --version` says. Another compiler may make other bytes of the same sources.
    pub rustc: String,
}

/// Adds the section at the end, where the format allows one: two lines, the digest and the compiler.
pub(super) fn append(component: &mut Vec<u8>, from: &BuiltFrom) {
    let mut section = Vec::new();
    leb(SECTION.len(), &mut section);
    section.extend_from_slice(SECTION.as_bytes());
    section.extend_from_slice(format!("{}\n{}\n", from.sources, from.rustc).as_bytes());
    component.push(CUSTOM);
    leb(section.len(), component);
    component.extend_from_slice(&section);
}

/// What the section says; none where a component has no such section, or is none.
#[must_use]
pub fn built_from(component: &[u8]) -> Option<BuiltFrom> {
    let mut rest = component.get(HEADER_BYTES..)?;
    while let Some((id, after)) = rest.split_first() {
        let (size, after) = read_leb(after)?;
        let (section, after) = after.split_at_checked(size)?;
        rest = after;
        if *id == CUSTOM {
            let (size, named) = read_leb(section)?;
            let (name, content) = named.split_at_checked(size)?;
            if name == SECTION.as_bytes() {
                let mut lines = std::str::from_utf8(content).ok()?.lines();
                return Some(BuiltFrom { sources: lines.next()?.to_owned(), rustc: lines.next()?.to_owned() });
            }
        }
    }
    None
}

/// Unsigned LEB128, as the binary format writes numbers.
fn leb(mut number: usize, out: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or(0x7f);
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn read_leb(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0;
    // The format's sizes are numbers of 32 bits: at most five bytes.
    for (index, byte) in bytes.iter().enumerate().take(5) {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(number).ok()?, bytes.get(index + 1..)?));
        }
    }
    None
}
