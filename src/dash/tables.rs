//! The tables of the views.

use super::filter::RowFilter;
use super::model::Model;
use super::rows::{
    CloseWaitRow, ConnectionRow, LatencyRow, ListenerRow, PortRow, ProcessRow, RemoteRow,
    close_wait, connections, groupings, latencies, listeners, ports, processes, remotes,
};
use super::table::{Browse, TableState};
use super::views::View;
use crate::group::Grouping;

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
    /// Fills those of a view with the rows that pass; latencies of a grouping that there is.
    pub(super) fn fill(
        &mut self,
        view: View,
        model: &Model,
        filter: Option<&RowFilter>,
        latency_by: &mut Grouping,
    ) {
        match view {
            View::Overview => {
                self.processes.fill(processes(model, filter));
                self.remotes.fill(remotes(model, filter));
                self.listeners.fill(listeners(model, filter));
            }
            View::Remotes => self.remotes.fill(remotes(model, filter)),
            View::Processes => self.processes.fill(processes(model, filter)),
            View::Connections => self.connections.fill(connections(model, filter)),
            View::Latency => {
                let groupings = groupings(model);
                if !groupings.contains(latency_by) {
                    *latency_by = groupings.first().copied().unwrap_or_default();
                }
                self.latencies.fill(latencies(model, *latency_by, filter));
            }
            View::States => self.close_wait.fill(close_wait(model, filter)),
            View::Listeners => self.listeners.fill(listeners(model, filter)),
            View::Ports => self.ports.fill(ports(model, filter)),
            View::Tool => {}
        }
    }

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
