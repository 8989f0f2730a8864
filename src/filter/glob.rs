//! Patterns of process names, compiled to a state machine that BPF programs can run.

use std::str::FromStr;

/// A glob (`*`, `?`, `[a-z]`, `[!a-z]`, `\` before a literal; `!` in front negates it) as a bit-parallel automaton.
///
/// Bit i of a set of states stands for "the first i tokens have matched". A name is run through
/// it a byte at a time: `D = ((D & step[byte]) << 1) | (D & stay)`, starting with `D = 1`; it
/// matches when `D & accept` is not 0 at its end. The BPF side does the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommGlob {
    /// For each byte, the states from which it matches the next token.
    pub step: [u32; 256],
    /// States of a `*`, which no byte leaves.
    pub stay: u32,
    /// The one state in which everything has matched.
    pub accept: u32,
    /// It is for the names that do not match.
    pub negated: bool,
}

/// Tokens a pattern may have: one less than the bits of a set. Names have at most 15 bytes.
const MAX_TOKENS: u32 = 31;

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// Matches nothing: every process has a name.
    #[error("an empty pattern matches no process; use * for any name")]
    Empty,
    /// More than the automaton has states for.
    #[error("the pattern is too long: process names have at most 15 bytes")]
    TooLong,
    /// A `[` that no `]` ends.
    #[error("a [ has no matching ]; write \\[ for a literal [")]
    OpenClass,
    /// A range like `[z-a]`.
    #[error("the range {0}-{1} is empty; swap its ends")]
    BackwardRange(char, char),
    /// A backslash with nothing after it.
    #[error("nothing follows the \\ at the end; write \\\\ for a literal \\")]
    OpenEscape,
}

impl CommGlob {
    /// Whether a name, without its ending zeros, matches.
    pub fn matches(&self, name: &[u8]) -> bool {
        let run = |states, &byte: &u8| {
            ((states & self.step[usize::from(byte)]) << 1) | (states & self.stay)
        };
        (name.iter().fold(1, run) & self.accept != 0) != self.negated
    }

    /// Lets the next token match each of `bytes`.
    fn token(&mut self, bytes: impl IntoIterator<Item = u8>) -> Result<(), GlobError> {
        if self.accept >= 1 << MAX_TOKENS {
            return Err(GlobError::TooLong);
        }
        for byte in bytes {
            self.step[usize::from(byte)] |= self.accept;
        }
        self.accept <<= 1;
        Ok(())
    }
}

impl FromStr for CommGlob {
    type Err = GlobError;

    fn from_str(pattern: &str) -> Result<Self, GlobError> {
        let (negated, pattern) = match pattern.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, pattern),
        };
        if pattern.is_empty() {
            return Err(GlobError::Empty);
        }
        let mut glob = Self { step: [0; 256], stay: 0, accept: 1, negated };
        let mut rest = pattern.as_bytes();
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            match first {
                b'*' => glob.stay |= glob.accept,
                b'?' => glob.token(0..=u8::MAX)?,
                b'[' => {
                    let (class, after) = class(rest)?;
                    rest = after;
                    glob.token((0..=u8::MAX).filter(|&byte| class[usize::from(byte)]))?;
                }
                b'\\' => {
                    let (&literal, after) = rest.split_first().ok_or(GlobError::OpenEscape)?;
                    rest = after;
                    glob.token([literal])?;
                }
                literal => glob.token([literal])?,
            }
        }
        Ok(glob)
    }
}

