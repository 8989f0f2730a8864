//! One problem: what it is about, what is wrong, and what to do.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};

use super::Rule;
use crate::report::{Key, Ts, record, word, words};

words! {
    /// How bad it is.
    Severity {
        /// Connections or events are lost.
        Bad = "high",
        /// They will be.
        Warning = "medium",
        /// Worth knowing.
        Remark = "low",
    }
}

words! {
    /// What a finding is about.
    Scope {
        /// The whole machine.
        Machine = "machine",
        /// The network namespaces that were read.
        Netns = "namespace",
        /// A process.
        Process = "process",
        /// A listening socket.
        Listener = "listener",
        /// A remote address and port.
        Destination = "destination",
        /// A tool of this kit.
        Tool = "tool",
    }
}

/// The numbers behind a finding, in the order in which they count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence(pub Vec<(Cow<'static, str>, u64)>);

impl Serialize for Evidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Evidence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Evidence;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of numbers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Evidence, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, u64>()? {
                    pairs.push((name.into(), value));
                }
                Ok(Evidence(pairs))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

impl JsonSchema for Evidence {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "evidence".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "additionalProperties": { "type": "integer", "minimum": 0 }
        })
    }
}

record! {
    /// tcpdoctor: a problem
    "finding" Finding known(rule severity scope text evidence because remedy effect verify) {
        /// the rule that found it: `tcpdoctor --explain RULE` has the whole story
        rule: Cow<'static, str>,
        /// `high`: connections or events are lost; `medium`: they will be; `low`: worth knowing
        #[serde(deserialize_with = "word")]
        severity: Option<Severity>,
        /// what it is about: `machine`, `namespace`, `process`, `listener`, `destination` or `tool`
        #[serde(deserialize_with = "word")]
        scope: Option<Scope>,
        /// the process that it is about
        pid,
        comm,
        laddr,
        lport,
        raddr,
        rport,
        device,
        netns,
        netns_name,
        /// when it was first seen; null: it has not ended, and is seen for the first time
        began_ts: Option<Ts>,
        /// when it was last seen, where it has ended since
        ended_ts: Option<Ts>,
        /// what is wrong, in a sentence
        text,
        /// the numbers behind it: counts, or ns where the name ends in `_ns`
        evidence: Evidence,
        /// why it is thought so
        because: Cow<'static, str>,
        /// what to change, with the settings as they are now
        remedy: Cow<'static, str>,
        /// what to expect of that
        effect: Cow<'static, str>,
        /// how to check that it worked
        verify: Cow<'static, str>,
    }
}

impl Finding {
    /// What a rule has found about this.
    pub(super) fn new(rule: &Rule, about: Key, text: String) -> Self {
        Self {
            rule: rule.id.into(),
            severity: Some(rule.severity),
            scope: Some(rule.scope),
            text: text.into(),
            because: rule.why.into(),
            remedy: rule.remedy.into(),
            effect: rule.effect.into(),
            verify: rule.verify.into(),
            ..Self::about(about)
        }
    }

    /// How bad it is; what a recording does not say is worth knowing.
    pub fn weight(&self) -> Severity {
        self.severity.unwrap_or(Severity::Remark)
    }

    /// What it is about, without what may change while it goes on: who has most of something, and owners,
    /// which are found later.
    pub fn place(&self) -> Key {
        let Key { pid, laddr, lport, raddr, rport, device, netns, .. } = self.key();
        let place = Key { netns, ..Key::default() };
        match self.scope {
            Some(Scope::Process) => Key { pid, ..place },
            Some(Scope::Listener) => Key { laddr, lport, device, ..place },
            Some(Scope::Destination) => Key { laddr, raddr, rport, device, ..place },
            _ => place,
        }
    }

    /// With the numbers that are known.
    pub(super) fn with<const N: usize>(
        mut self,
        numbers: [(&'static str, Option<u64>); N],
    ) -> Self {
        let known = numbers.into_iter().filter_map(|(name, value)| Some((name.into(), value?)));
        self.evidence.0.extend(known);
        self
    }

    /// A number of its evidence.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.evidence.0.iter().find(|(one, _)| one == name).map(|(_, value)| *value)
    }

    /// As bad as this.
    pub(super) fn weighing(self, severity: Severity) -> Self {
        Self { severity: Some(severity), ..self }
    }
}
