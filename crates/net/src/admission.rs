//! Connections whose client has not signed in yet: few, for a short time, and the oldest goes first.
//!
//! Whoever opens connections and says nothing loses them to those who come after: a device signs in within a second
//! and never notices. An address has a share of its own, so that it loses its own first.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::rate::network;

/// How many may wait; past a limit the oldest gives its place to the newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Of one address.
    pub waiting_per_address: usize,
    /// Of all.
    pub waiting: usize,
}

impl Default for AdmissionLimits {
    /// A carrier's address speaks for hundreds of devices, which do not all come in the same second.
    fn default() -> Self {
        Self { waiting_per_address: 256, waiting: 2_048 }
    }
}

/// The places of those who wait.
#[derive(Debug)]
pub struct Admission {
    limits: AdmissionLimits,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    all: BTreeMap<u64, (IpAddr, oneshot::Sender<()>)>,
    of_address: HashMap<IpAddr, BTreeSet<u64>>,
}

/// A place among those who wait; given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    admission: Arc<Admission>,
    number: u64,
    lost: oneshot::Receiver<()>,
}

impl Admission {
    /// Nobody waits yet.
    pub fn new(limits: AdmissionLimits) -> Self {
        Self { limits, table: Mutex::default() }
    }

    /// Takes a place; the second answer says how many lost theirs.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> (Place, usize) {
        let address = network(address);
        let (held, lost) = oneshot::channel();
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let mut evicted = 0;
        let own_oldest = table
            .of_address
            .get(&address)
            .filter(|own| own.len() >= self.limits.waiting_per_address)
            .and_then(|own| own.first().copied());
        if let Some(number) = own_oldest {
            table.remove(number);
            evicted += 1;
        }
        if table.all.len() >= self.limits.waiting {
            let oldest = table.all.keys().next().copied();
            oldest.into_iter().for_each(|number| table.remove(number));
            evicted += 1;
        }
        let number = table.next;
        table.next += 1;
        table.all.insert(number, (address, held));
        table.of_address.entry(address).or_default().insert(number);
        (Place { admission: self.clone(), number, lost }, evicted)
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

impl Place {
    /// Resolves when the place was given to somebody else, however often it is asked.
    pub async fn lost(&mut self) {
        // A receiver that has said its word must not be asked again.
        if !self.lost.is_terminated() {
            let _ = (&mut self.lost).await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.table.lock().unwrap_or_else(PoisonError::into_inner).remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    const LIMITS: AdmissionLimits = AdmissionLimits { waiting_per_address: 3, waiting: 8 };

    fn address(n: u16) -> IpAddr {
        IpAddr::from([10, 0, (n >> 8) as u8, n as u8])
    }

    fn is_lost(place: &mut Place) -> bool {
        let lost = std::pin::pin!(place.lost());
        lost.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn the_oldest_of_the_loudest_address_goes_first() {
        let admission = Arc::new(Admission::new(LIMITS));
        let (mut calm, _) = admission.enter(address(2));
        let mut loud: Vec<Place> = (0..LIMITS.waiting_per_address)
            .map(|_| {
                let (place, evicted) = admission.enter(address(1));
                assert_eq!(evicted, 0);
                place
            })
            .collect();
        assert!(!loud.iter_mut().any(is_lost));
        let (mut newest, evicted) = admission.enter(address(1));
        assert_eq!(evicted, 1);
        assert_eq!(loud.iter_mut().map(is_lost).collect::<Vec<_>>(), [true, false, false]);
        assert!(is_lost(&mut loud[0]), "also when it is asked again");
        assert!(!is_lost(&mut newest) && !is_lost(&mut calm));
    }

    #[test]
    fn never_more_than_the_limits_wait_and_places_are_given_back() {
        let admission = Arc::new(Admission::new(LIMITS));
        let mut places: Vec<(Place, usize)> = (0..20).map(|n| admission.enter(address(n))).collect();
        assert_eq!(admission.table.lock().unwrap().all.len(), LIMITS.waiting);
        assert_eq!(places.iter().map(|(_, evicted)| evicted).sum::<usize>(), 20 - LIMITS.waiting);
        let lost: Vec<bool> = places.iter_mut().map(|(place, _)| is_lost(place)).collect();
        assert!(lost[..12].iter().all(|is_lost| *is_lost) && !lost[12..].iter().any(|is_lost| *is_lost));
        drop(places);
        let table = admission.table.lock().unwrap();
        assert!(table.all.is_empty() && table.of_address.is_empty());
    }

    #[tokio::test]
    async fn who_waits_is_told_when_its_place_goes() {
        let admission = Arc::new(Admission::new(AdmissionLimits { waiting: 1, ..LIMITS }));
        let (mut place, _) = admission.enter(address(1));
        let waiting = tokio::spawn(async move { place.lost().await });
        let (_newcomer, evicted) = admission.enter(address(2));
        assert_eq!(evicted, 1);
        waiting.await.unwrap();
    }
}
