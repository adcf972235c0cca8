//! The books stay balanced, whatever is done to them.
#![expect(clippy::unwrap_used, reason = "tests state what must hold")]

use proptest::prelude::*;
use time::OffsetDateTime;

use super::*;
use crate::psp::{Destination, NewPayment, NewRecipient, NewRefund, NewTransfer, TransferStatus};

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

fn currency(code: &str) -> Currency {
    Currency::from_code(code).unwrap()
}

fn payment(reference: &str, amount: i64, code: &str) -> NewPayment {
    NewPayment {
        reference: reference.to_owned(),
        email: "a@example.com".to_owned(),
        amount,
        currency: currency(code),
        callback_url: None,
        metadata: None,
    }
}

fn transfer(reference: &str, amount: i64, recipient: &str) -> NewTransfer {
    NewTransfer {
        reference: reference.to_owned(),
        amount,
        currency: currency("NGN"),
        recipient: recipient.to_owned(),
        reason: None,
    }
}

fn recipient(books: &mut Books) -> String {
    let new = NewRecipient {
        name: "Ada".to_owned(),
        destination: Destination::Account {
            kind: "nuban".to_owned(),
            account_number: "0000000000".to_owned(),
            bank_code: "058".to_owned(),
        },
        currency: currency("NGN"),
    };
    books.add_recipient(&new, NOW).unwrap().code.clone()
}

/// Books with a paid payment of 10,000.00 naira.
fn paid() -> (Books, String) {
    let mut books = Books::new(Fees::Paystack);
    books
        .initialize(&payment("pay-1", 1_000_000, "NGN"), NOW)
        .unwrap();
    books.pay("pay-1", None, NOW).unwrap();
    let recipient = recipient(&mut books);
    (books, recipient)
}

#[test]
fn a_payment_is_its_fee_and_the_rest() {
    let (books, _) = paid();
    assert_eq!(books.balance(currency("NGN")), 1_000_000 - 25_000);
    let fee = |amount, code| Fees::Paystack.of_payment(amount, currency(code));
    assert_eq!(
        fee(249_999, "NGN"),
        3_750,
        "1.5 %, rounded up, and no 100.00 below 2,500.00"
    );
    assert_eq!(fee(250_000, "NGN"), 3_750 + 10_000);
    assert_eq!(fee(i64::MAX, "NGN"), 200_000);
    assert_eq!(fee(1, "GHS"), 1);
    assert_eq!(Fees::None.of_payment(1_000, currency("NGN")), 0);
}

#[test]
fn a_reference_is_used_once() {
    let (mut books, recipient) = paid();
    let again = books
        .initialize(&payment("pay-1", 5, "NGN"), NOW)
        .unwrap_err();
    assert_eq!(again, No::duplicate_payment());
    books
        .transfer(&transfer("po_1", 1_000, &recipient), NOW)
        .unwrap();
    let again = books
        .transfer(&transfer("po_1", 1_000, &recipient), NOW)
        .unwrap_err();
    assert_eq!(again, No::duplicate_transfer());
    assert_eq!(books.transfers().count(), 1);
}

#[test]
fn a_transfer_that_fails_or_comes_back_leaves_the_balance_as_it_was() {
    let (mut books, recipient) = paid();
    let before = books.balance(currency("NGN"));
    books
        .transfer(&transfer("po_1", 90_000, &recipient), NOW)
        .unwrap();
    assert_eq!(books.balance(currency("NGN")), before - 90_000 - 1_000);
    books.fail_transfer("po_1", NOW).unwrap();
    assert_eq!(books.balance(currency("NGN")), before);
    books
        .transfer(&transfer("po_2", 90_000, &recipient), NOW)
        .unwrap();
    books.succeed_transfer("po_2", NOW).unwrap();
    assert_eq!(books.fail_transfer("po_2", NOW), Err(No::not_under_way()));
    books.reverse_transfer("po_2", NOW).unwrap();
    assert_eq!(books.balance(currency("NGN")), before);
    assert_eq!(
        books.reverse_transfer("po_2", NOW),
        Err(No::not_under_way())
    );
    let kinds: Vec<_> = books.take_happened().iter().map(Happened::kind).collect();
    assert_eq!(
        kinds,
        [
            "charge.success",
            "transfer.failed",
            "transfer.success",
            "transfer.reversed"
        ]
    );
}

