//! Where a key goes: Envoy's ring hash and Maglev tables, built as Envoy builds them.
//!
//! Only the share of keys that move is of interest, so keys are numbers spread over all 64 bits, as Envoy's hash of a
//! header spreads them.

use xxhash_rust::xxh64::xxh64;

/// An endpoint as the tables see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// `address:port`.
    pub address: String,
    /// Its share of the load: of its locality where localities are weighted, times its own.
    pub weight: f64,
}

/// Which hash places endpoints on a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashFunction {
    /// Envoy's default.
    XxHash,
    /// As libstdc++ has it.
    Murmur2,
}

/// A ring of hashes, each an endpoint's.
#[derive(Debug, Clone)]
pub struct Ring(Vec<(u64, usize)>);

/// A table in which every endpoint has its share of the places.
#[derive(Debug, Clone)]
pub struct Maglev(Vec<usize>);

fn normalized(hosts: &[Host]) -> Vec<f64> {
    let sum: f64 = hosts.iter().map(|host| host.weight).sum();
    hosts.iter().map(|host| host.weight / sum).collect()
}

impl Ring {
    /// Places hosts on a ring of at least `minimum` and at most `maximum` hashes.
    pub fn new(hosts: &[Host], minimum: u64, maximum: u64, function: HashFunction) -> Self {
        let weights = normalized(hosts);
        let least = weights.iter().copied().fold(1.0, f64::min);
        let scale = ((least * minimum as f64).ceil() / least).min(maximum as f64);
        let mut ring = Vec::new();
        let (mut current, mut target) = (0.0, 0.0);
        for (index, (host, weight)) in hosts.iter().zip(weights).enumerate() {
            target += scale * weight;
            let mut number = 0_u64;
            while current < target {
                let name = format!("{}_{number}", host.address);
                let hash = match function {
                    HashFunction::XxHash => xxh64(name.as_bytes(), 0),
                    HashFunction::Murmur2 => murmur2(name.as_bytes()),
                };
                ring.push((hash, index));
                number += 1;
                current += 1.0;
            }
        }
        ring.sort_unstable();
        Self(ring)
    }

    /// The host of a key.
    pub fn pick(&self, key: u64) -> Option<usize> {
        let at = self.0.partition_point(|(hash, _)| *hash < key);
        self.0.get(at).or_else(|| self.0.first()).map(|(_, host)| *host)
    }
}

impl Maglev {
    /// Fills a table of this many places.
    pub fn new(hosts: &[Host], size: u64) -> Self {
        const FREE: usize = usize::MAX;
        let weights = normalized(hosts);
        let most = weights.iter().copied().fold(0.0, f64::max);
        let mut entries: Vec<(u64, u64, u64, f64)> = hosts
            .iter()
            .map(|host| {
                let hash = |seed| xxh64(host.address.as_bytes(), seed);
                (hash(0) % size, hash(1) % (size - 1) + 1, 0, 0.0)
            })
            .collect();
        let mut table = vec![FREE; usize::try_from(size).unwrap_or(0)];
        let (mut filled, mut iteration) = (0, 1.0);
        while filled < table.len() && !hosts.is_empty() {
            for (index, (offset, skip, next, target)) in entries.iter_mut().enumerate() {
                if filled == table.len() {
                    break;
                }
                if iteration * weights[index] < *target {
                    continue;
                }
                *target += most;
                loop {
                    let at = ((*offset + *skip * *next) % size) as usize;
                    *next += 1;
                    if table[at] == FREE {
                        table[at] = index;
                        filled += 1;
                        break;
                    }
                }
            }
            iteration += 1.0;
        }
        Self(table)
    }

    /// The host of a key.
    pub fn pick(&self, key: u64) -> Option<usize> {
        if self.0.is_empty() { None } else { self.0.get((key % self.0.len() as u64) as usize).copied() }
    }
}

/// MurmurHash2, 64 bit, with the seed of libstdc++'s `std::hash`.
fn murmur2(bytes: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
    const SEED: u64 = 0xc70f_6907;
    let mix = |value: u64| value ^ (value >> 47);
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    let chunks = bytes.chunks_exact(8);
    let rest = chunks.remainder();
    for chunk in chunks {
        let word = chunk.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
        hash ^= mix(word.wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER);
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    mix(mix(hash).wrapping_mul(MULTIPLIER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(count: usize) -> Vec<Host> {
        (0..count).map(|at| Host { address: format!("10.0.0.{at}:80"), weight: 1.0 }).collect()
    }

    /// Of the keys, those that go to the first host.
    fn share_of_first(pick: impl Fn(u64) -> Option<usize>) -> f64 {
        (0..10_000_u64).filter(|key| pick(xxh64(&key.to_le_bytes(), 0)) == Some(0)).count() as f64 / 10_000.0
    }

    #[test]
    fn hosts_get_about_their_share() {
        let mut four = hosts(4);
        let ring = Ring::new(&four, 1024, 8_388_608, HashFunction::XxHash);
        assert_eq!(ring.0.len(), 1024);
        assert!((share_of_first(|key| ring.pick(key)) - 0.25).abs() < 0.05);
        let murmur = Ring::new(&four, 1024, 8_388_608, HashFunction::Murmur2);
        assert!((share_of_first(|key| murmur.pick(key)) - 0.25).abs() < 0.05);
        let maglev = Maglev::new(&four, 65537);
        assert!((share_of_first(|key| maglev.pick(key)) - 0.25).abs() < 0.02);
        four[0].weight = 3.0;
        let maglev = Maglev::new(&four, 65537);
        assert!((share_of_first(|key| maglev.pick(key)) - 0.5).abs() < 0.02);
    }

    #[test]
    fn nobody_is_picked_of_nobody() {
        assert_eq!(Ring::new(&[], 1024, 2048, HashFunction::XxHash).pick(1), None);
    }
}
