//! The provider's no, in the documented words:
//! <https://github.com/PaystackOSS/openapi/blob/main/errors/api-errors.json>.

/// A no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct No {
    /// The HTTP status.
    pub status: u16,
    /// Machine-readable.
    pub code: &'static str,
    /// In words.
    pub message: String,
}

macro_rules! nos {
    ($( $name:ident $status:literal $code:literal $message:literal; )+) => {
        impl No {
            $(
                #[doc = $message]
                #[must_use]
                pub fn $name() -> Self {
                    Self { status: $status, code: $code, message: $message.to_owned() }
                }
            )+
        }
    };
}

nos! {
    invalid_key 401 "invalid_Key" "Invalid key";
    duplicate_payment 400 "duplicate_reference" "Duplicate Transaction Reference";
    payment_not_found 400 "transaction_not_found" "Transaction reference not found";
    payment_reference 400 "invalid_params" "Invalid character in transaction reference";
    email 400 "invalid_params" "Invalid Email Address Passed";
    amount 400 "invalid_amount" "Invalid Amount Sent";
    currency 403 "unsupported_currency" "Currency not supported by merchant";
    duplicate_transfer 400 "duplicate_transfer_reference"
        "Please provide a unique reference. Reference already exists on a transfer";
    transfer_not_found 404 "transfer_not_found" "Transfer not found";
    transfer_reference 400 "invalid_params"
        "Your reference contains illegal special characters";
    recipient 400 "invalid_transfer_recipient" "Recipient specified is invalid";
    recipient_account 400 "invalid_params"
        "Either authorization_code or account_number must be passed.";
    low_balance 400 "insufficient_balance" "Your balance is not enough to fulfil this request";
    low_balance_for_refund 400 "insufficient_balance"
        "Insufficient balance to fulfill this refund. Please top up.";
    fully_reversed 400 "transaction_reversed" "Transaction has been fully reversed";
    refund_too_large 400 "invalid_amount"
        "Refund amount cannot be more than the transaction amount";
    not_paid 400 "transaction_not_successful" "Transaction has not been paid";
    already_paid 400 "transaction_already_successful" "Transaction has already been paid";
    not_under_way 400 "invalid_state" "It is not in a state from which this can happen";
    refund_not_found 404 "refund_not_found" "Refund not found";
    dispute_not_found 404 "dispute_not_found" "Dispute not found";
    amount_out_of_range 400 "invalid_amount" "Transaction amount limit exceeded";
}
