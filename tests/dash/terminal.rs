//! The terminal is restored on every exit.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use tcpscope::dash::terminal::Guard;

/// Timeout, enough for the slowest machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A terminal of our own, with a program on it.
///
/// expectrl was tried: it reads only while a test expects something, so a program that draws while its
/// end or stop is waited for blocks as soon as the terminal's buffer is full, and it starts the program
/// before a test can check the terminal's settings. It would save 40 lines and need 15 more crates.
struct Screen {
    keys: File,
    terminal: OwnedFd,
    before: String,
    seen: Arc<Mutex<Vec<u8>>>,
    child: Child,
}

fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// All settings from `stty -g`.
fn settings(terminal: impl AsFd) -> String {
    format!("{:?}", tcgetattr(terminal).unwrap())
}

impl Screen {
    fn start(mut command: Command) -> Self {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        let name = ptsname(&keys, Vec::new()).unwrap();
        let open = || File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let terminal = OwnedFd::from(open());
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal, size).unwrap();
        let before = settings(&terminal);
        let child = command
            .env("TERM", "xterm")
            .stdin(open())
            .stdout(open())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (seen, keys) = (Arc::new(Mutex::new(Vec::new())), File::from(keys));
        let (into, mut from) = (seen.clone(), keys.try_clone().unwrap());
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                into.lock().unwrap().extend_from_slice(&buffer[..read]);
            }
        });
        Self { keys, terminal, before, seen, child }
    }

    fn demo() -> Self {
        // Who runs the tests in the background has SIGINT and SIGQUIT ignored, which tcpdash keeps.
        let mut command = Command::new("env");
        command.args(["--default-signal", env!("CARGO_BIN_EXE_tcpdash"), "--demo"]);
        let screen = Self::start(command);
        screen.wait_for("retransmits");
        assert_ne!(settings(&screen.terminal), screen.before, "it is raw");
        screen
    }

    /// Waits until something has been drawn since the last time.
    fn wait_for(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        let seen = || {
            let mut seen = self.seen.lock().unwrap();
            let found = memchr::memmem::find(&seen, text.as_bytes()).is_some();
            if found {
                seen.clear();
            }
            found
        };
        while !seen() {
            assert!(Instant::now() < deadline, "{text} was never drawn");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The letter of its state in /proc.
    fn state(&self) -> Option<char> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        stat.rsplit(')').next()?.trim().chars().next()
    }

    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end, and checks the terminal settings.
    fn given_back(&mut self) -> ExitStatus {
        let status = self.ended();
        self.wait_for("\x1b[?1049l");
        assert_eq!(settings(&self.terminal), self.before);
        status
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn keys_that_quit() {
    for key in ["q", "\x03"] {
        let mut screen = Screen::demo();
        screen.keys.write_all(key.as_bytes()).unwrap();
        assert!(screen.given_back().success(), "{key:?}");
    }
}

#[test]
fn signals_that_end() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut screen = Screen::demo();
        kill_process(screen.pid(), signal).unwrap();
        assert!(screen.given_back().success(), "{signal:?}");
    }
}

#[test]
fn signals_that_kill_find_the_terminal_as_it_was() {
    for signal in [Signal::QUIT, Signal::ABORT, Signal::USR1, Signal::ALARM] {
        let mut screen = Screen::demo();
        kill_process(screen.pid(), signal).unwrap();
        assert_eq!(screen.given_back().signal(), Some(signal.as_raw()), "{signal:?}");
    }
}

#[test]
fn a_signal_that_was_ignored_stays_ignored() {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" --demo", env!("CARGO_BIN_EXE_tcpdash")]);
    let mut screen = Screen::start(command);
    screen.wait_for("retransmits");
    kill_process(screen.pid(), Signal::HUP).unwrap();
    // A signal that ends it is handled before keys are.
    screen.keys.write_all(b"5").unwrap();
    screen.wait_for("TIME_WAIT");
    screen.keys.write_all(b"q").unwrap();
    assert!(screen.given_back().success());
}

