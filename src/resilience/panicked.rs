//! What a panic that was caught says.

use std::any::Any;

/// Its words; `None`: it has none.
#[must_use]
pub fn words(panic: &(dyn Any + Send)) -> Option<&str> {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
}
