//! A client that may do anything, and what must hold whatever it does. Shared by the law in `properties.rs` and by the
//! fuzz target `session`.
//!
//! The client keeps its own account of the protocol: what it subscribed to, what it was sent, what it applied, what it
//! is owed. It reads late, answers late or never, crosses requests with responses, rejects some contents, says nonsense,
//! and loses its stream. Checked all along: no response has anything that was not subscribed to, nothing is sent again
//! without a reason (what came with something rejected has one), and no wait ends in the past. Checked in the end, once it
//! behaves: it holds what it accepts of what there is, it is owed nothing, and nobody has anything more to say.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use chancery::{
    resources::{ResourceType, Snapshot},
    xds::{Shared, session::Dialect},
};

use super::conversation::{CDS, EDS, Heard, LDS, RDS, Talk, snapshot, version};

const TYPES: [ResourceType; 4] = [CDS, EDS, LDS, RDS];

/// How many names there are of each type; `ghost` is one that there never is.
const NAMES: usize = 6;

/// Which content of a name there is: 0 = there is no such resource, 3 = one that clients reject.
type Contents = [[u8; NAMES]; 4];

const BAD: &str = "v3";

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Some contents change, and are published.
    Publish(Vec<(usize, usize, u8)>),
    /// The server puts responses on the wire.
    Send { most: usize },
    /// The client reads from the wire, and answers or leaves that for later.
    Read { most: usize, answers: Answers },
    /// The client changes its subscription: bits of names, of `*` and of `ghost`.
    Subscribe { of: usize, add: u8, remove: u8, nonce: Nonce },
    /// The client says something that changes nothing.
    Noise { of: usize, nonce: Nonce, rejects: bool },
    /// The stream breaks with all that is on the wire, and the client comes back, asking in this order.
    Reconnect { order: u8, forgets: u8 },
    /// Time passes.
    Later(u64),
}

/// Which of the responses it read a client answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    None,
    All,
    /// As in state of the world after a pause.
    LatestOfEachType,
}

/// What a request claims to be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonce {
    Empty,
    Stale,
    /// Of the latest response that was read.
    Latest,
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    pub dialect: Dialect,
    /// Responses are split where that is allowed.
    pub splits: bool,
    /// The client does not say what it rejects, only that it does. Of a full state nobody can tell then what was meant,
    /// so that only clients of delta do so.
    pub mutters: bool,
    pub steps: Vec<Step>,
}

impl Conversation {
    /// Any bytes are a conversation.
    pub fn read(bytes: &[u8]) -> Self {
        const MOST: usize = 150;
        let mut bytes = bytes.iter().copied();
        let first = bytes.next().unwrap_or_default();
        let dialect = if first & 1 == 0 { Dialect::Delta } else { Dialect::Sotw };
        let steps = std::iter::from_fn(|| Step::read(&mut bytes)).take(MOST).collect();
        Self { dialect, splits: first & 2 != 0, mutters: first & 4 != 0 && dialect == Dialect::Delta, steps }
    }
}

impl Step {
    fn read(bytes: &mut impl Iterator<Item = u8>) -> Option<Self> {
        let kind = bytes.next()?;
        let mut byte = || bytes.next().unwrap_or_default();
        let nonce = |byte: u8| [Nonce::Empty, Nonce::Latest, Nonce::Stale, Nonce::Latest][usize::from(byte & 3)];
        let count = |byte: u8| if byte & 4 == 0 { 50 } else { usize::from(byte & 3) + 1 };
        Some(match kind % 16 {
            0..=3 => {
                let changes = (0..=kind >> 6).map(|_| byte());
                let change = |byte: u8| (usize::from(byte & 3), usize::from(byte >> 2 & 7) % NAMES, byte >> 5 & 3);
                Self::Publish(changes.map(change).collect())
            }
            4..=6 => Self::Send { most: count(kind >> 4) },
            7..=9 => {
                let answers = [Answers::All, Answers::None, Answers::LatestOfEachType, Answers::All];
                Self::Read { most: count(kind >> 4), answers: answers[usize::from(byte() & 3)] }
            }
            10..=12 => {
                Self::Subscribe { of: usize::from(kind >> 4 & 3), add: byte(), remove: byte(), nonce: nonce(kind >> 6) }
            }
            13 => Self::Noise { of: usize::from(kind >> 4 & 3), nonce: nonce(kind >> 6), rejects: byte() & 1 == 1 },
            14 => Self::Reconnect { order: kind >> 4, forgets: byte() },
            _ => Self::Later(u64::from(byte() % 20)),
        })
    }
}

