//! The threads and tasks that a promise depends on: each with its name, its sign of life, and what is wrong with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use sanimon_domain::Heartbeat;

/// So long at least a failure is told, also when the part was started again at once: who looks every second sees it.
const TOLD_AT_LEAST: Duration = Duration::from_secs(3);

/// The parts of a running site.
#[derive(Debug, Default)]
pub struct Parts(RwLock<BTreeMap<String, Arc<Part>>>);

impl Parts {
    /// The part of this name; one that is new is well.
    pub fn part(&self, name: &str) -> Arc<Part> {
        if let Some(part) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return part.clone();
        }
        self.0.write().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default().clone()
    }

    pub fn all(&self) -> BTreeMap<String, Arc<Part>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One thread or task.
#[derive(Debug, Default)]
pub struct Part {
    pub heartbeat: Arc<Heartbeat>,
    fault: Mutex<Option<PartFault>>,
}

#[derive(Debug)]
struct PartFault {
    text: String,
    since: Instant,
    is_over: bool,
}

impl Part {
    /// It ended, or does not come around; the text is one line.
    pub fn fail(&self, text: impl Into<String>) {
        let fault = PartFault { text: text.into(), since: Instant::now(), is_over: false };
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }

    /// It works again.
    pub fn recover(&self) {
        if let Some(fault) = &mut *self.fault.lock().unwrap_or_else(PoisonError::into_inner) {
            fault.is_over = true;
        }
    }

    /// What is wrong with it; a failure that is over is told for a while longer.
    pub fn fault(&self) -> Option<String> {
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if fault.as_ref().is_some_and(|fault| fault.is_over && fault.since.elapsed() >= TOLD_AT_LEAST) {
            *fault = None;
        }
        fault.as_ref().map(|fault| fault.text.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_until_it_is_over_and_was_seen() {
        let parts = Parts::default();
        let part = parts.part("writer");
        assert_eq!(part.fault(), None);
        part.fail("panicked");
        assert_eq!(parts.part("writer").fault().as_deref(), Some("panicked"));
        part.recover();
        assert!(part.fault().is_some(), "who looks every second still sees it");
        let earlier = Instant::now().checked_sub(TOLD_AT_LEAST).expect("the machine runs for longer");
        part.fault.lock().expect("nobody panicked").as_mut().expect("a fault").since = earlier;
        assert_eq!(part.fault(), None);
    }
}
