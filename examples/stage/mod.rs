//! What the demos share: programs as child processes, a client that asks until it is answered, and
//! how they talk to their reader.

pub(crate) mod aegisctl;
pub(crate) mod aegisd;
pub(crate) mod environment;
pub(crate) mod http;
pub(crate) mod interrupts;
pub(crate) mod names;
pub(crate) mod numbers;
pub(crate) mod screen;
pub(crate) mod table;
