//! How payments, transfers, refunds and disputes stand, in Paystack's words, and what follows.

/// An enum of a provider's words. One that is not known yet is kept as it came.
macro_rules! words {
    (
        $(#[$meta:meta])*
        $name:ident { $( $(#[$doc:meta])* $variant:ident = $word:literal, )+ }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $( $(#[$doc])* $variant, )+
            /// A word that is new.
            Other(String),
        }

        impl $name {
            /// All that are known.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The status of this word.
            #[must_use]
            pub fn from_word(word: &str) -> Self {
                match word {
                    $( $word => Self::$variant, )+
                    _ => Self::Other(word.to_owned()),
                }
            }

            /// The word.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $word, )+
                    Self::Other(word) => word,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

/// What may be concluded from a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// The money went where it should.
    Done,
    /// It did not, or came back.
    Undone,
    /// Nothing yet: it may still go either way.
    Open,
}

words! {
    /// How a payment stands: <https://paystack.com/docs/payments/verify-payments/>.
    PaymentStatus {
        /// The customer has not finished; it can still be paid.
        Abandoned = "abandoned",
        /// The customer's attempt failed.
        Failed = "failed",
        /// The customer is at it.
        Ongoing = "ongoing",
        /// Under way.
        Pending = "pending",
        /// As pending, for direct debits.
        Processing = "processing",
        /// Waits to be charged later.
        Queued = "queued",
        /// Paid, and given back.
        Reversed = "reversed",
        /// Paid.
        Success = "success",
    }
}

words! {
    /// How a transfer stands: <https://paystack.com/docs/transfers/how-transfers-work/>.
    TransferStatus {
        /// Under way.
        Pending = "pending",
        /// Waits for a one-time password.
        Otp = "otp",
        /// Waits for an approval by the merchant's server.
        Received = "received",
        /// Sent.
        Success = "success",
        /// Could not be sent.
        Failed = "failed",
        /// The money came back.
        Reversed = "reversed",
        /// No one-time password came in time: it won't be sent.
        Abandoned = "abandoned",
        /// The approval failed.
        Blocked = "blocked",
        /// The merchant's server declined it.
        Rejected = "rejected",
    }
}

words! {
    /// How a refund stands: <https://paystack.com/docs/payments/refunds/>.
    RefundStatus {
        /// Waits for the processor.
        Pending = "pending",
        /// The processor has it.
        Processing = "processing",
        /// The customer's account must be told first.
        NeedsAttention = "needs-attention",
        /// Could not be given back; the money returns to the balance.
        Failed = "failed",
        /// Given back.
        Processed = "processed",
    }
}

words! {
    /// How a dispute stands: <https://paystack.com/docs/api/dispute/>.
    DisputeStatus {
        /// The merchant has to answer.
        AwaitingMerchantFeedback = "awaiting-merchant-feedback",
        /// The bank has to answer.
        AwaitingBankFeedback = "awaiting-bank-feedback",
        /// Under way.
        Pending = "pending",
        /// Decided.
        Resolved = "resolved",
    }
}

impl PaymentStatus {
    /// What follows. `failed` and `abandoned` stay open: the customer may try again under the same
    /// reference.
    #[must_use]
    pub const fn conclusion(&self) -> Conclusion {
        match self {
            Self::Success => Conclusion::Done,
            Self::Reversed => Conclusion::Undone,
            _ => Conclusion::Open,
        }
    }
}

impl TransferStatus {
    /// What follows, by the column "Conclusive?" of
    /// <https://paystack.com/docs/transfers/how-transfers-work/>. A word that is not on that page
    /// concludes nothing.
    #[must_use]
    pub const fn conclusion(&self) -> Conclusion {
        match self {
            Self::Success => Conclusion::Done,
            Self::Failed | Self::Reversed | Self::Abandoned | Self::Blocked | Self::Rejected => {
                Conclusion::Undone
            }
            Self::Pending | Self::Otp | Self::Received | Self::Other(_) => Conclusion::Open,
        }
    }
}

impl RefundStatus {
    /// What follows.
    #[must_use]
    pub const fn conclusion(&self) -> Conclusion {
        match self {
            Self::Processed => Conclusion::Done,
            Self::Failed => Conclusion::Undone,
            _ => Conclusion::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back_and_a_new_one_is_kept() {
        for status in TransferStatus::ALL {
            assert_eq!(&TransferStatus::from_word(status.as_str()), status);
        }
        for status in PaymentStatus::ALL {
            assert_eq!(&PaymentStatus::from_word(status.as_str()), status);
        }
        assert_eq!(RefundStatus::from_word("paused").as_str(), "paused");
    }

    #[test]
    fn a_word_that_is_new_concludes_nothing() {
        let new = "teleported";
        let conclusions = [
            PaymentStatus::from_word(new).conclusion(),
            TransferStatus::from_word(new).conclusion(),
            RefundStatus::from_word(new).conclusion(),
        ];
        assert_eq!(conclusions, [Conclusion::Open; 3]);
    }

    #[test]
    fn a_transfer_is_concluded_where_paystack_says_so() {
        for (word, conclusion) in [
            ("pending", Conclusion::Open),
            ("success", Conclusion::Done),
            ("reversed", Conclusion::Undone),
            ("failed", Conclusion::Undone),
            ("otp", Conclusion::Open),
            ("abandoned", Conclusion::Undone),
            ("blocked", Conclusion::Undone),
            ("rejected", Conclusion::Undone),
            ("received", Conclusion::Open),
        ] {
            assert_eq!(
                TransferStatus::from_word(word).conclusion(),
                conclusion,
                "{word}"
            );
        }
    }

    #[test]
    fn a_payment_that_failed_or_was_abandoned_can_still_be_paid() {
        for status in [PaymentStatus::Failed, PaymentStatus::Abandoned] {
            assert_eq!(status.conclusion(), Conclusion::Open);
        }
    }
}
