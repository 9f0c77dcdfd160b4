//! What a server said, without nonces: the floor says it again.

use std::{fs, io, path::Path};

use crate::client::Known;

/// The first responses of each type, and the updates that followed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recording {
    pub first: [Vec<Vec<u8>>; 4],
    /// Of endpoints, in the order of the changes.
    pub updates: Vec<Vec<u8>>,
    /// What answers a type when the client holds everything: a response without resources.
    pub nothing: [Vec<u8>; 4],
}

impl Recording {
    pub fn new(known: &Known, updates: Vec<Vec<u8>>) -> Self {
        let nothing = crate::client::Kind::ALL.map(|kind| {
            let mut body = Vec::new();
            crate::client::proto::put(&mut body, 4, kind.url().as_bytes());
            body
        });
        Self { first: known.bodies.clone(), updates, nothing }
    }

    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut out = Vec::new();
        for list in self.lists() {
            put_number(&mut out, list.len());
            for body in list {
                put_number(&mut out, body.len());
                out.extend_from_slice(body);
            }
        }
        fs::write(path, out)
    }

    pub fn read(path: &Path) -> io::Result<Self> {
        let bytes = fs::read(path)?;
        let mut rest = bytes.as_slice();
        let mut list = || -> Option<Vec<Vec<u8>>> {
            let count = take_number(&mut rest)?;
            (0..count)
                .map(|_| {
                    let length = take_number(&mut rest)?;
                    let (body, behind) = rest.split_at_checked(length)?;
                    rest = behind;
                    Some(body.to_vec())
                })
                .collect()
        };
        let mut all = || {
            let first = [list()?, list()?, list()?, list()?];
            let (updates, nothing) = (list()?, list()?.try_into().ok()?);
            Some(Self { first, updates, nothing })
        };
        all().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "this file is no recording"))
    }

    fn lists(&self) -> impl Iterator<Item = &[Vec<u8>]> {
        let Self { first, updates, nothing } = self;
        first.iter().map(Vec::as_slice).chain([updates.as_slice(), nothing.as_slice()])
    }
}

fn put_number(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&(number as u64).to_le_bytes());
}

fn take_number(rest: &mut &[u8]) -> Option<usize> {
    let (number, behind) = rest.split_first_chunk::<8>()?;
    *rest = behind;
    usize::try_from(u64::from_le_bytes(*number)).ok()
}
