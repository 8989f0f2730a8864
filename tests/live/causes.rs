//! tcpstates says of each connection that ends what tcplife says.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Test;
use crate::life::{
    Place, aborted_by_process, aborted_by_ss, closed, data_after_close, failed_connects, killed,
    listener_closes, lives, watch,
};
use crate::netns::Netns;
use crate::setting::hides;
use crate::tool::Tool;

pub const TESTS: &[(&str, Test)] = &[("every_close_has_the_cause_of_its_connection", causes)];

fn causes() -> Result<()> {
    if hides("on 5.10 it is not known that a process was killed") {
        return Ok(());
    }
    let netns = Netns::new("life")?;
    let mut place = Place::new(&netns)?;
    let states = Tool::start("tcpstates", &format!("--netns {} -i 0.2", netns.path()))?;
    let tool = watch(&netns, "")?;
    closed(&mut place)?;
    aborted_by_process(&mut place)?;
    killed(&mut place)?;
    aborted_by_ss(&mut place)?;
    listener_closes(&mut place)?;
    data_after_close(&mut place)?;
    let all = 2 * place.endings.len() + failed_connects(&netns, &place)?.1;
    drop(place);
    tool.wait_for_kind("life", all)?;
    states.wait_for("the cause of each", |lines| {
        lines.iter().filter(|line| line.contains("\"cause\":\"")).count() >= all
    })?;
    let lines = lives(&tool.finish()?)?;
    let ended = states.finish()?;
    ended.complete()?;
    let changes = ended.of_kind("state")?;
    let caused = changes.iter().filter(|change| !change["cause"].is_null()).count();
    ensure!((caused, lines.len()) == (all, all), "{lines:#?} {changes:#?}");
    for line in &lines {
        let of = |change: &&Value| change["cookie"] == line["cookie"] && ends(change);
        let change = changes.iter().find(of).with_context(|| format!("no change of {line}"))?;
        ensure!(change["cause"] == line["end"] && change["errno"] == line["errno"], "{change}");
        ensure!(change["old"] == line["state"] && change["pid"] == line["pid"], "{line} {change}");
    }
    Ok(())
}

/// Whether a connection is over with this change.
fn ends(change: &Value) -> bool {
    (change["new"] == "CLOSE" && change["old"] != "TIME_WAIT") || change["new"] == "TIME_WAIT"
}
