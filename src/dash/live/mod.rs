//! A live session: reads the models of the tools every interval, in its own thread, and
//! hands over what they say.

mod drops;
mod endings;
mod latencies;
mod listeners;
mod measure;
mod ports;
mod sample;
mod stalls;
mod watch;

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::{Event, Feed, Message, Programs, Recorder, Target};
use crate::cli::{Common, FilterArgs, MeasureArgs, OutputArgs};
use crate::record::AnyRecord;
use crate::report::{Ctx, Format, Printer, Sink, SinkError, Stop};
use crate::tool::Running;
use crate::wait::Waiter;

pub use measure::{Everything, NAME, OBJECT, TCPDASH, TCPDASH_LIGHT};
pub use sample::Sampler;
pub use watch::watch;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct LiveRequest {
    /// Which sockets.
    pub filters: FilterArgs,
    /// The same, as read, and how much is kept.
    pub everything: Everything,
    /// How to get at it.
    pub measure: MeasureArgs,
    /// Length of an interval.
    pub interval: Duration,
    /// A file to write what is seen to, and the bytes that it and its predecessor may have.
    pub record: Option<Target>,
}

/// So long a start may take before the screen is drawn without it: the kernel verifies programs for
/// several hundred ms. What a session lacks is mostly known sooner, and is said without a screen.
const PATIENCE: Duration = Duration::from_millis(30);

/// Starts a session.
///
/// # Errors
/// Those of [`Running::start`], or the recording cannot be begun, if that is known soon; else they
/// come as [`Message::Failed`].
pub fn start(request: LiveRequest) -> Result<Feed> {
    let (interval, intervals) = channel();
    // A live session takes no orders about time; the other end is dropped.
    let (control, _) = channel();
    // Without room: what is sent is received, or the sender learns that it is not.
    let (started, outcome) = sync_channel(0);
    let (listener, listeners) = channel::<SyncSender<Message>>();
    // What libbpf says goes to the terminal, before the screen does.
    let patience = if request.everything.verbose { Duration::MAX } else { PATIENCE };
    let work = move || {
        let (session, failed) = match Live::begin(&request) {
            Ok(session) => (Some(session), None),
            Err(error) => (None, Some(error)),
        };
        let late = started.send(failed.map_or(Ok(()), Err)).err();
        // Who has gone meanwhile needs no session.
        let Ok(send) = listeners.recv() else { return };
        let ended = match session {
            Some(session) => session.run(&send, &intervals),
            None => late.map_or(Ok(()), |late| late.0),
        };
        if let Err(error) = ended {
            let _ = send.send(Message::Failed(error));
        }
    };
    thread::Builder::new().name("live".into()).spawn(work).context("cannot start a thread")?;
    match outcome.recv_timeout(patience) {
        Ok(outcome) => outcome?,
        Err(RecvTimeoutError::Timeout) => {}
        Err(RecvTimeoutError::Disconnected) => bail!("the session ended immediately"),
    }
    let start =
        Box::new(move |send| listener.send(send).map_err(|_| anyhow!("the session has ended")));
    Ok(Feed { start, control, interval })
}

/// A live session of this length, for a snapshot at its end: a sample at the start, and one after
/// each interval.
///
/// # Errors
/// Those of [`start`].
pub fn once(
    request: &LiveRequest,
    duration: Duration,
    mut take: impl FnMut(Vec<AnyRecord>),
) -> Result<()> {
    let mut live = Live::begin(request)?;
    take(live.sample()?);
    let over = Instant::now() + duration;
    while Instant::now() < over {
        let end = over.min(Instant::now() + request.interval);
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            thread::sleep(left.min(live.sampler.pause()));
            live.sampler.glance(&live.running)?;
        }
        live.running.keep_watch()?;
        take(live.sample()?);
    }
    if let (Some(error), Some(target)) = (&live.unrecorded, &request.record) {
        return Err(unwritable(&target.path, error));
    }
    Ok(())
}

