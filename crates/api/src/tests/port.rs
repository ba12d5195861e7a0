//! The writer of a test: asked on the spot, at the test's one moment.

use std::future::ready;
use std::pin::Pin;
use std::sync::Mutex;

use sanimon_store::{Shared, Store};
use sanimon_writer::{Answer, Applied, Ask, Author, Command, Entry, Input, Live, Options, Outputs, Writer};

use super::NOW;
use crate::WriterPort;

#[derive(Debug)]
pub(super) struct Port(Mutex<Option<Writer<Live>>>);

impl Port {
    pub(super) fn open(store: Store, options: Options) -> Self {
        Self(Mutex::new(Some(Writer::open(store, options, NOW).expect("a writer"))))
    }

    pub(super) fn shared(&self) -> Shared {
        self.0.lock().expect("a writer").as_ref().expect("a writer").reader().clone()
    }

    pub(super) fn apply(&self, input: Input<()>) -> Outputs<()> {
        let mut place = self.0.lock().expect("a writer");
        match place.take().expect("a writer").apply(NOW, input) {
            Applied::Done { writer, outputs } => {
                *place = Some(writer);
                outputs
            }
            other => panic!("the disk is well: {other:?}"),
        }
    }

    /// What was there before the test began.
    pub(super) fn enter<C: Ask>(&self, command: C) -> C::Answer {
        let entry = Entry::new(NOW, Author::Site("before"), "test.enter");
        let answer = self.apply(Input::Command(entry, command.command())).answer;
        let done = answer.expect("a command is answered").expect("it can be carried out");
        C::answer(done).expect("the answer of this command")
    }
}

impl WriterPort for Port {
    fn ask(&self, entry: Entry, command: Command) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>> {
        let answer = self.apply(Input::Command(entry, command)).answer;
        Box::pin(ready(answer.expect("a command is answered")))
    }
}
