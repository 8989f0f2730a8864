//! Remarks.

use super::record;

record! {
    /// Every tool: a remark for the person who reads the JSON
    "note" Note known(text) {
        /// the remark
        text,
    }
}
