//! How many of something each address has.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::rate::network;

/// Counts by address; a network of IPv6 is one.
#[derive(Debug, Default)]
pub struct Addresses(HashMap<IpAddr, usize>);

impl Addresses {
    /// Whether an address has less than so many. Those of this machine always have: a proxy or a bridge there speaks for many.
    pub fn has_room(&self, address: IpAddr, max: usize) -> bool {
        address.is_loopback() || self.0.get(&network(address)).copied().unwrap_or(0) < max
    }

    /// One more.
    pub fn enter(&mut self, address: IpAddr) {
        *self.0.entry(network(address)).or_default() += 1;
    }

    /// One less.
    pub fn leave(&mut self, address: IpAddr) {
        let address = network(address);
        if let Some(number) = self.0.get_mut(&address) {
            *number -= 1;
            if *number == 0 {
                self.0.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let mut addresses = Addresses::default();
        let (own, other) = (address("192.0.2.1"), address("192.0.2.2"));
        (0..3).for_each(|_| addresses.enter(own));
        assert!(!addresses.has_room(own, 3) && addresses.has_room(other, 3));
        addresses.leave(own);
        assert!(addresses.has_room(own, 3));
        (0..2).for_each(|_| addresses.leave(own));
        assert!(addresses.0.is_empty(), "who has none is not remembered");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_this_machine_has_no_share() {
        let mut addresses = Addresses::default();
        addresses.enter(address("2001:db8::1"));
        assert!(!addresses.has_room(address("2001:db8::2"), 1));
        assert!(addresses.has_room(address("2001:db8:0:1::1"), 1));
        (0..9).for_each(|_| addresses.enter(address("127.0.0.1")));
        assert!(addresses.has_room(address("127.0.0.1"), 1) && addresses.has_room(address("::1"), 0));
    }
}