/// Ends with the exit code of an output that cannot be written.
fn unwritable(path: &Path, error: &std::io::Error) -> anyhow::Error {
    let words = format!("{}: {error}", path.display());
    SinkError::Write(std::io::Error::new(error.kind(), words)).into()
}

/// A session that runs.
struct Live {
    running: Running,
    sampler: Sampler,
    recorder: Option<Recorder>,
    /// Why recording stopped, until reported.
    unrecorded: Option<std::io::Error>,
    interval: Duration,
    run_time: Option<(u64, u64)>,
}

impl Live {
    fn begin(request: &LiveRequest) -> Result<Self> {
        let recorder = match &request.record {
            Some(target) => {
                Some(Recorder::create(target).map_err(|error| unwritable(&target.path, &error))?)
            }
            None => None,
        };
        let (running, sampler) = running(request)?;
        Ok(Self {
            running,
            sampler,
            recorder,
            unrecorded: None,
            interval: request.interval,
            run_time: None,
        })
    }

    /// Samples every interval until the receiver is gone.
    fn run(mut self, send: &SyncSender<Message>, intervals: &Receiver<Duration>) -> Result<()> {
        loop {
            let begun = Instant::now();
            let records = self.sample()?;
            let unrecorded = self.unrecorded.take();
            let unrecorded = unrecorded.map(|error| Event::Unrecorded(error.to_string()));
            let events = [Event::Programs(self.programs()), Event::Records(records)];
            for event in unrecorded.into_iter().chain(events) {
                if send.send(Message::Event(event)).is_err() {
                    return Ok(());
                }
            }
            loop {
                let left = self.interval.saturating_sub(begun.elapsed());
                match intervals.recv_timeout(left.min(self.sampler.pause())) {
                    Ok(interval) => self.interval = interval,
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                    Err(RecvTimeoutError::Timeout) => {}
                }
                self.running.keep_watch()?;
                self.sampler.glance(&self.running)?;
                if begun.elapsed() >= self.interval {
                    break;
                }
            }
        }
    }

    /// What the programs have cost since the last time.
    fn programs(&mut self) -> Programs {
        let now = self.running.session.run_time();
        let before = std::mem::replace(&mut self.run_time, now);
        match (now, before) {
            (Some(now), Some(before)) => {
                Programs::Measured(now.0.saturating_sub(before.0), now.1.saturating_sub(before.1))
            }
            (Some((ns, runs)), None) => Programs::Measured(ns, runs),
            (None, _) => Programs::Unmeasured,
        }
    }

    fn sample(&mut self) -> Result<Vec<AnyRecord>> {
        let records = self.sampler.sample(&mut self.running)?;
        if let Some(recorder) = &mut self.recorder {
            let mut lines = Vec::new();
            for record in &records {
                record.line(&mut lines);
            }
            // What is seen is worth seeing, also with a full disk.
            if let Err(error) = recorder.write(&lines) {
                self.unrecorded = Some(error);
                self.recorder = None;
            }
        }
        Ok(records)
    }
}

/// Interval of the search for owners.
const WATCH: Duration = Duration::from_millis(500);

/// Starts the programs; what a tool would print goes nowhere.
fn running(request: &LiveRequest) -> Result<(Running, Sampler)> {
    // Signals are the screen's affair; the session ends with the thread.
    let (stop, _) = Stop::pair().context("cannot make a pipe")?;
    let nowhere = || -> Result<Sink> {
        let null = std::fs::File::options().write(true).open("/dev/null")?;
        Ok(Sink::new(null.into(), stop.clone())?)
    };
    let printer = Printer::new(nowhere()?, nowhere()?, Format::Json, Ctx::new(0, true));
    let waiter = Waiter::new(&stop).context("cannot wait for events")?;
    let output =
        OutputArgs { json: true, utc: true, duration: None, strict: false, verbose: false };
    let common =
        Common { filters: request.filters.clone(), output, measure: request.measure.clone() };
    Running::start_on((printer, waiter), &request.everything, &common, |session| {
        Sampler::new(session, &request.everything)
    })
}