/// Plays a conversation; panics where a law is broken.
pub fn play(conversation: &Conversation) {
    let Conversation { dialect, splits, mutters, steps } = conversation;
    let shared = Shared::default();
    let shared = Arc::new(if *splits { shared.with_largest_response(150) } else { shared });
    let mut world = World::new(*dialect, *mutters, shared);
    for step in steps {
        match step {
            Step::Publish(changes) => {
                for (of, name, content) in changes {
                    world.contents[*of][*name] = *content;
                }
                world.publish();
            }
            Step::Send { most } => drop(world.send(*most)),
            Step::Read { most, answers } => {
                world.read(*most);
                world.answer(*answers);
            }
            Step::Subscribe { of, add, remove, nonce } => world.subscribe(TYPES[*of], *add, *remove, *nonce),
            Step::Noise { of, nonce, rejects } => world.noise(TYPES[*of], *nonce, *rejects),
            Step::Reconnect { order, forgets } => world.reconnect(*order, *forgets),
            Step::Later(seconds) => world.talk.later(*seconds),
        }
    }
    world.settle();
    world.talk.later(60);
    world.settle();
    world.assert_holds_what_it_accepts();
    world.talk.later(3600);
    assert_eq!(world.talk.all(), Vec::<String>::new(), "a quiet system sends nothing");
    let _ = world.talk.session.take_oddity();
    assert_eq!(world.talk.session.deadline(), None, "and wakes nobody");
}

/// The client's account of one type.
#[derive(Debug, Default)]
struct View {
    asked: bool,
    wildcard: bool,
    named_ever: bool,
    names: BTreeSet<String>,
    /// What it goes by, over all streams.
    held: BTreeMap<String, String>,
    /// The version of the last response it accepted; empty when it applied a part of another, or let go of a part, since.
    version: String,
    /// What this stream sent last of each name.
    sent: BTreeMap<String, String>,
    /// Every name that was ever sent on this stream, or brought along.
    may_hold: BTreeSet<String>,
    /// Names whose answer is owed, and whether a first answer is.
    owed: BTreeSet<String>,
    answer_owed: bool,
    /// Names that came with something that was rejected: they may come again.
    again: BTreeSet<String>,
    /// State of the world: what the last full state on this stream held.
    full_state: Option<BTreeMap<String, String>>,
    nonces: BTreeSet<String>,
    last_read: String,
}

impl View {
    fn covers(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }
}

struct World {
    dialect: Dialect,
    mutters: bool,
    shared: Arc<Shared>,
    talk: Talk,
    contents: Contents,
    views: BTreeMap<ResourceType, View>,
    wire: VecDeque<Heard>,
    /// Read and not answered; whether it was rejected.
    unanswered: VecDeque<(Heard, bool)>,
    /// Endpoints that may come again: their clusters were sent.
    follow: BTreeSet<String>,
}

impl World {
    fn new(dialect: Dialect, mutters: bool, shared: Arc<Shared>) -> Self {
        let mut world = Self {
            dialect,
            mutters,
            talk: Talk::sharing(dialect, &shared),
            shared,
            contents: [[1; NAMES]; 4],
            views: TYPES.into_iter().map(|resource_type| (resource_type, View::default())).collect(),
            wire: VecDeque::new(),
            unanswered: VecDeque::new(),
            follow: BTreeSet::new(),
        };
        world.publish();
        world
    }

    fn publish(&mut self) {
        self.talk.target(&published(&self.contents));
        if self.dialect == Dialect::Sotw {
            // That something is gone cannot be said, so it may come again as it was.
            for (of, contents) in TYPES.into_iter().zip(self.contents) {
                let is_there =
                    |name: &String| (0..NAMES).any(|number| contents[number] > 0 && *name == format!("n{number}"));
                self.view(of).sent.retain(|name, _| is_there(name));
            }
        }
    }

    fn view(&mut self, resource_type: ResourceType) -> &mut View {
        self.views.get_mut(&resource_type).unwrap()
    }

    /// The server says what it has to say, and how long it is willing to wait with the rest.
    fn send(&mut self, most: usize) -> usize {
        for count in 0..most {
            let Some(heard) = self.talk.next() else {
                let deadline = self.talk.session.deadline();
                assert!(deadline.is_none_or(|deadline| deadline > self.talk.now), "woken at once, for ever");
                return count;
            };
            assert!(count < 45, "the session does not come to rest");
            self.check(&heard);
            self.wire.push_back(heard);
        }
        most
    }