#[test]
fn the_same_account_twice_is_one_recipient() {
    let (mut books, first) = paid();
    assert_eq!(recipient(&mut books), first);
}

#[test]
fn no_more_is_given_back_than_was_paid() {
    let (mut books, _) = paid();
    books.top_up(1_000_000, currency("NGN"), NOW).unwrap();
    let refund = |amount| NewRefund {
        payment_reference: "pay-1".to_owned(),
        amount,
        currency: currency("NGN"),
        customer_note: None,
        merchant_note: None,
    };
    let first = books.refund(&refund(600_000), NOW).unwrap().id;
    assert_eq!(
        books.refund(&refund(400_001), NOW).unwrap_err(),
        No::refund_too_large()
    );
    let dispute = books.open_dispute("pay-1", None, NOW).unwrap().id;
    books
        .resolve_dispute(dispute, Resolution::AutoAccepted, NOW)
        .unwrap();
    assert_eq!(
        books.refund(&refund(1), NOW).unwrap_err(),
        No::fully_reversed()
    );
    books.settle_refund(first, false, NOW).unwrap();
    assert_eq!(
        books.refund(&refund(600_001), NOW).unwrap_err(),
        No::refund_too_large()
    );
}

/// What can be done to the books.
#[derive(Debug, Clone)]
enum Act {
    TopUp(i64),
    Initialize(u8, i64, bool),
    Pay(u8, Option<i64>),
    Fail(u8),
    Transfer(u8, i64),
    End(u8, u8),
    Refund(u8, i64),
    SettleRefund(u8, bool),
    Dispute(u8, Option<i64>),
    Resolve(u8, bool),
}

fn amounts() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => 1..2_000_000_i64,
        1 => Just(i64::MAX),
        1 => -5..=0_i64,
    ]
}

fn acts() -> impl Strategy<Value = Act> {
    let one = 0..5_u8;
    prop_oneof![
        amounts().prop_map(Act::TopUp),
        (one.clone(), amounts(), any::<bool>()).prop_map(|(n, a, b)| Act::Initialize(n, a, b)),
        (one.clone(), proptest::option::of(amounts())).prop_map(|(n, a)| Act::Pay(n, a)),
        one.clone().prop_map(Act::Fail),
        (one.clone(), amounts()).prop_map(|(n, a)| Act::Transfer(n, a)),
        (one.clone(), 0..3_u8).prop_map(|(n, how)| Act::End(n, how)),
        (one.clone(), amounts()).prop_map(|(n, a)| Act::Refund(n, a)),
        (one.clone(), any::<bool>()).prop_map(|(n, ok)| Act::SettleRefund(n, ok)),
        (one.clone(), proptest::option::of(amounts())).prop_map(|(n, a)| Act::Dispute(n, a)),
        (one, any::<bool>()).prop_map(|(n, lost)| Act::Resolve(n, lost)),
    ]
}

