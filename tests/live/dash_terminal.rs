//! tcpdash on a terminal: what a user reads on the screen of real servers and clients, and finds with keys.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::Test;
use crate::errors::WITHOUT_BPF;
use crate::load::Running;
use crate::netns::Netns;
use crate::tool::{output, path_of, until};

pub const TESTS: &[(&str, Test)] = &[
    ("nginx_redis_haproxy_and_curl_are_on_the_screen", servers),
    ("enter_leads_from_a_full_accept_queue_to_its_listener", finding),
    ("a_start_that_fails_gives_the_terminal_back", refused),
];

/// A terminal of its own, with a shell's session; gone when dropped.
struct Tmux(String);

impl Tmux {
    fn start(netns: &Netns, script: &str) -> Result<Self> {
        let tmux = Self(format!("tcpscope-test-{}", netns.name()));
        output(&mut tmux.command(&["new-session", "-d", "-x", "120", "-y", "40", script]))?;
        Ok(tmux)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.args(["-L", &self.0, "-f", "/dev/null"]).args(arguments);
        command.env_remove("TMUX").env("TERM", "xterm");
        command
    }

    fn press(&self, key: &str) -> Result<()> {
        output(&mut self.command(&["send-keys", key])).map(drop)
    }

    /// Waits until the screen has something; what, and the screen if it never does.
    fn wait_for<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        let mut screen = String::new();
        let found = until(what, || {
            screen = output(&mut self.command(&["capture-pane", "-p"]))?;
            Ok(find(&screen))
        });
        found.with_context(|| format!("{what}; the screen:\n{screen}"))
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = self.command(&["kill-server"]).output();
    }
}

/// The line of a screen that starts with these words.
fn line<'a>(screen: &'a str, words: &[&str]) -> Option<&'a str> {
    screen.lines().find(|line| line.split_whitespace().take(words.len()).eq(words.iter().copied()))
}

/// nginx in front of one page, with a short accept queue.
fn nginx(netns: &Netns, folder: &Path) -> Result<Running> {
    let (root, configuration) = (folder.display(), folder.join("nginx.conf"));
    fs::write(folder.join("page"), "page")?;
    fs::write(
        &configuration,
        format!(
            "user root; daemon off; master_process off; pid {root}/pid; error_log {root}/errors;\n\
             events {{}} http {{ access_log off; server {{ listen 127.0.0.1:8080 backlog=4; root {root}; }} }}\n"
        ),
    )?;
    let mut nginx = netns.command("nginx");
    nginx.arg("-c").arg(&configuration).arg("-p").arg(folder);
    Running::server(netns, &mut nginx, 8080)
}

/// haproxy in front of nginx.
fn haproxy(netns: &Netns, folder: &Path) -> Result<Running> {
    let configuration = folder.join("haproxy.cfg");
    fs::write(
        &configuration,
        "global\n maxconn 100\ndefaults\n mode http\n timeout connect 5s\n timeout client 5s\n \
         timeout server 5s\nlisten pages\n bind 127.0.0.1:8081\n server nginx 127.0.0.1:8080\n",
    )?;
    let mut haproxy = netns.command("haproxy");
    Running::server(netns, haproxy.arg("-db").arg("-f").arg(&configuration), 8081)
}

/// The dashboard of a namespace, in a shell that keeps the terminal's settings before and after it.
fn dashboard(netns: &Netns, folder: &TempDir) -> Result<Tmux> {
    let (tool, path, root) = (path_of("tcpdash"), netns.path(), folder.path().display());
    let script = format!(
        "stty -g > {root}/before; nsenter --net={path} {} --netns {path} -i 0.3 --config {root}/config; \
         stty -g > {root}/after; touch {root}/over; sleep 60",
        tool.display()
    );
    let tmux = Tmux::start(netns, &script)?;
    header_says(&tmux, "1 namespace")?;
    Ok(tmux)
}

/// Waits until the header has these words; the screen is there before the programs are.
fn header_says(tmux: &Tmux, words: &str) -> Result<()> {
    tmux.wait_for(words, |screen| screen.lines().nth(1)?.contains(words).then_some(()))
}

/// Ends the dashboard, and finds the terminal as it was.
fn quit(tmux: &Tmux, folder: &TempDir) -> Result<()> {
    tmux.press("q")?;
    until("it has ended", || Ok(folder.path().join("over").exists().then_some(())))?;
    let read = |name: &str| fs::read_to_string(folder.path().join(name));
    ensure!(read("before")? == read("after")?, "{} {}", read("before")?, read("after")?);
    Ok(())
}

