//! Properties of the terminal, if any.

use std::env;
use std::os::fd::AsFd;

use rustix::termios::{isatty, tcgetwinsize};

/// The terminal behind an output; nothing is known of a pipe or a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Term {
    /// Whether the output is a terminal.
    pub tty: bool,
    /// Whether headings may be bold.
    pub bold: bool,
    /// Columns; `None` where there is no limit.
    pub width: Option<usize>,
    /// Lines; `None` where there is no limit.
    pub height: Option<usize>,
}

impl Term {
    /// Examines an output.
    pub fn of(fd: impl AsFd) -> Self {
        if !isatty(&fd) {
            return Self::default();
        }
        let plain = env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || env::var_os("TERM").is_some_and(|v| v == "dumb");
        let mut term = Self { tty: true, bold: !plain, ..Self::default() };
        term.measure(fd);
        term
    }

    /// Reads the size again; windows get resized.
    pub fn measure(&mut self, fd: impl AsFd) {
        if let (true, Ok(size)) = (self.tty, tcgetwinsize(fd)) {
            // A terminal that does not know its size says 0.
            let known = |n: u16| (n > 0).then_some(usize::from(n));
            (self.width, self.height) = (known(size.ws_col), known(size.ws_row));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_no_terminal() {
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        assert_eq!(Term::of(&reader), Term::default());
    }
}