#[test]
fn suspend_and_resume_restore_the_terminal() {
    for by_key in [true, false] {
        let mut screen = Screen::demo();
        if by_key {
            screen.keys.write_all(b"\x1a").unwrap();
        } else {
            kill_process(screen.pid(), Signal::TSTP).unwrap();
        }
        wait_until("it does not stop", || screen.state() == Some('T'));
        assert_eq!(settings(&screen.terminal), screen.before, "the shell has it");
        screen.wait_for("\x1b[?1049l");
        kill_process(screen.pid(), Signal::CONT).unwrap();
        screen.wait_for("retransmits");
        assert_ne!(settings(&screen.terminal), screen.before);
        screen.keys.write_all(b"q").unwrap();
        assert!(screen.given_back().success());
    }
}

#[test]
fn a_resize_redraws() {
    let mut screen = Screen::demo();
    let size = Winsize { ws_row: 15, ws_col: 60, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&screen.terminal, size).unwrap();
    // Without a controlling terminal only we report it.
    kill_process(screen.pid(), Signal::WINCH).unwrap();
    screen.wait_for("retransmits");
    screen.keys.write_all(b"q").unwrap();
    assert!(screen.given_back().success());
}

#[test]
fn a_failed_start_does_not_change_the_terminal() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpdash"));
    command.args(["--replay", "/nonexistent/recording"]);
    let mut screen = Screen::start(command);
    assert_eq!(screen.ended().code(), Some(1));
    assert_eq!(settings(&screen.terminal), screen.before);
}

#[test]
fn a_dumb_terminal_is_refused_in_words() {
    let mut command = Command::new("env");
    command.args(["TERM=dumb", env!("CARGO_BIN_EXE_tcpdash"), "--demo"]);
    let mut screen = Screen::start(command);
    assert_eq!(screen.ended().code(), Some(2));
    assert_eq!(settings(&screen.terminal), screen.before);
    let mut command = Command::new("script");
    command.env("TERM", "dumb").args(["-qec"]);
    let out = command.arg(format!("{} --demo", env!("CARGO_BIN_EXE_tcpdash"))).arg("/dev/null");
    let text = String::from_utf8(out.stdin(Stdio::null()).output().unwrap().stdout).unwrap();
    assert!(text.contains("TERM=dumb") && text.contains("--snapshot"), "{text}");
}

/// A config file that cannot be read is named, and the frame is that without one.
#[test]
fn a_snapshot_names_a_config_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let frame = |config: &str| {
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcpdash"));
        command.args(["--demo", "--snapshot", "processes", "--size", "120x20", "--config"]);
        let out = command.arg(&path).output().unwrap();
        assert!(out.status.success());
        (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
    };
    let (plain, said) = frame("{}");
    assert!(said.is_empty() && plain.contains("SENT B/s"), "{said}{plain}");
    let (chosen, said) = frame(r#"{ "hidden": { "processes": ["tx_bytes"] } }"#);
    assert!(said.is_empty() && !chosen.contains("SENT B/s"), "{said}{chosen}");
    let (broken, said) = frame("{ hidden }");
    assert_eq!(broken, plain);
    assert!(said.starts_with("tcpdash: ") && said.contains("config.json is ignored: "), "{said}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{ hidden }");
}

#[test]
fn panics_and_failures_behind_the_guard() {
    for (how, code) in [("thread", 101), ("main", 101), ("failure", 0)] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "terminal::child",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ]);
        command.env("TCPDASH_CHILD", how);
        let mut screen = Screen::start(command);
        assert_eq!(screen.given_back().code(), Some(code), "{how}");
    }
}

