//! Laws over any conversation: whatever a client does, it ends up with what it should have.

use std::collections::{BTreeMap, BTreeSet};

use chancery::{resources::ResourceType, xds::session::Dialect};
use proptest::{collection::vec, prelude::*};

use super::conversation::{CDS, EDS, Heard, LDS, RDS, Talk, snapshot};

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// Another snapshot: contents of four names for each type, 0 = absent.
    Target([[u8; 4]; 4]),
    /// The client hears what is due, and answers each: accepts, or rejects.
    Hear { accepts: bool },
    /// The client hears what is due and leaves it unanswered for now.
    Delay,
    /// The client changes its mind about an endpoint name or a route name.
    Toggle { endpoints: bool, name: u8 },
    /// Time passes.
    Later(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any::<[[u8; 4]; 4]>().prop_map(|mut contents| {
            contents.iter_mut().flatten().for_each(|content| *content %= 3);
            Step::Target(contents)
        }),
        4 => any::<bool>().prop_map(|accepts| Step::Hear { accepts }),
        1 => Just(Step::Delay),
        2 => (any::<bool>(), 0_u8..4).prop_map(|(endpoints, name)| Step::Toggle { endpoints, name }),
        1 => (0_u8..20).prop_map(Step::Later),
    ]
}

const TYPES: [ResourceType; 4] = [CDS, EDS, LDS, RDS];

fn name(number: usize) -> String {
    format!("n{number}")
}

/// Contents are unique across names, so that state-of-the-world responses can be told apart.
fn content(number: usize, content: u8) -> String {
    format!("n{number}v{content}")
}

fn texts(contents: &[[u8; 4]; 4]) -> [String; 4] {
    contents.map(|names| {
        let present = names.iter().enumerate().filter(|(_, content)| **content > 0);
        present.map(|(number, value)| format!("{}={} ", name(number), content(number, *value))).collect()
    })
}

/// A client: what it subscribed to, what it was sent, what it has not answered.
struct Client {
    talk: Talk,
    dialect: Dialect,
    wanted: BTreeMap<ResourceType, BTreeSet<String>>,
    held: BTreeMap<ResourceType, BTreeMap<String, String>>,
    unanswered: Vec<Heard>,
}

impl Client {
    fn new(dialect: Dialect, contents: &[[u8; 4]; 4]) -> Self {
        let [clusters, endpoints, listeners, routes] = texts(contents);
        let mut talk = Talk::new(dialect);
        talk.target(&snapshot(&clusters, &endpoints, &listeners, &routes));
        let mut client = Self { talk, dialect, wanted: BTreeMap::new(), held: BTreeMap::new(), unanswered: Vec::new() };
        client.talk.ask(CDS, "");
        client.talk.ask(LDS, "");
        client
    }

    fn target(&mut self, contents: &[[u8; 4]; 4]) {
        let [clusters, endpoints, listeners, routes] = texts(contents);
        self.talk.target(&snapshot(&clusters, &endpoints, &listeners, &routes));
    }

    fn list(&self, resource_type: ResourceType) -> String {
        match self.dialect {
            Dialect::Delta => String::new(),
            Dialect::Sotw => {
                self.wanted.get(&resource_type).into_iter().flatten().cloned().collect::<Vec<_>>().join(" ")
            }
        }
    }

    fn toggle(&mut self, resource_type: ResourceType, name: String) {
        let wanted = self.wanted.entry(resource_type).or_default();
        let sign = if wanted.remove(&name) {
            self.held.entry(resource_type).or_default().remove(&name);
            '-'
        } else {
            wanted.insert(name.clone());
            '+'
        };
        let names = match self.dialect {
            Dialect::Delta => format!("{sign}{name}"),
            Dialect::Sotw => self.list(resource_type),
        };
        self.talk.ask(resource_type, &names);
    }

    fn hear(&mut self) -> usize {
        let heard: Vec<Heard> = std::iter::from_fn(|| self.talk.next()).take(50).collect();
        assert!(heard.len() < 50, "the session does not come to rest");
        for heard in &heard {
            self.apply(heard);
        }
        let count = heard.len();
        self.unanswered.extend(heard);
        count
    }

    /// Clients apply what they take of a response even when they reject it; what counts is what was sent.
    fn apply(&mut self, heard: &Heard) {
        let held = self.held.entry(heard.resource_type).or_default();
        let full_state = self.dialect == Dialect::Sotw && heard.resource_type.is_full_state();
        if full_state {
            held.clear();
        }
        for content in heard.resources.values() {
            let name = content.split('v').next().unwrap().to_owned();
            held.insert(name, content.clone());
        }
        for name in &heard.removed {
            held.remove(name);
        }
    }

    fn answer(&mut self, accepts: bool) {
        for heard in std::mem::take(&mut self.unanswered) {
            let list = self.list(heard.resource_type);
            self.talk.request(heard.resource_type, &list, &heard.nonce, (!accepts).then_some("no"));
        }
    }

    /// Hears and acknowledges until nothing more comes.
    fn settle(&mut self) {
        for _ in 0..20 {
            self.answer(true);
            if self.hear() == 0 {
                return;
            }
        }
        panic!("the conversation does not come to rest");
    }

    fn assert_holds(&self, contents: &[[u8; 4]; 4]) {
        for resource_type in TYPES {
            let expected: BTreeMap<String, String> = contents
                [TYPES.iter().position(|known| *known == resource_type).unwrap()]
            .iter()
            .enumerate()
            .filter(|(_, value)| **value > 0)
            .map(|(number, value)| (name(number), content(number, *value)))
            .filter(|(name, _)| {
                resource_type.is_full_state()
                    || self.wanted.get(&resource_type).is_some_and(|wanted| wanted.contains(name))
            })
            .collect();
            let mut held = self.held.get(&resource_type).cloned().unwrap_or_default();
            if self.dialect == Dialect::Sotw && !resource_type.is_full_state() {
                // State of the world cannot say that these are gone; what led to them is.
                held.retain(|name, _| expected.contains_key(name));
            }
            assert_eq!(held, expected, "{resource_type:?} in {:?}", self.dialect);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn every_client_ends_with_what_it_should_have(steps in vec(step(), 1..25), delta in any::<bool>()) {
        let dialect = if delta { Dialect::Delta } else { Dialect::Sotw };
        let mut contents = [[1; 4]; 4];
        let mut client = Client::new(dialect, &contents);
        for step in steps {
            match step {
                Step::Target(next) => {
                    contents = next;
                    client.target(&contents);
                }
                Step::Hear { accepts } => {
                    client.hear();
                    client.answer(accepts);
                }
                Step::Delay => drop(client.hear()),
                Step::Toggle { endpoints, name: number } => {
                    client.toggle(if endpoints { EDS } else { RDS }, name(usize::from(number)));
                }
                Step::Later(seconds) => client.talk.later(u64::from(seconds)),
            }
        }
        client.settle();
        client.talk.later(60);
        client.settle();
        client.assert_holds(&contents);
        // A quiet system sends nothing, by no passing of time.
        client.talk.later(3600);
        prop_assert_eq!(client.talk.all(), Vec::<String>::new());
        prop_assert_eq!(client.talk.session.deadline(), None);
    }
}