/// What a user sees of real servers and a real client; and the terminal after it.
fn servers() -> Result<()> {
    const PAGES: u64 = 40;
    let netns = Netns::new("dash")?;
    let folder = tempfile::tempdir()?;
    let root = folder.path().display().to_string();
    let nginx = nginx(&netns, folder.path())?;
    let haproxy = haproxy(&netns, folder.path())?;
    let mut redis = netns.command("redis-server");
    redis.args(["--port", "6379", "--save", "", "--appendonly", "no", "--dir", &root]);
    let redis = Running::server(&netns, &mut redis, 6379)?;
    let tmux = dashboard(&netns, &folder)?;
    tmux.press("2")?;
    let mut client = netns.command("redis-cli");
    let mut client = client
        .args(["-p", "6379", "-r", "1000", "-i", "0.01", "set", "key", "value"])
        .stdout(Stdio::null())
        .spawn()?;
    for _ in 0..PAGES {
        let url = "http://127.0.0.1:8081/page";
        output(netns.command("curl").args(["-sf", "-o", "/dev/null", url]))?;
    }
    // Redis is busy until the client is ended; haproxy has asked nginx for each page.
    let pids = [redis.pid(), client.id(), haproxy.pid(), nginx.pid()].map(|pid| pid.to_string());
    let names = ["redis-server", "redis-cli", "haproxy", "nginx"];
    let seen = tmux.wait_for("all servers and the client", |screen| {
        pids.iter().zip(names).try_for_each(|(pid, name)| line(screen, &[pid, name]).map(drop))
    });
    client.kill()?;
    client.wait()?;
    seen?;
    tmux.press("5")?;
    // Nothing opens or closes any more, and the kernel keeps them for a minute.
    let ss = output(netns.command("ss").args(["-tanH", "state", "time-wait"]))?;
    let waiting = ss.lines().count();
    ensure!(waiting as u64 >= PAGES, "only {waiting} in TIME_WAIT");
    tmux.wait_for(&format!("{waiting} in TIME_WAIT"), |screen| {
        line(screen, &["TIME_WAIT", &waiting.to_string()]).map(drop)
    })?;
    tmux.press("6")?;
    tmux.wait_for("three listeners", |screen| {
        let addresses = ["127.0.0.1:8080", "127.0.0.1:8081", "6379"];
        addresses.iter().all(|address| screen.contains(address)).then_some(())
    })?;
    quit(&tmux, &folder)?;
    drop((haproxy, nginx, redis));
    Ok(())
}

/// A server that stands still: the first screen says so, Enter says why and what to change, and once more shows
/// the listener. A column that is hidden there is remembered.
fn finding() -> Result<()> {
    let netns = Netns::new("dash")?;
    let folder = tempfile::tempdir()?;
    let nginx = nginx(&netns, folder.path())?;
    let tmux = dashboard(&netns, &folder)?;
    let pid = Pid::from_raw(nginx.pid().cast_signed()).context("no pid")?;
    kill_process(pid, Signal::STOP)?;
    let address: SocketAddr = "127.0.0.1:8080".parse()?;
    let connect = || Ok(TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok());
    let connections =
        (0..10).map(|_| netns.within(connect)).collect::<Result<Vec<Option<TcpStream>>>>()?;
    let made = connections.iter().flatten().count();
    ensure!(made < 10, "the queue holds all");
    let drops = netns.counter("TcpExtListenDrops")?;
    ensure!(drops > 0, "nothing was dropped");
    let dropped = format!("127.0.0.1:8080 of nginx ({}) dropped {drops} attempt", nginx.pid());
    tmux.wait_for(&dropped, |screen| screen.contains(&dropped).then_some(()))?;
    tmux.press("Enter")?;
    tmux.wait_for("cause and remedy", |screen| {
        let parts = ["evidence ", "why ", "change ", "accept()", "Now: ", "check ", "rows "];
        parts.iter().all(|part| screen.contains(part)).then_some(())
    })?;
    tmux.press("Enter")?;
    let heading = "LISTENER";
    tmux.wait_for("its listener", |screen| {
        let filtered = screen.contains("laddr:127.0.0.1 lport:8080");
        (filtered && screen.contains(heading))
            .then_some(line(screen, &["127.0.0.1:8080", "nginx"])?)
            .map(drop)
    })?;
    tmux.press("c")?;
    tmux.wait_for("the columns", |screen| screen.contains("[x] LISTENER").then_some(()))?;
    tmux.press("Down")?;
    tmux.press("Enter")?;
    tmux.wait_for("a hidden column", |screen| screen.contains("[ ] COMM").then_some(()))?;
    let remembered = fs::read_to_string(folder.path().join("config"))?;
    ensure!(remembered.contains("\"comm\""), "{remembered}");
    tmux.press("Escape")?;
    tmux.wait_for("a closed box", |screen| (!screen.contains("[ ] COMM")).then_some(()))?;
    tmux.press("Escape")?;
    tmux.wait_for("the finding again", |screen| screen.contains("evidence ").then_some(()))?;
    kill_process(pid, Signal::CONT)?;
    quit(&tmux, &folder)?;
    drop(nginx);
    Ok(())
}

/// The screen may be there before the kernel refuses.
fn refused() -> Result<()> {
    let netns = Netns::new("refused")?;
    let folder = tempfile::tempdir()?;
    let without_bpf = folder.path().join("without_bpf");
    fs::write(&without_bpf, WITHOUT_BPF)?;
    let script = format!(
        "python3 {} {} {}; echo ended with $?; exec sleep 60",
        without_bpf.display(),
        Errno::NOMEM.raw_os_error(),
        path_of("tcpdash").display()
    );
    let tmux = Tmux::start(&netns, &script)?;
    let screen = tmux
        .wait_for("its end", |screen| screen.contains("ended with ").then(|| screen.to_owned()))?;
    ensure!(screen.contains("ended with 12") && screen.contains("memory"), "{screen}");
    let other = output(&mut tmux.command(&["display-message", "-p", "#{alternate_on}"]))?;
    ensure!(other.trim() == "0", "the other screen is still there");
    Ok(())
}
