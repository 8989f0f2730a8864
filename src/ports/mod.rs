//! Local ports: who uses them up, towards whom, and until when.

mod advise;
mod args;
mod bound;
mod destinations;
mod fail;
mod forecast;
mod groups;
pub mod hooks;
mod local;
mod monitor;
mod record;
mod rows;
mod settings;
mod short;
mod small_map;
mod source;
mod tool;

pub use advise::advise;
pub use args::{Args, PortsBy};
pub use bound::{Bound, BoundSockets};
pub use destinations::{Destinations, PortUse};
pub use fail::PortFail;
pub use groups::group;
pub use local::{BindFailures, pools};
pub use monitor::{PortLook, PortMonitor};
pub use record::{PortAdvice, PortPool, Ports, share};
pub use rows::{Choice, DestinationRow, Part, PortModel, PortsShape};
pub use settings::{Pool, PortSet, PortSettings};
pub use source::{Counted, PortCounters, PortSource};
pub use tool::{TCPPORTS, TCPPORTS_COST, TCPPORTS_EVENTS, TOOL};
