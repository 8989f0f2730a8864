//! A tool as a child process: started, read line by line, signalled, and waited for.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::Test;
use crate::netns::Netns;
pub use crate::setting::path_of;
use crate::setting::{attempts, patience, tool_command};

const SECOND: Duration = Duration::from_secs(1);

/// What the rights are that every test needs, by their number in capability.h.
const CAPABILITIES: [(u32, &str); 4] =
    [(12, "CAP_NET_ADMIN"), (21, "CAP_SYS_ADMIN"), (38, "CAP_PERFMON"), (39, "CAP_BPF")];

/// Why no test can run here.
pub fn missing_rights() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    let effective = u64::from_str_radix(effective.trim(), 16).ok()?;
    let missing: Vec<_> = CAPABILITIES
        .iter()
        .filter(|(bit, _)| effective >> bit & 1 == 0)
        .map(|(_, name)| *name)
        .collect();
    (!missing.is_empty()).then(|| {
        format!("missing {}; run as root, or set TCPSCOPE_ALLOW_SKIP=1", missing.join(", "))
    })
}

/// Runs a command to its end; its standard output, or an error with what it said.
pub fn output(command: &mut Command) -> Result<String> {
    let out = command.output().with_context(|| format!("{command:?}"))?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let errors = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "{command:?}: {}\n{text}{errors}", out.status);
    Ok(text)
}

/// Asks again and again until there is an answer.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let begin = Instant::now();
    while begin.elapsed() < patience() {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        thread::sleep(Duration::from_millis(10));
    }
    bail!("waited {:?} until {what}", patience())
}

/// Standard output so far.
#[derive(Default)]
struct Lines {
    lines: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

thread_local! {
    /// Program runs that the kernel has skipped in the tools of this thread's test, as they say.
    static SKIPPED: Cell<u64> = const { Cell::new(0) };
}

/// Remembers how many runs the newest status says were skipped.
fn note_skipped(lines: &[String]) -> u64 {
    let newest = lines.iter().rev().find(|line| line.contains("\"kind\":\"status\""));
    let status: Value = newest.and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    let skipped = number(&status["missed"]).max(number(&status["unreturned"]));
    SKIPPED.set(SKIPPED.get().max(skipped));
    skipped
}

/// Runs a test as often as the setting allows, and prints each attempt that failed but the last.
pub fn run(name: &str, test: Test) -> Result<()> {
    let attempt = || {
        let panicked = |_| Err(anyhow!("it panicked"));
        std::panic::catch_unwind(|| noting_skips(test)).unwrap_or_else(panicked)
    };
    for number in 1..attempts() {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(error) => eprintln!("again: {name} fails, attempt {number}: {error:#}"),
        }
    }
    noting_skips(test)
}

/// Runs a test and adds to its failure how many runs were skipped: with any, no count can be
/// complete, and where programs are emulated, which makes them slow, they are no rarity.
fn noting_skips(test: Test) -> Result<()> {
    SKIPPED.set(0);
    test().map_err(|error| match SKIPPED.get() {
        0 => error,
        runs => anyhow!("{error:#}\n(the kernel skipped {runs} runs of the tool's programs)"),
    })
}

/// Programs, maps and links by their kind (`prog`, `map`, `link`) and number.
pub type BpfObjects = BTreeSet<(String, u64)>;

/// A running tool; killed when dropped.
pub struct Tool {
    child: Child,
    lines: Arc<Lines>,
    readers: Option<(JoinHandle<()>, JoinHandle<String>)>,
}

/// What a tool left behind.
pub struct Ended {
    /// Lines of standard output.
    pub lines: Vec<String>,
    /// Standard error.
    pub errors: String,
    /// How it ended.
    pub status: ExitStatus,
}

impl Tool {
    /// Starts a tool with `--json` and waits for its first line: by then its probes are attached.
    pub fn start(tool: &str, arguments: &str) -> Result<Self> {
        Self::ready(tool_command(&[], tool), arguments)
    }

    /// The same inside a network namespace, where it does not need the capability to enter one.
    /// All mounts stay as they are, unlike with `ip netns exec`.
    pub fn start_in(netns: &Netns, tool: &str, arguments: &str) -> Result<Self> {
        let enter = format!("--net={}", netns.path());
        Self::ready(tool_command(&["nsenter", &enter], tool), arguments)
    }

    fn ready(mut command: Command, arguments: &str) -> Result<Self> {
        command.arg("--json").args(arguments.split_whitespace());
        let tool = Self::spawn(&mut command)?;
        // What tcpdoctor finds before it has loaded anything comes first.
        let early = |line: &String| line.contains("\"kind\":\"finding\"");
        match tool.wait_for("first status line", |lines| !lines.iter().all(early)) {
            Ok(()) => Ok(tool),
            Err(error) => Err(error.context(tool.last_words())),
        }
    }

    /// Ends it by force; its standard error.
    fn last_words(mut self) -> String {
        let _ = self.child.kill();
        self.readers.take().and_then(|(_, errors)| errors.join().ok()).unwrap_or_default()
    }

