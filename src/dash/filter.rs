//! The filter as typed at the dashboard: the flags of the tools, or a word that means one.

use super::args::typed_filters;
use crate::cli::parse;
use crate::filter::Filter;

/// Reads what was typed: flags such as `--comm nginx --rport 443`. A bare word in front of them
/// is a port, an address or a network, else a part of a name, or its pattern. Nothing typed is no filter.
///
/// # Errors
/// One line that says what is wrong.
pub fn read(text: &str) -> Result<Option<Filter>, String> {
    let words = words(text)?;
    if words.is_empty() {
        return Ok(None);
    }
    let mut flags = Vec::new();
    let bare = words.iter().take_while(|word| !word.starts_with('-')).count();
    for word in &words[..bare] {
        let (flag, word) = if parse::ports(word).is_ok() {
            ("--port", word.clone())
        } else if parse::network(word).is_ok() {
            ("--addr", word.clone())
        } else {
            ("--comm", part_of_name(word))
        };
        flags.extend([flag.to_owned(), word]);
    }
    flags.extend_from_slice(&words[bare..]);
    typed_filters(flags)?.filter().map(Some)
}

/// `api` finds `api-server`, `!api` everything else; a pattern stays as it is.
fn part_of_name(word: &str) -> String {
    let (not, name) = word.strip_prefix('!').map_or(("", word), |name| ("!", name));
    if name.contains(['*', '?', '[', '\\']) { word.to_owned() } else { format!("{not}*{name}*") }
}

/// Splits at spaces outside of quotes.
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => (quote, begun) = (Some(c), true),
            (None, ' ' | '\t') if begun => {
                words.push(std::mem::take(&mut word));
                begun = false;
            }
            (None, ' ' | '\t') => {}
            _ => {
                word.push(c);
                begun = true;
            }
        }
    }
    if let Some(quote) = quote {
        return Err(format!("the {quote} is not closed"));
    }
    words.extend(begun.then_some(word));
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_words_mean_the_same() {
        let same = |word: &str, flags: &str| {
            let [word, flags] = [word, flags].map(|text| format!("{:?}", read(text).unwrap()));
            assert_eq!(word, flags);
        };
        same("nginx", "--comm *nginx*");
        same("!api", "--comm !*api*");
        same("ngin?", "--comm ngin?");
        same("443", "--port 443");
        same("10.0.0.0/8", "--addr 10.0.0.0/8");
        same("'my app' 443 -4", "-c '*my app*' --port 443 --ipv4");
        assert!(read("  ").unwrap().is_none());
    }

    #[test]
    fn errors_are_one_line() {
        for (text, part) in [
            ("--port 70000", "65535"),
            ("--magic", "--magic"),
            ("--comm [a", "no matching ]"),
            ("--comm", "a value is required"),
            ("'a", "not closed"),
            ("a b", "cannot be used multiple times"),
            ("--ipv4 --addr ::1", "exclude each other"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part) && !error.contains('\n'), "{text}: {error}");
        }
    }
}
