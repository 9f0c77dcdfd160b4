//! What a sidecar says, and when: the order in which Envoy asks, and an honest answer to each response.
//!
//! A [`Script`] is what many sidecars have in common, encoded once; [`Progress`] is what each has seen.

use super::{
    http2::{Http2, opening},
    inbox::Seen,
    probe::Known,
    proto::{Fields, Value, text_of},
    requests::{Dialect, Kind, Requests},
};

/// How a client behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As Envoy does.
    Honest,
    /// Asks, and reads nothing.
    NeverReads,
    /// Reads, and answers nothing.
    NeverAcks,
    /// Rejects every response.
    Rejects,
    /// Sends bytes that are no request.
    Garbage,
    /// Goes as soon as it has asked.
    Vanishes,
}

/// What sidecars of one sort have in common.
#[derive(Debug, Clone)]
pub struct Script {
    pub manner: Manner,
    requests: Requests,
    opening: Vec<u8>,
    /// The first request of each type, absent where it is not asked for.
    first: [Option<Vec<u8>>; 4],
    /// How many resources of each type make the sidecar complete.
    need: [u32; 4],
    answer_prefixes: [Vec<u8>; 4],
    /// Whether a type is asked for once the one before is complete; otherwise all at once, as after a reconnect.
    one_by_one: bool,
}

/// How far a sidecar has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    pub responses: [u32; 4],
    pub resources: [u32; 4],
    /// Types asked for.
    asked: [bool; 4],
    /// It has everything it asked for.
    pub complete: bool,
}

impl Script {
    /// A sidecar that starts: clusters, their endpoints, listeners, routes, each when the one before is there.
    pub fn fresh(requests: &Requests, known: &Known, authority: &str) -> Self {
        let names = known.subscriptions();
        let first = Kind::ALL.map(|kind| {
            let asked = known.is_asked_for(kind);
            asked.then(|| requests.first(kind, kind == Kind::Cluster, &names[kind as usize], &[]))
        });
        Self::new(requests, authority, first, known.counts(), &names, true)
    }

    /// A sidecar that comes back holding everything, and says so.
    pub fn returning(requests: &Requests, known: &Known, authority: &str) -> Self {
        let names = known.subscriptions();
        let first = Kind::ALL.map(|kind| {
            let (asked, held) = (known.is_asked_for(kind), known.held(kind));
            asked.then(|| requests.first(kind, kind == Kind::Cluster, &names[kind as usize], &held))
        });
        let [_, endpoints, _, routes] = known.counts();
        Self::new(requests, authority, first, [0, endpoints, 0, routes], &names, false)
    }

    /// A client that wants the endpoints of these clusters and nothing else.
    pub fn of_endpoints(requests: &Requests, names: &[String], authority: &str) -> Self {
        let first = [None, Some(requests.first(Kind::Endpoints, true, names, &[])), None, None];
        let subscriptions = [vec![], names.to_vec(), vec![], vec![]];
        Self::new(requests, authority, first, [0, names.len() as u32, 0, 0], &subscriptions, true)
    }

    fn new(
        requests: &Requests,
        authority: &str,
        first: [Option<Vec<u8>>; 4],
        need: [u32; 4],
        names: &[Vec<String>; 4],
        one_by_one: bool,
    ) -> Self {
        Self {
            manner: Manner::Honest,
            requests: requests.clone(),
            opening: opening(requests.dialect, authority, true),
            first,
            need,
            answer_prefixes: Kind::ALL.map(|kind| requests.answer_prefix(kind, &names[kind as usize])),
            one_by_one,
        }
    }

    pub fn dialect(&self) -> Dialect {
        self.requests.dialect
    }

    /// The same, misbehaving.
    pub fn with_manner(mut self, manner: Manner, authority: &str) -> Self {
        if manner == Manner::NeverReads {
            self.opening = opening(self.requests.dialect, authority, false);
        }
        self.manner = manner;
        self
    }

    /// What is said first on a connection.
    pub fn begin(&self, progress: &mut Progress, http2: &mut Http2, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.opening);
        if self.manner == Manner::Garbage {
            // A gRPC message that is no request, then what is not even a frame.
            http2.send(&super::requests::framed(&[0xff; 100]), out);
            out.extend_from_slice(&[0xa5; 400]);
            return;
        }
        self.ask(progress, http2, out);
    }

    /// Asks for what comes next.
    fn ask(&self, progress: &mut Progress, http2: &mut Http2, out: &mut Vec<u8>) {
        for kind in Kind::ALL {
            let position = kind as usize;
            let Some(first) = &self.first[position] else { continue };
            if !progress.asked[position] {
                progress.asked[position] = true;
                http2.send(first, out);
            }
            if self.one_by_one && !self.has_all(progress, kind) {
                return;
            }
        }
        progress.complete = Kind::ALL.into_iter().all(|kind| self.has_all(progress, kind));
    }

    fn has_all(&self, progress: &Progress, kind: Kind) -> bool {
        let position = kind as usize;
        self.first[position].is_none()
            || (progress.responses[position] > 0 && progress.resources[position] >= self.need[position])
    }

    /// Takes a response: answers it, and goes on.
    pub fn react(
        &self,
        seen: &Seen,
        progress: &mut Progress,
        http2: &mut Http2,
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) {
        let Some(kind) = seen.kind else { return };
        let position = kind as usize;
        progress.responses[position] += 1;
        progress.resources[position] += seen.resources;
        if self.manner == Manner::NeverAcks {
            return;
        }
        scratch.clear();
        let (rejects, prefix) = (self.manner == Manner::Rejects, &self.answer_prefixes[position]);
        self.requests.answer(scratch, prefix, &seen.nonce, &seen.version, &[], rejects);
        http2.send(scratch, out);
        if !progress.complete {
            self.ask(progress, http2, out);
        } else if kind == Kind::Cluster && self.requests.dialect == Dialect::Delta && !seen.body.is_empty() {
            // New clusters warm until their endpoints come.
            let names = new_clusters(&seen.body);
            let position = Kind::Endpoints as usize;
            if self.first[position].is_some() && !names.is_empty() {
                scratch.clear();
                self.requests.answer(scratch, &self.answer_prefixes[position], "", "", &names, false);
                http2.send(scratch, out);
            }
        }
    }
}

/// The names of the resources of a delta response.
fn new_clusters(body: &[u8]) -> Vec<String> {
    let name = |(number, value): (u32, Value<'_>)| match value {
        Value::Bytes(resource) if number == Seen::RESOURCES => Some(text_of(resource, 3)?.to_owned()),
        _ => None,
    };
    Fields(body).filter_map(name).collect()
}
