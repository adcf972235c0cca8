//! The page on which a person plays the customer.

use crate::simulator::books::PaymentRecord;

/// The checkout of a payment. The reference's characters are those that need no escape.
pub(super) fn checkout(payment: &PaymentRecord) -> String {
    let PaymentRecord {
        reference,
        currency,
        status,
        ..
    } = payment;
    let amount = currency.format_minor(payment.requested_amount);
    let buttons = match payment.paid_at {
        Some(_) => String::new(),
        None => ["pay", "fail", "abandon"]
            .map(|act| {
                format!(
                    "<form method=\"post\" action=\"/simulator/checkout/{reference}/{act}\">\
                     <button>{act}</button></form>"
                )
            })
            .concat(),
    };
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Checkout {reference}</title>\
         <style>body{{font:16px system-ui;max-width:24rem;margin:4rem auto}}form{{display:inline}}\
         button{{font:inherit;padding:.5rem 1rem;margin-right:.5rem}}</style>\
         <h1>{currency} {amount}</h1><p>Payment <code>{reference}</code> is {status}.</p>{buttons}\
         <p><small>A simulator: no money moves.</small></p></html>"
    )
}
