//! What sessions ask for: how much of it there may be, and what it weighs.

use sanimon_domain::SessionKey;

use crate::subscriptions::Granted;
use crate::topics::{Asked, Tree};

use super::{Entered, Full, Sessions, lock};

/// Bytes of a filter that count as one more: a long one takes more memory.
pub(super) const WEIGHT_BYTES: usize = 128;

/// For how many subscriptions a filter counts.
pub(super) const fn weight(text: &str) -> usize {
    1 + text.len() / WEIGHT_BYTES
}

impl Sessions {
    /// Whether one more filter may be asked for by this session.
    pub fn has_room(&self, key: &SessionKey, text: &str) -> Result<(), Full> {
        let Some(slot) = self.slots.get(key) else { return Err(Full::OfSession) };
        let is_gateway = lock(&slot.seat).account.is_gateway;
        let max = if is_gateway { self.limits.subscriptions_of_gateway } else { self.limits.subscriptions };
        let own = self.weights.get(&key.owner).copied().unwrap_or(0);
        match () {
            () if slot.subscriptions.contains_key(text) => Ok(()),
            () if slot.subscriptions.len() >= max => Err(Full::OfSession),
            // What bounds a credential does not bound those without a name.
            () if !key.owner.is_empty() && own + weight(text) > self.limits.subscriptions_per_credential => {
                Err(Full::OfOwner)
            }
            () if self.weight + weight(text) > self.limits.subscriptions_total => Err(Full::Total),
            () => Ok(()),
        }
    }

    /// What a session has subscriptions to: for many topics at once.
    pub fn interest(&self, key: &SessionKey) -> Tree<usize, ()> {
        let mut tree = Tree::default();
        let slot = self.slots.get(key);
        for (number, own) in slot.iter().flat_map(|slot| slot.subscriptions.values()).enumerate() {
            tree.insert(own.asked.filter(), number, ());
        }
        tree
    }

    /// Enters a subscription that was granted. True: there was none of this filter.
    pub fn subscribe(&mut self, key: &SessionKey, asked: Asked, granted: Granted) -> bool {
        let Some(slot) = self.slots.get_mut(key) else { return false };
        let is_kept = lock(&slot.seat).session.is_kept();
        self.subscriptions.subscribe(&asked, key.clone(), granted);
        let text = asked.to_string();
        let added = weight(&text);
        let before = slot.subscriptions.insert(text, Entered { asked, is_kept });
        if before.is_none() {
            self.weight += added;
            *self.weights.entry(key.owner.clone()).or_default() += added;
        }
        self.entered += usize::from(before.is_none());
        self.entered_kept += usize::from(is_kept);
        self.entered_kept -= usize::from(before.as_ref().is_some_and(|own| own.is_kept));
        before.is_none()
    }

    /// Takes a subscription out, by its text letter by letter (3.10.4-1). True: there was one.
    pub fn unsubscribe(&mut self, key: &SessionKey, text: &str) -> bool {
        let Some(slot) = self.slots.get_mut(key) else { return false };
        let Some(own) = slot.subscriptions.remove(text) else { return false };
        self.lighten(key, weight(text));
        self.entered -= 1;
        self.entered_kept -= usize::from(own.is_kept);
        self.subscriptions.unsubscribe(&own.asked, key)
    }

    pub(super) fn lighten(&mut self, key: &SessionKey, removed: usize) {
        self.weight -= removed;
        if let Some(own) = self.weights.get_mut(&key.owner) {
            *own -= removed;
            if *own == 0 {
                self.weights.remove(&key.owner);
            }
        }
    }
}
