//! Kernel symbols of functions that BTF lacks.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

/// The wanted functions that BTF lacks, each with the symbols that bear its name: none where the
/// kernel has no such function, `name.isra.0` and the like where the compiler has changed it,
/// `name [module]` where it is not part of the kernel itself.
pub type Symbols = BTreeMap<&'static str, Vec<String>>;

/// Finds them in `/proc/kallsyms`, which takes some 70 ms.
///
/// # Errors
/// It cannot be read.
pub fn similar(names: &[&'static str], mut kallsyms: impl BufRead) -> io::Result<Symbols> {
    let mut found: Symbols = names.iter().map(|name| (*name, Vec::new())).collect();
    let mut line = Vec::new();
    while kallsyms.read_until(b'\n', &mut line)? > 0 {
        // ffffffff81a3c5d0 t tcp_v6_do_rcv	[ipv6]
        let text = String::from_utf8_lossy(&line);
        let mut words = text.split_ascii_whitespace().skip(2);
        if let Some(symbol) = words.next()
            && let Some(symbols) = symbol.split('.').next().and_then(|base| found.get_mut(base))
        {
            let module = words.next().map(|module| format!(" {module}")).unwrap_or_default();
            symbols.push(format!("{symbol}{module}"));
        }
        line.clear();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_inlined_and_module_variants_of_a_function() {
        let kallsyms = b"\
            0000000000000000 T tcp_sendmsg\n\
            0000000000000000 t tcp_sendmsg_locked\n\
            0000000000000000 t inet_twsk_kill.isra.0\n\
            0000000000000000 t inet_twsk_kill.constprop.0.cold\n\
            0000000000000000 t tcp_v6_do_rcv\t[ipv6]\n\
            short\n\
            \xff\xfe t \xff\n"
            .as_slice();
        let found =
            similar(&["tcp_sendmsg", "inet_twsk_kill", "tcp_v6_do_rcv", "none"], kallsyms).unwrap();
        let expected = [
            ("inet_twsk_kill", vec!["inet_twsk_kill.isra.0", "inet_twsk_kill.constprop.0.cold"]),
            ("none", vec![]),
            ("tcp_sendmsg", vec!["tcp_sendmsg"]),
            ("tcp_v6_do_rcv", vec!["tcp_v6_do_rcv [ipv6]"]),
        ];
        let found: Vec<_> = found
            .iter()
            .map(|(name, symbols)| (*name, symbols.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(found, expected);
    }
}
