//! Takes the terminal and restores it on every exit.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::panic;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use rustix::termios::{OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr};

/// The other screen, no cursor, and clicks if wanted (`xterm` control sequences).
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[2J";
const CLICKS: &[u8] = b"\x1b[?1000h\x1b[?1006h";
/// Everything back; what was not switched on may be switched off.
const LEAVE: &[u8] = b"\x1b[?1006l\x1b[?1000l\x1b[0m\x1b[?25h\x1b[?1049l";

/// Exit code of a program that has panicked.
const PANICKED: i32 = 101;

/// The terminal as it was before, while it is ours.
static SAVED: Mutex<Option<Termios>> = Mutex::new(None);
static CLICKABLE: AtomicBool = AtomicBool::new(false);

/// The screen that frames are drawn on; only cells that have changed are written.
pub struct Screen(Terminal<CrosstermBackend<BufWriter<io::Stdout>>>);

impl Screen {
    /// Writes to standard output.
    ///
    /// # Errors
    /// The terminal has no size.
    pub fn new() -> io::Result<Self> {
        let backend = CrosstermBackend::new(BufWriter::with_capacity(64 << 10, io::stdout()));
        Terminal::new(backend).map(Self)
    }

    /// Columns and lines.
    ///
    /// # Errors
    /// The terminal does not say.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        let size = self.0.size()?;
        Ok((size.width, size.height))
    }

    /// Has every cell drawn again. `Terminal::clear` would ask the terminal where its cursor is,
    /// and the answer would be taken for keys.
    ///
    /// # Errors
    /// Those of [`Screen::size`].
    pub fn redraw(&mut self) -> io::Result<()> {
        let (width, height) = self.size()?;
        self.0.resize(Rect::new(0, 0, width, height))
    }

    /// Draws a frame.
    ///
    /// # Errors
    /// The terminal cannot be written.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Buffer)) -> io::Result<()> {
        self.0.draw(|frame| draw(frame.buffer_mut()))?;
        self.0.backend_mut().flush()
    }
}

/// Gives the terminal back when it goes out of scope.
#[derive(Debug)]
pub struct Guard(());

impl Guard {
    /// Takes the terminal. A panic in any thread gives it back before it says anything, and ends
    /// the program: half a dashboard shows old numbers.
    ///
    /// # Errors
    /// There is no terminal, or it refuses. It is unchanged then.
    pub fn take(clicks: bool) -> io::Result<Self> {
        CLICKABLE.store(clicks, Ordering::Relaxed);
        let guard = Self(());
        enter()?;
        let before = panic::take_hook();
        let main = thread::current().id();
        panic::set_hook(Box::new(move |info| {
            restore();
            before(info);
            if thread::current().id() != main {
                std::process::exit(PANICKED);
            }
        }));
        Ok(guard)
    }

    /// Stops the program as Ctrl-Z does, with the terminal as it was, and takes it again when the
    /// shell continues it.
    ///
    /// # Errors
    /// Those of [`Guard::take`].
    pub fn suspend(&self) -> io::Result<()> {
        restore();
        signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP)?;
        enter()
    }

    /// Takes the terminal again, which the shell has used while the program was stopped.
    ///
    /// # Errors
    /// Those of [`Guard::take`].
    pub fn resume(&self) -> io::Result<()> {
        restore();
        enter()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

/// Why there is nothing to draw on, if so.
pub fn lacking() -> Option<&'static str> {
    if !io::stdout().is_terminal() {
        return Some("there is no terminal to draw on");
    }
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    dumb.then_some("a terminal with TERM=dumb cannot be drawn on")
}

fn saved() -> std::sync::MutexGuard<'static, Option<Termios>> {
    SAVED.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn enter() -> io::Result<()> {
    let terminal = rustix::stdio::stdout();
    let mut saved = saved();
    let was = tcgetattr(terminal)?;
    let mut raw = was.clone();
    raw.make_raw();
    // From here on there is something to give back, even if the rest fails.
    *saved = Some(was);
    tcsetattr(terminal, OptionalActions::Now, &raw)?;
    write(ENTER)?;
    if CLICKABLE.load(Ordering::Relaxed) {
        write(CLICKS)?;
    }
    Ok(())
}

/// Gives the terminal back; the second time there is nothing to do. Nothing here waits: the
/// terminal may be gone.
pub fn restore() {
    let Some(was) = saved().take() else { return };
    let terminal = rustix::stdio::stdout();
    // Who cannot be written to has no screen that could be wrong.
    let _ = write(LEAVE);
    // Keys meant for the dashboard are none for the shell.
    let _ = tcflush(terminal, QueueSelector::IFlush);
    let _ = tcsetattr(terminal, OptionalActions::Now, &was);
}

fn write(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(rustix::stdio::stdout(), bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