/// Whether it was refused is not asked: what must hold, holds either way.
fn carry_out(books: &mut Books, recipient: &str, act: &Act) {
    let (pay, po) = (|n: u8| format!("pay-{n}"), |n: u8| format!("po_{n}"));
    let nth = |ids: Vec<u64>, n: u8| ids.get(usize::from(n)).copied().unwrap_or_default();
    let done = match act {
        Act::TopUp(amount) => books.top_up(*amount, currency("NGN"), NOW),
        Act::Initialize(n, amount, naira) => {
            let code = if *naira { "NGN" } else { "GHS" };
            books
                .initialize(&payment(&pay(*n), *amount, code), NOW)
                .map(drop)
        }
        Act::Pay(n, amount) => books.pay(&pay(*n), *amount, NOW),
        Act::Fail(n) => books.fail_payment(&pay(*n)),
        Act::Transfer(n, amount) => books
            .transfer(&transfer(&po(*n), *amount, recipient), NOW)
            .map(drop),
        Act::End(n, 0) => books.succeed_transfer(&po(*n), NOW),
        Act::End(n, 1) => books.fail_transfer(&po(*n), NOW),
        Act::End(n, _) => books.reverse_transfer(&po(*n), NOW),
        Act::Refund(n, amount) => {
            let new = NewRefund {
                payment_reference: pay(*n),
                amount: *amount,
                currency: currency("NGN"),
                customer_note: None,
                merchant_note: None,
            };
            books.refund(&new, NOW).map(drop)
        }
        Act::SettleRefund(n, ok) => {
            let ids = books.refunds().map(|refund| refund.id).collect();
            books.settle_refund(nth(ids, *n), *ok, NOW)
        }
        Act::Dispute(n, amount) => books.open_dispute(&pay(*n), *amount, NOW).map(drop),
        Act::Resolve(n, lost) => {
            let ids = books.disputes().map(|dispute| dispute.id).collect();
            let resolution = match lost {
                true => Resolution::MerchantAccepted,
                false => Resolution::Declined,
            };
            books.resolve_dispute(nth(ids, *n), resolution, NOW)
        }
    };
    drop(done);
}

proptest! {
    #[test]
    fn whatever_is_done_the_books_sum_to_zero_and_the_transit_accounts_are_explained(
        acts in proptest::collection::vec(acts(), 0..120)
    ) {
        let mut books = Books::new(Fees::Paystack);
        let recipient = recipient(&mut books);
        for act in &acts {
            carry_out(&mut books, &recipient, act);
            for code in ["NGN", "GHS"] {
                prop_assert_eq!(books.total(currency(code)), 0, "{:?}", act);
            }
        }
        for entry in books.entries() {
            let sum: i128 = entry.postings.iter().map(|(_, c)| i128::from(*c)).sum();
            prop_assert_eq!(sum, 0);
        }
        let in_transit: i128 = books
            .transfers()
            .filter(|transfer| transfer.status == TransferStatus::Pending)
            .map(|transfer| i128::from(transfer.amount))
            .sum();
        let held = books.balances().get(&(Account::TransfersInTransit, currency("NGN")));
        prop_assert_eq!(i128::from(held.copied().unwrap_or_default()), in_transit);
        let in_transit: i128 = books
            .refunds()
            .filter(|refund| refund.status == crate::psp::RefundStatus::Pending)
            .map(|refund| i128::from(refund.amount))
            .sum();
        let held = books.balances().get(&(Account::RefundsInTransit, currency("NGN")));
        prop_assert_eq!(i128::from(held.copied().unwrap_or_default()), in_transit);
        for payment in books.payments() {
            prop_assert!((0..=payment.amount).contains(&payment.given_back));
        }
    }

    #[test]
    fn the_settlement_export_sums_to_the_balance(
        acts in proptest::collection::vec(acts(), 0..60)
    ) {
        let mut books = Books::new(Fees::Paystack);
        let recipient = recipient(&mut books);
        for act in &acts {
            carry_out(&mut books, &recipient, act);
        }
        let file = crate::simulator::settlement::csv(&books).unwrap();
        let mut sum: i128 = 0;
        for line in csv::Reader::from_reader(file.as_slice()).records() {
            let line = line.unwrap();
            if &line[3] == "NGN" {
                let number = |at: usize| line[at].parse::<i128>().unwrap();
                prop_assert_eq!(number(4) - number(5), number(6));
                sum += number(6);
            }
        }
        prop_assert_eq!(sum, i128::from(books.balance(currency("NGN"))));
    }
}