    /// What may be in a response, given what was asked and sent before.
    fn check(&mut self, heard: &Heard) {
        let (of, dialect) = (heard.resource_type, self.dialect);
        let first_answer = self.view(of).nonces.is_empty();
        let mutters = self.mutters;
        // Until it is found out what was meant, the others may come more than once.
        let may_come_again = |view: &mut View, name: &String| {
            if mutters { view.again.contains(name) } else { view.again.remove(name) }
        };
        let follow = std::mem::take(&mut self.follow);
        let view = self.views.get_mut(&of).unwrap();
        assert!(!heard.nonce.is_empty() && view.nonces.insert(heard.nonce.clone()), "a nonce of its own");
        let resources: BTreeMap<String, String> =
            heard.resources.values().map(|content| (name_of(content), content.clone())).collect();
        for name in resources.keys().chain(&heard.removed) {
            assert!(view.covers(name), "{of:?} {name} is not subscribed to");
        }
        let full_state = dialect == Dialect::Sotw && of.is_full_state();
        if full_state {
            let is_owed = view.answer_owed || !view.owed.is_empty() || !view.again.is_empty();
            let reason = is_owed || view.full_state.as_ref() != Some(&resources);
            assert!(reason, "{of:?}: the same full state again");
            view.owed.clear();
            view.again.clear();
            view.full_state = Some(resources.clone());
        } else {
            let empty = resources.is_empty() && heard.removed.is_empty();
            assert!(!empty || dialect == Dialect::Delta && view.answer_owed, "{of:?}: an empty response");
            for (name, content) in &resources {
                let owed = view.owed.remove(name) | may_come_again(view, name) || of == EDS && follow.contains(name);
                assert!(owed || view.sent.get(name) != Some(content), "{of:?}: {name} again");
                view.sent.insert(name.clone(), content.clone());
                view.may_hold.insert(name.clone());
            }
            for name in &heard.removed {
                let owed = view.owed.remove(name) | may_come_again(view, name);
                view.sent.remove(name);
                assert!(view.may_hold.contains(name) || owed, "{of:?}: {name} was never there");
            }
        }
        view.answer_owed = false;
        self.follow = follow;
        if of == EDS {
            self.follow.retain(|name| !resources.contains_key(name));
        }
        if of == CDS {
            self.follow.extend(resources.into_keys());
            if first_answer {
                self.follow.extend(self.views[&EDS].names.iter().cloned());
            }
        }
    }

    fn read(&mut self, most: usize) {
        for _ in 0..most {
            let Some(heard) = self.wire.pop_front() else { return };
            let rejected = self.apply(&heard);
            self.unanswered.push_back((heard, rejected));
        }
    }

    /// Takes what is acceptable of a response; returns whether something is not.
    fn apply(&mut self, heard: &Heard) -> bool {
        let full_state = self.dialect == Dialect::Sotw && heard.resource_type.is_full_state();
        let view = self.view(heard.resource_type);
        view.last_read.clone_from(&heard.nonce);
        let mut rejected = false;
        let mut present = BTreeSet::new();
        for content in heard.resources.values() {
            let name = name_of(content);
            present.insert(name.clone());
            if content.ends_with(BAD) {
                rejected = true;
            } else if view.covers(&name) {
                view.held.insert(name, content.clone());
            }
        }
        if full_state {
            view.held.retain(|name, _| present.contains(name));
        }
        for name in &heard.removed {
            view.held.remove(name);
        }
        view.version = if rejected { String::new() } else { heard.version.clone() };
        rejected
    }

    fn answer(&mut self, answers: Answers) {
        let mut answered = match answers {
            Answers::None => return,
            Answers::All | Answers::LatestOfEachType => std::mem::take(&mut self.unanswered),
        };
        if answers == Answers::LatestOfEachType {
            let all = answered.clone();
            let mut position = 0;
            answered.retain(|(heard, _)| {
                position += 1;
                !all.iter().skip(position).any(|(later, _)| later.resource_type == heard.resource_type)
            });
        }
        for (heard, rejected) in answered {
            if rejected {
                let names =
                    heard.resources.values().map(|content| name_of(content)).chain(heard.removed.iter().cloned());
                self.view(heard.resource_type).again.extend(names);
            }
            let bad = heard.resources.values().filter(|content| content.ends_with(BAD));
            let bad: Vec<String> = bad.map(|content| format!("{}: no", name_of(content))).collect();
            let words = if self.mutters { "no".to_owned() } else { bad.join(", ") };
            self.request(heard.resource_type, "", &heard.nonce, rejected.then_some(&words));
        }
    }

