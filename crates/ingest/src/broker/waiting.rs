//! Connections whose client has not signed in yet: few, for a short time, and the oldest goes first.
//!
//! Whoever opens connections and says nothing loses them to those who come after: a device signs in within a second
//! and never notices. An address has a share of its own, so that it loses its own first.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

/// Of one address, and of all.
pub(crate) const OF_ADDRESS_MAX: usize = 256;
pub(crate) const OF_ALL_MAX: usize = 2_048;

#[derive(Debug, Default)]
pub struct Waiting(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    next: u64,
    all: BTreeMap<u64, (IpAddr, oneshot::Sender<()>)>,
    of_address: HashMap<IpAddr, BTreeSet<u64>>,
}

/// A place among those who wait; given back when it is dropped.
#[derive(Debug)]
pub struct Place<'a> {
    waiting: &'a Waiting,
    number: u64,
}

impl Waiting {
    /// Takes a place; the receiver says when it is somebody else's. The second answer: how many lost theirs.
    pub fn enter(&self, address: IpAddr) -> (Place<'_>, oneshot::Receiver<()>, usize) {
        let (lost, is_lost) = oneshot::channel();
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut evicted = 0;
        let own_oldest = table
            .of_address
            .get(&address)
            .filter(|own| own.len() >= OF_ADDRESS_MAX)
            .and_then(|own| own.first().copied());
        if let Some(number) = own_oldest {
            table.remove(number);
            evicted += 1;
        }
        if table.all.len() >= OF_ALL_MAX {
            let oldest = table.all.keys().next().copied();
            oldest.into_iter().for_each(|number| table.remove(number));
            evicted += 1;
        }
        let number = table.next;
        table.next += 1;
        table.all.insert(number, (address, lost));
        table.of_address.entry(address).or_default().insert(number);
        (Place { waiting: self, number }, is_lost, evicted)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).all.len()
    }
}

impl Table {
    /// Dropping the sender tells who waits.
    fn remove(&mut self, number: u64) {
        let Some((address, _)) = self.all.remove(&number) else { return };
        if let Some(own) = self.of_address.get_mut(&address) {
            own.remove(&number);
            if own.is_empty() {
                self.of_address.remove(&address);
            }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.0.lock().unwrap_or_else(PoisonError::into_inner).remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_the_loudest_address_goes_first() {
        let waiting = Waiting::default();
        let (loud, calm) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let (_calm, mut calm_lost, _) = waiting.enter(calm);
        let mut places: Vec<_> = (0..OF_ADDRESS_MAX).map(|_| waiting.enter(loud)).collect();
        assert!(places[0].1.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        let (_new, _, evicted) = waiting.enter(loud);
        assert_eq!(evicted, 1);
        assert!(places[0].1.try_recv() == Err(oneshot::error::TryRecvError::Closed));
        assert!(places[1].1.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        assert!(calm_lost.try_recv() == Err(oneshot::error::TryRecvError::Empty));
    }

    #[test]
    fn never_more_than_the_limits_wait_and_places_are_given_back() {
        let waiting = Waiting::default();
        let address = |n: usize| IpAddr::from([10, 0, (n >> 8) as u8, n as u8]);
        let places: Vec<_> = (0..3 * OF_ALL_MAX).map(|n| waiting.enter(address(n))).collect();
        assert_eq!(waiting.len(), OF_ALL_MAX);
        drop(places);
        assert_eq!(waiting.len(), 0);
        assert!(waiting.0.lock().expect("a table").of_address.is_empty());
    }
}