/// Not a test: what [`panics_and_failures_behind_the_guard`] starts.
#[test]
#[ignore = "started by another test"]
fn child() {
    let Ok(how) = std::env::var("TCPDASH_CHILD") else { return };
    let guard = Guard::take(true).unwrap();
    let local = tcgetattr(rustix::stdio::stdout()).unwrap().local_modes;
    assert!(!local.contains(LocalModes::ICANON));
    match how.as_str() {
        "thread" => {
            let _ = thread::spawn(|| panic!("in a thread")).join();
            unreachable!("a panic ends the program");
        }
        "main" => panic!("in the thread that took the terminal"),
        _ => drop(guard),
    }
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let output = Command::new(env!("CARGO_BIN_EXE_tcpdash")).arg("--demo").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("--snapshot") && text.contains("--json"), "{text}");
    assert!(output.stdout.is_empty());
}

/// Why a recording cannot be shown comes before where it cannot be.
#[test]
fn without_a_terminal_a_bad_recording_is_the_reason() {
    for (path, reason) in [("/nonexistent", "cannot open"), ("/etc/passwd", "not a recording")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcpdash"));
        let output = command.args(["--replay", path]).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(reason) && !text.contains("no terminal"), "{path}: {text}");
        assert_eq!(output.status.code(), Some(1), "{path}");
    }
}

/// Keys come from the terminal, whatever the standard input is.
#[test]
fn a_quiet_pipe_does_not_hold_up_keys() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    // Opened for both, it neither waits for the other end nor ever ends.
    let _writer = File::options().read(true).write(true).open(&pipe).unwrap();
    let mut command = Command::new("setsid");
    command.args(["--ctty", "sh", "-c", "exec \"$0\" --replay - < \"$1\""]);
    command.arg(env!("CARGO_BIN_EXE_tcpdash")).arg(&pipe);
    let mut screen = Screen::start(command);
    screen.wait_for("retransmits");
    screen.keys.write_all(b"2").unwrap();
    screen.wait_for("TIME_WAIT");
    screen.keys.write_all(b"q").unwrap();
    assert!(screen.given_back().success());
}

#[test]
fn output_errors_have_their_own_exit_code() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let mut frame = Command::new(env!("CARGO_BIN_EXE_tcpdash"));
    frame.args(["--demo", "--snapshot"]).stdout(full());
    let folder = tempfile::tempdir().unwrap();
    let mut recording = Command::new(env!("CARGO_BIN_EXE_tcpdash"));
    recording.args(["--snapshot", "--record"]).arg(folder.path());
    for mut command in [frame, recording] {
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(10), "{text}");
        assert!(text.starts_with("tcpdash: cannot write") && text.lines().count() == 1, "{text}");
    }
}

/// A zone file with one zone, as `zic` makes it: version 2 of RFC 8536.
fn zone_file(name: &str, offset: i32) -> Vec<u8> {
    let counts = [0, 0, 0, 0, 1, u32::try_from(name.len()).unwrap() + 1];
    let mut block = [b"TZif2".as_slice(), &[0; 15]].concat();
    for count in counts {
        block.extend(count.to_be_bytes());
    }
    block.extend(offset.to_be_bytes());
    block.extend([0, 0]);
    block.extend(name.bytes().chain([0]));
    let footer = format!("\n{name}-{}:{:02}\n", offset / 3600, offset / 60 % 60);
    [block.clone(), block, footer.into_bytes()].concat()
}

/// `TZ=Area/City` names a file of the machine's zones.
#[test]
fn times_are_those_of_the_zone_that_tz_names() {
    const OFFSET: i32 = 5 * 3600 + 30 * 60;
    const DAY: i32 = 24 * 3600;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("Asia")).unwrap();
    std::fs::write(folder.path().join("Asia/Kolkata"), zone_file("IST", OFFSET)).unwrap();
    let shown = |flags: &[&str]| -> i32 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcpdash"));
        command.env("TZDIR", folder.path()).env("TZ", "Asia/Kolkata");
        let out = command.args(["--demo", "--snapshot"]).args(flags).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let clock = text.lines().nth(1).unwrap().split_whitespace().next().unwrap();
        clock.split(':').fold(0, |sum, part| sum * 60 + part.parse::<i32>().unwrap())
    };
    assert_eq!((shown(&[]) - shown(&["--utc"])).rem_euclid(DAY), OFFSET);
}
