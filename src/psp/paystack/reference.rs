//! Which characters a reference may have.
//!
//! Payments: letters, digits and `-`, `.`, `=`
//! (<https://paystack.com/docs/api/transaction/#initialize>). Transfers: lower-case letters, digits
//! and `-`, `_` (<https://paystack.com/docs/transfers/single-transfers/>), where a UUID is
//! recommended; a UUID fits both.

/// Bytes of a reference.
const LENGTH_MAX: usize = 100;

/// What is wrong with a payment's reference.
pub(crate) fn payment_reference_problem(reference: &str) -> Option<&'static str> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-.=".contains(&b);
    // In a path, dots alone would be another path.
    if !fits(reference, allowed) || reference.bytes().all(|b| b == b'.') {
        return Some(
            "a payment's reference is 1 to 100 letters, digits, hyphens, dots and equals signs",
        );
    }
    None
}

/// What is wrong with a transfer's reference.
pub(crate) fn transfer_reference_problem(reference: &str) -> Option<&'static str> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
    match fits(reference, allowed) {
        true => None,
        false => Some(
            "a transfer's reference is 1 to 100 lower-case letters, digits, hyphens and underscores",
        ),
    }
}

fn fits(reference: &str, allowed: impl Fn(u8) -> bool) -> bool {
    (1..=LENGTH_MAX).contains(&reference.len()) && reference.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_have_the_documented_characters_only() {
        let uuid = "0195f3c2-7f7e-7c11-9f0e-5a1b2c3d4e5f";
        assert_eq!(payment_reference_problem(uuid), None);
        assert_eq!(transfer_reference_problem(uuid), None);
        assert_eq!(payment_reference_problem("INV.7=a"), None);
        assert_eq!(transfer_reference_problem("po_17"), None);
        for bad in ["", "a/b", "a b", "a_b", "..", "a?b", "ä", &"a".repeat(101)] {
            assert!(payment_reference_problem(bad).is_some(), "{bad}");
        }
        for bad in ["", "A", "a.b", "a=b", "a/b", &"a".repeat(101)] {
            assert!(transfer_reference_problem(bad).is_some(), "{bad}");
        }
    }
}