    fn noise(&mut self, of: ResourceType, nonce: Nonce, rejects: bool) {
        if self.views[&of].asked {
            // Who rejects what it would accept is not given it; that is no noise.
            let nonce = self.nonce(of, if rejects && nonce == Nonce::Latest { Nonce::Stale } else { nonce });
            self.request(of, "", &nonce, rejects.then_some("no"));
        }
    }

    fn nonce(&self, of: ResourceType, nonce: Nonce) -> String {
        match nonce {
            Nonce::Empty => String::new(),
            Nonce::Stale => "stale".into(),
            Nonce::Latest => self.views[&of].last_read.clone(),
        }
    }

    /// Says something: in delta the changes, in state of the world always the whole list.
    fn request(&mut self, of: ResourceType, changes: &str, nonce: &str, rejects: Option<&str>) {
        let view = &self.views[&of];
        let names = match self.dialect {
            Dialect::Delta => changes.to_owned(),
            Dialect::Sotw => list(view),
        };
        self.talk.claim_version(of, view.version.clone());
        self.talk.request(of, &names, nonce, rejects);
    }

    fn subscribe(&mut self, of: ResourceType, add: u8, remove: u8, nonce: Nonce) {
        let nonce = self.nonce(of, nonce);
        match self.dialect {
            Dialect::Delta => {
                let (add, remove) = (words(add), words(remove));
                let changes: Vec<String> = add
                    .iter()
                    .map(|name| format!("+{name}"))
                    .chain(remove.iter().map(|name| format!("-{name}")))
                    .collect();
                self.account_delta(of, &add, &remove);
                self.request(of, &changes.join(" "), &nonce, None);
            }
            Dialect::Sotw => {
                let view = self.view(of);
                let mut wanted: BTreeSet<String> = view.names.clone();
                if view.wildcard && view.named_ever {
                    wanted.insert("*".into());
                }
                wanted.extend(words(add));
                for name in words(remove) {
                    wanted.remove(&name);
                }
                self.account_sotw(of, wanted);
                self.request(of, "", &nonce, None);
            }
        }
    }

    /// The rules of delta, once more.
    fn account_delta(&mut self, of: ResourceType, add: &[String], remove: &[String]) {
        let view = self.view(of);
        let had_wildcard = view.wildcard;
        if !view.asked && add.is_empty() && of.is_full_state() {
            view.wildcard = true;
        }
        view.asked = true;
        for name in add {
            if name == "*" {
                view.wildcard = true;
            } else {
                view.names.insert(name.clone());
                view.owed.insert(name.clone());
            }
        }
        view.wildcard &= !remove.iter().any(|name| name == "*");
        for name in remove.iter().filter(|name| *name != "*") {
            view.names.remove(name);
            if view.wildcard {
                view.owed.insert(name.clone());
            }
        }
        self.account(of, had_wildcard);
    }

    /// The rules of state of the world, once more.
    fn account_sotw(&mut self, of: ResourceType, wanted: BTreeSet<String>) {
        let view = self.view(of);
        let had_wildcard = view.wildcard;
        view.asked = true;
        view.named_ever |= !wanted.is_empty();
        view.wildcard = wanted.contains("*") || !view.named_ever && of.is_full_state();
        let names: BTreeSet<String> = wanted.into_iter().filter(|name| name != "*").collect();
        view.owed.extend(names.difference(&view.names).cloned());
        view.names = names;
        self.account(of, had_wildcard);
    }

    /// What is no longer subscribed to is let go of; a wildcard that is new is owed an answer.
    fn account(&mut self, of: ResourceType, had_wildcard: bool) {
        let view = self.view(of);
        view.answer_owed = view.wildcard && (view.answer_owed || !had_wildcard);
        let covered = |name: &String| view.wildcard || view.names.contains(name);
        let held = view.held.len();
        view.held.retain(|name, _| covered(name));
        if view.held.len() < held {
            // Who has let go of a part does not claim to have the whole.
            view.version.clear();
        }
        view.sent.retain(|name, _| covered(name));
        view.owed.retain(covered);
    }

    fn reconnect(&mut self, order: u8, forgets: u8) {
        self.wire.clear();
        self.unanswered.clear();
        self.follow.clear();
        let now = self.talk.now;
        self.talk = Talk::sharing(self.dialect, &self.shared);
        self.talk.now = now;
        self.publish();
        let mut types = TYPES;
        types.rotate_left(usize::from(order & 3));
        if order & 4 != 0 {
            types.reverse();
        }
        for of in types {
            self.come_back(of, forgets);
        }
    }

