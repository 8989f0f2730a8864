//! What the dashboard loads: the programs of all small tools at once.

use anyhow::Result;

use super::{drops, latencies};
use crate::cli::MeasureArgs;
use crate::clock::tick_ns;
use crate::filter::Filter;
use crate::group::GroupBy;
use crate::hooks::maps;
use crate::hooks::{
    ACCEPT_RETURN, CHILD, COUNTS, DESTROY, DROP, FINAL_ACK, FIND_LISTENERS, LATENCIES,
    LISTENER_QUEUES, LISTENERS as ALL_LISTENERS, LISTENING, OWNERS, RECV, RETRANSMIT, SEGMENT,
    SEND, SEND_BEGIN, SOCKET_COUNTERS, SOCKETS, SPLICE, STATE, SYN, SYNACK_RETRANS, WAITS,
};
use crate::kernel::plan::Plan;
use crate::kernel::possible_cpus;
use crate::kernel::session::Setup;
use crate::life::hooks::RESET;
use crate::listen::WAIT_OCTAVES;
use crate::ports::hooks::{BOUND, PORT_COUNTS, PORT_SOCKETS};
use crate::stall::hooks::CONNECTIONS;
use crate::tool::{Measurement, Spec};
use crate::wire::{CountOptions, LifeOptions, PortsOptions, StallOptions, StatesOptions};
use crate::{count, latency, listen, states};

/// The tool's name.
pub const NAME: &str = "tcpdash";
/// Its programs.
pub static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcpdash.bpf.o"));

/// Bytes for the final records of listeners.
const RING: u32 = 1 << 20;
/// Maximum number of listeners.
const LISTENERS: u32 = 4_096;
/// Maximum number of destinations and processes whose connects are counted.
const DESTINATIONS: u32 = 16_384;

/// What the small tools want that sum up, each place once.
pub static TCPDASH: Spec = Spec {
    name: NAME,
    hooks: &[
        &STATE,
        &RESET,
        &SEND,
        &SEND_BEGIN,
        &RECV,
        &SPLICE,
        &SEGMENT,
        &RETRANSMIT,
        &DROP,
        &DESTROY,
        &SYN,
        &FINAL_ACK,
        &SYNACK_RETRANS,
        &CHILD,
        &ACCEPT_RETURN,
        &OWNERS,
        &LISTENING,
        &FIND_LISTENERS,
        &LISTENER_QUEUES,
        &COUNTS,
        &LATENCIES,
        &ALL_LISTENERS,
        &WAITS,
        &SOCKETS,
        &PORT_SOCKETS,
        &BOUND,
        &PORT_COUNTS,
        &CONNECTIONS,
    ],
    hash_hooks: &[],
    untracked_means: "events, sockets or listeners not counted: table full (raise --max-keys or \
                      --track-max)",
    counts_in_kernel: true,
};

/// The same without what runs as data passes.
pub static TCPDASH_LIGHT: Spec = Spec {
    hooks: &[
        &STATE,
        &RESET,
        &DROP,
        &DESTROY,
        &SYN,
        &FINAL_ACK,
        &SYNACK_RETRANS,
        &CHILD,
        &ACCEPT_RETURN,
        &OWNERS,
        &SOCKET_COUNTERS,
        &FIND_LISTENERS,
        &LISTENER_QUEUES,
        &COUNTS,
        &LATENCIES,
        &ALL_LISTENERS,
        &WAITS,
        &SOCKETS,
        &PORT_SOCKETS,
        &BOUND,
        &PORT_COUNTS,
        &CONNECTIONS,
    ],
    ..TCPDASH
};

/// The dashboard's measurement.
#[derive(Clone, Debug)]
pub struct Everything {
    /// What is watched, and by which tool.
    pub spec: &'static Spec,
    /// Which sockets.
    pub filter: Filter,
    /// TCP's own counters are read, and nothing runs as data passes.
    pub light: bool,
    /// Connections counted one by one; `None`: as many as a tool that only counts.
    pub max_keys: Option<u32>,
    /// All sockets are read again no sooner than so many times the CPU time that it took last.
    pub rests: u32,
    /// Keep and print what libbpf and the verifier say.
    pub verbose: bool,
}

impl Measurement for Everything {
    fn spec(&self) -> &'static Spec {
        self.spec
    }

    fn setup(&self, plan: &Plan, measure: &MeasureArgs) -> Result<Setup> {
        let cpus = possible_cpus()?;
        let mut setup =
            Setup::new(OBJECT, (self.filter.to_wire(), self.filter.wanted()), self.verbose);
        let options = &mut setup.options;
        options.nr_cpus = u32::try_from(cpus)?;
        options.want_netns = 1;
        options.wake_bytes = u64::from(RING);
        GroupBy::Connection.configure(options);
        let latency_options = latencies::options(cpus, self.light);
        let latencies = latency::entries_for(latency_options.max_keys);
        let keys = self.max_keys.unwrap_or_else(|| count::max_keys(GroupBy::Connection, cpus));
        setup.map_sizes.extend([
            (maps::COUNTS, keys),
            (maps::EVENTS, RING),
            (maps::DROPS, drops::RING),
            (maps::CLOSERS, states::settle::CLOSERS),
            (maps::LATENCIES_EVEN, latencies),
            (maps::LATENCIES_ODD, latencies),
            (maps::LISTENERS, LISTENERS),
            (maps::WAITS, LISTENERS * WAIT_OCTAVES),
            (maps::PORT_COUNTS, DESTINATIONS),
            (maps::PORT_SEARCHES, 1),
            (maps::STALL_MARKS, 1),
        ]);
        let by = GroupBy::Connection.as_wire() as u32;
        setup.size_if(self.light && plan.use_hash, maps::READINGS_HASH, measure.track_max);
        setup.set_options(&CountOptions { by, light: self.light.into() });
        setup.set_options(&drops::options());
        setup.set_options(&LifeOptions { tick_ns: tick_ns(), ..LifeOptions::default() });
        setup.set_options(&PortsOptions { events: 0, searches: 0, tick_ns: tick_ns() });
        setup.set_options(&StallOptions { tick_ns: tick_ns(), ..StallOptions::default() });
        let states_options = StatesOptions::default();
        states::settle::settle(&mut setup, states_options, plan, measure.track_max);
        latency::settle::settle(&mut setup, latency_options, plan, measure.track_max);
        listen::settle::settle(&mut setup, plan, false);
        Ok(setup)
    }

    fn shows_events(&self) -> bool {
        false
    }
}
