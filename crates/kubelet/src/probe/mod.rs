//! Probes of containers: who is asked, how, how often, and what the answers add up to.

pub mod ask;
pub mod board;
pub mod http;
pub mod port;
pub mod tally;
mod worker;
