//! Names of the functions that drop segments.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::sync::Arc;

use crate::wire::{PlaceName, Record as _};

/// Symbols with their addresses, for kernels whose programs cannot name a function.
const KALLSYMS: &str = "/proc/kallsyms";

/// Addresses in the kernel to names of functions; each is looked up once.
#[derive(Debug, Default)]
pub struct PlaceNames {
    names: HashMap<u64, Option<Arc<str>>>,
    unresolved: bool,
}

impl PlaceNames {
    /// The name of the function at an address, as the programs noted it (`by_program`), else from the list
    /// of symbols; `None`: unknown.
    pub fn name(
        &mut self,
        place: u64,
        by_program: impl FnOnce(u64) -> Option<Vec<u8>>,
    ) -> Option<Arc<str>> {
        if let Some(name) = self.names.get(&place) {
            return name.clone();
        }
        let noted = by_program(place).and_then(|bytes| noted_name(&bytes));
        let name = noted.or_else(|| {
            let symbols = File::open(KALLSYMS).ok()?;
            symbol_at(BufReader::with_capacity(1 << 16, symbols), place).ok()?
        });
        self.unresolved |= name.is_none();
        self.names.insert(place, name.clone());
        name
    }

    /// Whether a name was not found.
    pub fn unresolved(&self) -> bool {
        self.unresolved
    }
}

/// The kernel prints an address in hexadecimal where it has no symbol.
fn noted_name(bytes: &[u8]) -> Option<Arc<str>> {
    let noted = PlaceName::read(bytes)?.name;
    let name = noted.split(|&byte| byte == 0).next().unwrap_or_default();
    let name = str::from_utf8(name).ok().filter(|name| !name.is_empty())?;
    // A function of a module: `name [module]`.
    let name = name.split(' ').next().unwrap_or_default();
    (!name.starts_with("0x")).then(|| Arc::from(name))
}

/// The last function that begins at or before an address. Without the right to see addresses all are 0.
fn symbol_at(symbols: impl BufRead, place: u64) -> io::Result<Option<Arc<str>>> {
    let mut best = (0, None);
    for line in symbols.lines() {
        let line = line?;
        let mut words = line.split_whitespace();
        let (Some(address), Some(kind), Some(name)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let Ok(address) = u64::from_str_radix(address, 16) else { continue };
        let function = matches!(kind, "t" | "T" | "w" | "W");
        if function && address != 0 && address <= place && address >= best.0 {
            best = (address, Some(Arc::from(name)));
        }
    }
    Ok(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYMBOLS: &str = "ffffffff81000000 T _stext\nffffffff81000040 t tcp_v4_rcv\n\
                           ffffffff81000050 d not_a_function\nffffffff81000080 T ip_rcv\n\
                           ffffffffc0000000 t veth_xmit\t[veth]\n";

    fn at(place: u64) -> Option<String> {
        symbol_at(SYMBOLS.as_bytes(), place).unwrap().map(|name| name.to_string())
    }

    #[test]
    fn the_symbol_before_an_address_is_its_function() {
        assert_eq!(at(0xffff_ffff_8100_007f).as_deref(), Some("tcp_v4_rcv"));
        assert_eq!(at(0xffff_ffff_c000_0010).as_deref(), Some("veth_xmit"));
        assert_eq!(at(0x1000), None);
        let hidden =
            SYMBOLS.replace("ffffffff81000", "0000000000000").replace("ffffffffc", "000000000");
        let hidden =
            hidden.lines().map(|line| format!("{:016x}{}", 0, &line[16..])).collect::<Vec<_>>();
        assert_eq!(symbol_at(hidden.join("\n").as_bytes(), u64::MAX).unwrap(), None);
    }

    #[test]
    fn a_name_is_asked_for_once() {
        let mut names = PlaceNames::default();
        let noted = |text: &[u8]| {
            let mut place = PlaceName::default();
            place.name[..text.len()].copy_from_slice(text);
            place.as_bytes().to_vec()
        };
        let name = names.name(1, |_| Some(noted(b"nft_do_chain [nf_tables]")));
        assert_eq!(name.as_deref(), Some("nft_do_chain"));
        assert_eq!(names.name(1, |_| panic!("asked again")), name);
        assert!(!names.unresolved());
        assert_eq!(noted_name(&noted(b"0xffffffff81")), None);
    }
}
