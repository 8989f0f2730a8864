//! Connections that do not move, with the model of tcpstall.

use anyhow::Result;

use crate::clock::{monotonic_now, tick_ns, wall_now};
use crate::kernel::session::Session;
use crate::stall::hooks::CONNECTIONS;
use crate::stall::{SHORTEST, Stall, StallModel};
use crate::states::socket_summary::SocketReader;
use crate::wire::{ConnEntry, Record as _};

/// Stalls shown one by one, the longest first.
const SHOWN: usize = 500;

/// Stalls of a running session.
pub struct LiveStalls(StallModel);

impl LiveStalls {
    /// None was seen yet.
    pub fn new() -> Self {
        Self(StallModel::new(SHORTEST, tick_ns()))
    }

    /// Looks at the connections of one namespace or of all.
    ///
    /// # Errors
    /// The iterator cannot be read.
    pub fn look(
        &mut self,
        session: &Session,
        reader: &mut SocketReader,
        asked: Option<u32>,
    ) -> Result<Vec<Stall>> {
        let (model, ts, mut rows) = (&mut self.0, wall_now(), Vec::new());
        model.begin(monotonic_now());
        reader.each_namespace(asked, || {
            session.iterate(&CONNECTIONS, size_of::<ConnEntry>(), |bytes| {
                if let Some(conn) = ConnEntry::read(bytes)
                    && let Some(stalled) = model.see(&conn)
                {
                    rows.push(Stall::new(ts, &conn, &stalled, None));
                }
            })
        })?;
        model.end();
        rows.sort_by_cached_key(Stall::order);
        rows.truncate(SHOWN);
        for row in &mut rows {
            row.netns_name = row.netns.and_then(|netns| reader.name(netns));
        }
        Ok(rows)
    }
}
