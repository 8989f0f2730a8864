//! Connections that have not ended.

use anyhow::Result;

use super::hooks::OPEN_CONNECTIONS;
use crate::kernel::netns::Namespaces;
use crate::kernel::netns_list::NetnsList;
use crate::kernel::session::Session;
use crate::wire::{LifeEvent, Record as _};

/// All open connections that the programs let through: of the namespace `asked`, or of every one
/// that can be entered. None of a namespace that is gone.
///
/// # Errors
/// The iterator fails.
#[allow(clippy::option_option, reason = "asked for, and there")]
pub fn open_connections(session: &Session, asked: Option<Option<u32>>) -> Result<Vec<LifeEvent>> {
    let mut found = Vec::new();
    let mut walk = || {
        session.iterate(&OPEN_CONNECTIONS, size_of::<LifeEvent>(), |bytes| {
            found.extend(LifeEvent::read(bytes));
        })
    };
    match asked {
        Some(None) => {}
        Some(Some(inode)) => {
            if let Ok(netns) = Namespaces::default().find(inode) {
                netns.within(walk)?;
            }
        }
        None => {
            for place in NetnsList::default().places(None) {
                place.within(&mut walk).transpose()?;
            }
        }
    }
    // Namespaces are read one after the other.
    found.sort_by_key(|event| std::cmp::Reverse(event.life));
    Ok(found)
}