    /// Starts any command and collects its output.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
        let stdout = child.stdout.take().context("no standard output")?;
        let mut stderr = child.stderr.take().context("no standard error")?;
        let lines = Arc::<Lines>::default();
        let shared = Arc::clone(&lines);
        let out = thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let line = line.unwrap_or_else(|e| format!("unreadable: {e}"));
                shared.lines.lock().unwrap().0.push(line);
                shared.changed.notify_all();
            }
            shared.lines.lock().unwrap().1 = true;
            shared.changed.notify_all();
        });
        let err = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Ok(Self { child, lines, readers: Some((out, err)) })
    }

    /// The process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the lines so far fulfil `done`; an error when the tool ends before.
    pub fn wait_for(&self, what: &str, done: impl Fn(&[String]) -> bool) -> Result<()> {
        let end = Instant::now() + patience();
        let mut state = self.lines.lines.lock().unwrap();
        loop {
            if done(&state.0) {
                return Ok(());
            }
            let left = end.saturating_duration_since(Instant::now());
            // What the kernel has left out never comes.
            let in_vain = left < patience() * 5 / 6 && note_skipped(&state.0) > 0;
            if state.1 || left.is_zero() || in_vain {
                let tail = state.0.iter().rev().take(3).collect::<Vec<_>>();
                bail!("no {what} (ended: {}); last lines: {tail:#?}", state.1);
            }
            state = self.lines.changed.wait_timeout(state, left.min(SECOND)).unwrap().0;
        }
    }

    /// How many lines there are so far.
    pub fn lines(&self) -> usize {
        self.lines.lines.lock().unwrap().0.len()
    }

    /// What the kernel says of the process's open files; some are closed meanwhile.
    fn open_files(&self) -> Result<Vec<String>> {
        let files = std::fs::read_dir(format!("/proc/{}/fdinfo", self.pid()))?;
        Ok(files.flatten().filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect())
    }

    /// The BPF objects that the process holds, but the links of iterators, which come and go.
    pub fn bpf_objects(&self) -> Result<BpfObjects> {
        let mut found = BpfObjects::new();
        for text in self.open_files()?.iter().filter(|text| !text.contains("link_type:\titer")) {
            // A link shows its program's number, too.
            let id = ["link", "map", "prog"].iter().find_map(|kind| {
                let id = text.lines().find_map(|line| line.strip_prefix(&format!("{kind}_id:")))?;
                Some((*kind, id.trim()))
            });
            if let Some((kind, id)) = id {
                found.insert((kind.to_owned(), id.parse()?));
            }
        }
        Ok(found)
    }

    /// How many places its programs are attached to.
    pub fn links(&self) -> Result<usize> {
        Ok(self.bpf_objects()?.iter().filter(|(kind, _)| kind == "link").count())
    }

    /// Waits until as many lines of a kind were seen.
    pub fn wait_for_kind(&self, kind: &str, count: usize) -> Result<()> {
        let mark = format!("\"kind\":\"{kind}\"");
        self.wait_for(&format!("{count} lines of kind {kind}"), |lines| {
            lines.len() >= count
                && lines.iter().filter(|line| line.contains(&mark)).count() >= count
        })
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).context("pid")?;
        kill_process(pid, signal).context("kill")
    }

    /// Ends the tool like Ctrl-C does, and expects success.
    pub fn finish(self) -> Result<Ended> {
        self.signal(Signal::INT)?;
        let ended = self.wait()?;
        ensure!(ended.status.success(), "the tool ended: {}\n{}", ended.status, ended.errors);
        Ok(ended)
    }

    /// Waits for the end.
    pub fn wait(mut self) -> Result<Ended> {
        let child = &mut self.child;
        let status = until("the tool ends", || Ok(child.try_wait()?))?;
        let (out, err) = self.readers.take().context("waited twice")?;
        out.join().map_err(|_| anyhow!("reader"))?;
        let errors = err.join().map_err(|_| anyhow!("reader"))?;
        let lines = std::mem::take(&mut self.lines.lines.lock().unwrap().0);
        note_skipped(&lines);
        Ok(Ended { lines, errors, status })
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // Gone already after wait().
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The lines of a kind; every line of the output must be JSON.
    pub fn of_kind(&self, kind: &str) -> Result<Vec<Value>> {
        let mut found = Vec::new();
        for line in &self.lines {
            let value: Value = serde_json::from_str(line).with_context(|| format!("{line:?}"))?;
            if value["kind"] == kind {
                found.push(value);
            }
        }
        Ok(found)
    }

    /// The final status; its sums must be right and it must be the last line.
    pub fn last_status(&self) -> Result<Value> {
        let line = self.lines.last().context("no output")?;
        let status: Value = serde_json::from_str(line).with_context(|| format!("{line:?}"))?;
        ensure!(status["kind"] == "status" && status["final"] == true, "last line: {line}");
        let [attempted, delivered, lost, filtered, pending] =
            ["attempted", "delivered", "lost", "filtered", "pending"]
                .map(|key| number(&status[key]));
        ensure!(pending == 0 && attempted == delivered + lost + filtered, "sums: {line}");
        Ok(status)
    }

    /// Expects that nothing was lost or left out. Missed runs are the kernel's doing: it skips a
    /// program that a softirq finds at work on the same CPU. What that costs, the numbers show.
    pub fn complete(&self) -> Result<()> {
        let status = self.last_status()?;
        let lacks = ["lost", "untracked"].map(|key| number(&status[key]));
        ensure!(lacks == [0; 2], "incomplete: {status}");
        Ok(())
    }
}

/// A JSON number; null is 0, which no comparison here can mistake.
pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}
