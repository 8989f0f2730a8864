//! The tables of the views.

use super::rows::{
    CloseWaitRow, ConnectionRow, LatencyRow, ListenerRow, PortRow, ProcessRow, RemoteRow,
};
use super::table::{Browse, TableState};
use super::views::View;

/// A table for each view that has one.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "named after the rows")]
pub struct Tables {
    pub processes: TableState<ProcessRow>,
    pub remotes: TableState<RemoteRow>,
    pub connections: TableState<ConnectionRow>,
    pub latencies: TableState<LatencyRow>,
    pub close_wait: TableState<CloseWaitRow>,
    pub listeners: TableState<ListenerRow>,
    pub ports: TableState<PortRow>,
}

impl Tables {
    /// The table of a view, if it has one.
    pub(super) fn of(&self, view: View) -> Option<&dyn Browse> {
        Some(match view {
            View::Processes => &self.processes,
            View::Remotes => &self.remotes,
            View::Connections => &self.connections,
            View::Latency => &self.latencies,
            View::States => &self.close_wait,
            View::Listeners => &self.listeners,
            View::Ports => &self.ports,
            View::Overview | View::Tool => return None,
        })
    }

    /// Does something to the table of a view, if it has one.
    pub(super) fn with<T>(
        &mut self,
        view: View,
        act: impl FnOnce(&mut dyn Browse) -> T,
    ) -> Option<T> {
        Some(act(match view {
            View::Processes => &mut self.processes,
            View::Remotes => &mut self.remotes,
            View::Connections => &mut self.connections,
            View::Latency => &mut self.latencies,
            View::States => &mut self.close_wait,
            View::Listeners => &mut self.listeners,
            View::Ports => &mut self.ports,
            View::Overview | View::Tool => return None,
        }))
    }
}