/// Reads a class after its `[`: the bytes in it, and what follows its `]`.
fn class(pattern: &[u8]) -> Result<([bool; 256], &[u8]), GlobError> {
    let (negated, mut rest) = match pattern {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    let mut members = [negated; 256];
    // As in the shell, a ] that comes first is one of the class, and a - at either end too.
    let mut first = true;
    loop {
        match *rest {
            [] => return Err(GlobError::OpenClass),
            [b']', ref after @ ..] if !first => return Ok((members, after)),
            [from, b'-', to, ref after @ ..] if to != b']' => {
                if from > to {
                    return Err(GlobError::BackwardRange(from.into(), to.into()));
                }
                members[usize::from(from)..=usize::from(to)].fill(!negated);
                rest = after;
            }
            [byte, ref after @ ..] => {
                members[usize::from(byte)] = !negated;
                rest = after;
            }
        }
        first = false;
    }
}

#[cfg(test)]
mod tests {
    use globset::GlobBuilder;

    use super::*;

    #[test]
    fn an_exclamation_mark_negates() {
        let glob: CommGlob = "!ssh*".parse().unwrap();
        assert!(glob.matches(b"nginx") && !glob.matches(b"sshd"));
        let literal: CommGlob = "\\!x".parse().unwrap();
        assert!(literal.matches(b"!x"));
        assert_eq!("!".parse::<CommGlob>(), Err(GlobError::Empty));
    }

    #[test]
    fn agrees_with_globset() {
        let patterns = [
            "*",
            "nginx",
            "ngin?",
            "n*x",
            "*n*",
            "a*b*c",
            "?",
            "??",
            "???*",
            "*?",
            "[a-c]*",
            "[!a-c]*",
            "[^a]b",
            "*[0-9]",
            "kworker/*",
            "k*:[0-9]*[a-z]",
            "[]]x",
            "[a-]",
            "[-a]",
            "\\*",
            "a\\?b",
            "\\[x]",
            "[*]",
            "[?]*",
            "redis-server",
            "*-*-*",
            "a*a*a*a",
            "x[a-cx-z]y",
            "[!-a]",
            "[a-cA-C]?",
            "*server",
            "(sd-pam)",
            "*.sh",
        ];
        let mut names: Vec<String> = [
            "",
            "nginx",
            "nginy",
            "nx",
            "an",
            "abc",
            "aXbYc",
            "axbyc",
            "a",
            "b",
            "ab",
            "bb",
            "abcd",
            "kworker/0:1",
            "kworker/u4:2-ev",
            "kswapd0",
            "]x",
            "-",
            "-a",
            "*",
            "a?b",
            "a*b",
            "[x]",
            "?",
            "?x",
            "redis-server",
            "a-b-c",
            "--",
            "aaaa",
            "aaab",
            "xay",
            "xdy",
            "xzy",
            "Bz",
            "(sd-pam)",
            "run.sh",
            "fifteen-letters",
        ]
        .map(str::to_owned)
        .to_vec();
        for n in 0..3_u32.pow(7) {
            names.push((0..7).map(|i| ['a', 'b', '-'][(n / 3_u32.pow(i) % 3) as usize]).collect());
        }
        for pattern in patterns {
            let ours: CommGlob = pattern.parse().unwrap();
            let theirs = GlobBuilder::new(pattern)
                .literal_separator(false)
                .backslash_escape(true)
                .build()
                .unwrap()
                .compile_matcher();
            for name in &names {
                assert_eq!(
                    ours.matches(name.as_bytes()),
                    theirs.is_match(name),
                    "{pattern} {name}"
                );
            }
        }
    }

    #[test]
    fn names_are_bytes() {
        let glob = |pattern: &str| pattern.parse::<CommGlob>().unwrap();
        assert!(glob("a?b").matches(b"a\xffb"));
        assert!(glob("*X").matches(b"\x1b[2J\x1b[31mX"));
        assert!(glob("caf*").matches("café".as_bytes()));
        assert!(!glob("nginx").matches(b"nginx: worker"));
    }

    #[test]
    fn invalid_patterns_are_rejected() {
        let error = |pattern: &str| pattern.parse::<CommGlob>().unwrap_err();
        assert_eq!(error(""), GlobError::Empty);
        assert_eq!(error("[a"), GlobError::OpenClass);
        assert_eq!(error("[]"), GlobError::OpenClass);
        assert_eq!(error("[z-a]"), GlobError::BackwardRange('z', 'a'));
        assert_eq!(error("a\\"), GlobError::OpenEscape);
        assert_eq!(error(&"a".repeat(32)), GlobError::TooLong);
        let longest: CommGlob = "?".repeat(31).parse().unwrap();
        assert!(longest.matches(&[b'a'; 31]) && !longest.matches(&[b'a'; 30]));
        assert!(format!("{}*", "*?".repeat(31)).parse::<CommGlob>().is_ok());
    }
}
