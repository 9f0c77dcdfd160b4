//! How many connections the system lets the process have.
//!
//! Most systems start a process with room for 1,024 open files, sockets included, and allow it to ask for far more.
//! Asked for once, at the start; some are kept for the files that are watched and read, since a control plane that
//! proxies have filled up must still see an edit.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is kept for files, the admin API and whatever else is opened.
const KEPT: u64 = 256;

/// More than this is not asked for: one process serves no more proxies.
const ENOUGH: u64 = 1_048_576;

/// Asks for as many as are allowed, and says how many connections that leaves room for.
pub fn connections_allowed() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(ENOUGH).min(ENOUGH);
    let allowed = match current {
        Some(current) if current < wanted => {
            let asked = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
            if asked.is_ok() { wanted } else { current }
        }
        current => current.unwrap_or(ENOUGH),
    };
    // A system that allows fewer than are kept gets a server of few proxies, rather than none.
    usize::try_from(allowed.saturating_sub(KEPT).max(allowed / 2)).unwrap_or(usize::MAX)
}
