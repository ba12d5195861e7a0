//! What takes more than one module: a town of clients over the whole broker, and packets in any order.

mod bytes;
mod dice;
mod town;
