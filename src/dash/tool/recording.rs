//! Replays a recording.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::dash::Args;
use crate::dash::filter::RowFilter;
use crate::dash::replay::{Player, open, play};
use crate::dash::{Control, Dash, Event, Feed, Message};
use crate::filter::Filter;

/// Time that may pass at once in a recording that only comes to its end.
const A_LOT: Duration = Duration::from_secs(1 << 20);

/// A recording. Nothing feeds a snapshot.
pub fn replay(
    args: &Args,
    (flags, filter): (&str, &Filter),
    dash: &mut Dash,
) -> Result<Option<Feed>> {
    let (mut player, source) = open(args.replay.as_deref())?;
    dash.source = source;
    if args.common.filters.any() {
        dash.set_filter(Some((flags.to_owned(), RowFilter::of_flags(filter.clone()))));
    }
    // Who is asked for one frame of a pipe waits for its end.
    let to_its_end = args.snapshot.is_some() && args.at.is_none() && !player.can_seek();
    while to_its_end && !player.progress().ended {
        for event in player.advance(A_LOT).context("cannot read the recording")? {
            dash.handle(event);
        }
    }
    let begin = match (args.at, args.snapshot) {
        (None, Some(_)) if to_its_end => None,
        (Some(at), _) => Some(Control::Seek(i64::try_from(at.as_nanos()).unwrap_or(i64::MAX))),
        (None, Some(_)) => Some(Control::End),
        (None, None) => None,
    };
    if let Some(begin) = begin {
        for event in player.control(begin).context("cannot read the recording")? {
            dash.handle(event);
        }
    }
    dash.handle(Event::Progress(player.progress().clone()));
    Ok(args.snapshot.is_none().then(|| feed(player)))
}

/// A thread that plays.
fn feed(player: Player) -> Feed {
    let (control, orders) = channel();
    let (interval, _) = channel();
    let start = Box::new(move |send: std::sync::mpsc::SyncSender<Message>| {
        let work = move || {
            let to = send.clone();
            let outcome =
                play(player, &orders, move |event| to.send(Message::Event(event)).is_ok());
            if let Err(error) = outcome {
                let error = anyhow::Error::from(error).context("cannot read the recording");
                // If the receiver is gone, there is nothing to report.
                let _ = send.send(Message::Failed(error));
            }
        };
        thread::Builder::new().name("replay".into()).spawn(work)?;
        Ok(())
    });
    Feed { start, control, interval }
}