    /// The first request of a type on a new stream.
    fn come_back(&mut self, of: ResourceType, forgets: u8) {
        let dialect = self.dialect;
        let view = self.view(of);
        let was_active = view.wildcard || !view.names.is_empty();
        let explicit = view.named_ever || !view.names.is_empty() || !of.is_full_state();
        let old = std::mem::take(view);
        *view = View { held: old.held, version: old.version, ..View::default() };
        if !was_active {
            view.held.clear();
            return;
        }
        let mut wanted = old.names;
        if old.wildcard && explicit {
            wanted.insert("*".into());
        }
        match dialect {
            Dialect::Sotw => {
                // It may have nothing any more, as after a restart of its own.
                if forgets & 1 == 1 {
                    view.held.clear();
                    view.version.clear();
                }
                self.account_sotw(of, wanted);
                self.request(of, "", "", None);
            }
            Dialect::Delta => {
                let claim = |(number, (name, content)): (usize, (&String, &String))| {
                    // Of some it says a version that is none of ours: they are sent again.
                    let strange = forgets >> (number % 8) & 1 == 1;
                    let version = if strange { "17".to_owned() } else { version(of, name, content) };
                    (name.clone(), content.clone(), version, strange)
                };
                let claims: Vec<_> = view.held.iter().enumerate().map(claim).collect();
                let add: Vec<String> = wanted.into_iter().collect();
                self.account_delta(of, &add, &[]);
                let view = self.view(of);
                for (name, content, _, strange) in &claims {
                    if view.covers(name) {
                        // Versions of endpoints and routes are not believed: they are sent again.
                        let believed = of.is_full_state() && !strange;
                        let said = if believed { content.clone() } else { "unknown".to_owned() };
                        view.sent.insert(name.clone(), said);
                        view.may_hold.insert(name.clone());
                    }
                }
                let held: Vec<(&str, String)> =
                    claims.iter().map(|(name, _, version, _)| (name.as_str(), version.clone())).collect();
                let names: Vec<String> = add.iter().map(|name| format!("+{name}")).collect();
                self.talk.ask_with_initial(of, &names.join(" "), &held);
            }
        }
    }

    /// Reads and answers until nothing more comes.
    fn settle(&mut self) {
        for _ in 0..100 {
            self.read(usize::MAX);
            self.answer(Answers::All);
            if self.send(50) == 0 {
                return;
            }
        }
        panic!("the conversation does not come to rest");
    }

    fn assert_holds_what_it_accepts(&self) {
        for (of, contents) in TYPES.into_iter().zip(&self.contents) {
            let view = &self.views[&of];
            let cannot_delete = self.dialect == Dialect::Sotw && !of.is_full_state();
            for (number, value) in contents.iter().enumerate() {
                let (name, content) = (format!("n{number}"), content(number, *value));
                let held = view.held.get(&name);
                if !view.covers(&name) {
                    assert_eq!(held, None, "{of:?} {name}: not subscribed to");
                    continue;
                }
                match value {
                    0 => assert!(held.is_none() || cannot_delete, "{of:?} {name}: gone, and held"),
                    3 => assert!(held.is_none_or(|held| !held.ends_with(BAD))),
                    _ => assert_eq!(held, Some(&content), "{of:?} {name}"),
                }
            }
            if self.dialect == Dialect::Delta {
                assert!(view.owed.is_empty() && !view.answer_owed, "{of:?}: never answered: {:?}", view.owed);
            }
        }
    }
}

/// The list a state-of-the-world request has.
fn list(view: &View) -> String {
    let star = (view.wildcard && view.named_ever).then_some("*");
    star.into_iter().chain(view.names.iter().map(String::as_str)).collect::<Vec<_>>().join(" ")
}

/// The names that bits stand for.
fn words(bits: u8) -> Vec<String> {
    let word = |bit: usize| match bit {
        6 => "*".to_owned(),
        7 => "ghost".to_owned(),
        number => format!("n{number}"),
    };
    (0..8).filter(|bit| bits >> bit & 1 == 1).map(word).collect()
}

/// Contents are unique across names, so that state-of-the-world responses can be told apart.
fn content(number: usize, value: u8) -> String {
    format!("n{number}v{value}")
}

fn name_of(content: &str) -> String {
    content.split('v').next().unwrap_or_default().to_owned()
}

fn published(contents: &Contents) -> Arc<Snapshot> {
    let [clusters, endpoints, listeners, routes] = contents.map(|names| {
        let present = names.into_iter().enumerate().filter(|(_, value)| *value > 0);
        present.map(|(number, value)| format!("n{number}={} ", content(number, value))).collect::<String>()
    });
    snapshot(&clusters, &endpoints, &listeners, &routes)
}
