use std::time::Duration;

use rust_decimal::Decimal;
use tempfile::TempDir;

use super::*;
use crate::call::CorrelationId;
use crate::clock::Timestamp;
use crate::identity::Principal;
use crate::store::{Options, Store};

const HOUR: Duration = Duration::from_secs(3600);
const NOW: Timestamp = Timestamp(1_772_366_400_000);

fn limit(max: &str, unit: &str, window: Option<Duration>) -> Limit {
    Limit { max: max.into(), unit: unit.into(), window, ask: false, agreed: None }
}

fn charge(id: &str, amount: &str, currency: &str, limits: Vec<Limit>) -> Charge {
    Charge { id: id.into(), account: Account::Agent, amount: amount.into(), currency: currency.into(), limits }
}

fn daily(amount: &str) -> Charge {
    charge("c", amount, "EUR", vec![limit("10.00", "EUR", Some(24 * HOUR))])
}

fn agent() -> Principal {
    Principal::for_test("ag_1", &[])
}

struct Book {
    store: Store,
    _directory: TempDir,
}

impl Book {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        Self { store: Store::open(directory.path(), Options::default()).unwrap(), _directory: directory }
    }

    fn reserve(&self, now: Timestamp, charges: &[Charge]) -> Result<Reservation, ReserveError> {
        let due = due(charges, &agent(), &[]).unwrap();
        let call = CorrelationId::random().unwrap();
        self.store.commit_blocking(move |tx| reserve(tx, now, call, &due))
    }

    fn exceeded(&self, now: Timestamp, charges: &[Charge]) -> Exceeded {
        match self.reserve(now, charges) {
            Err(ReserveError::Exceeded(exceeded)) => *exceeded,
            other => panic!("expected a limit to be passed: {other:?}"),
        }
    }

    fn spent(&self, now: Timestamp) -> String {
        spent(&self.store, now, "agent:ag_1", "EUR", 24 * HOUR).unwrap().to_string()
    }
}

#[test]
fn exactly_the_limit_passes_and_a_cent_more_does_not() {
    let book = Book::new();
    book.reserve(NOW, &[daily("9.99")]).unwrap();
    let exceeded = book.exceeded(NOW, &[daily("0.02")]);
    assert_eq!((exceeded.spent, exceeded.requested), (Decimal::new(999, 2), Decimal::new(2, 2)));
    assert_eq!(exceeded.resets_at, Some(NOW.plus(24 * HOUR)));
    book.reserve(NOW, &[daily("0.01")]).unwrap();
    book.exceeded(NOW, &[daily("0.000000000001")]);
    assert_eq!(book.spent(NOW), "10.00");
}

#[test]
fn a_line_leaves_the_window_to_the_millisecond() {
    let book = Book::new();
    book.reserve(NOW, &[daily("10.00")]).unwrap();
    let a_day_on = NOW.plus(24 * HOUR);
    book.exceeded(a_day_on.minus(Duration::from_millis(1)), &[daily("0.01")]);
    book.reserve(a_day_on, &[daily("10.00")]).unwrap();
}

#[test]
fn a_clock_that_goes_back_frees_nothing() {
    let book = Book::new();
    book.reserve(NOW, &[daily("10.00")]).unwrap();
    book.exceeded(NOW.minus(48 * HOUR), &[daily("0.01")]);
    book.exceeded(Timestamp(0), &[daily("0.01")]);
}

#[test]
fn what_is_held_counts_and_what_is_released_does_not() {
    let book = Book::new();
    let held = book.reserve(NOW, &[daily("6.00")]).unwrap();
    book.exceeded(NOW, &[daily("6.00")]);
    book.store
        .commit_blocking(move |tx| {
            release(tx, &held);
            Ok::<_, crate::store::StoreError>(())
        })
        .unwrap();
    assert_eq!(book.spent(NOW), "0");
    let held = book.reserve(NOW, &[daily("6.00")]).unwrap();
    book.store.commit_blocking(move |tx| settle(tx, &held)).unwrap();
    book.exceeded(NOW, &[daily("6.00")]);
    let row = |window, limit| Row {
        account: "agent:ag_1".into(),
        currency: "EUR".into(),
        window,
        limit,
        spent: Decimal::new(600, 2),
        held: Decimal::ZERO,
    };
    assert_eq!(statement(&book.store, NOW, None, Some(HOUR)).unwrap(), [row(HOUR, None)]);
    let limit = Some(Decimal::new(1000, 2));
    assert_eq!(statement(&book.store, NOW, None, None).unwrap(), [row(24 * HOUR, limit)], "the window that is limited");
    assert_eq!(statement(&book.store, NOW, Some("agent:ag_1"), None).unwrap(), [row(24 * HOUR, limit)]);
    assert_eq!(statement(&book.store, NOW, Some("agent:ag_2"), None).unwrap(), []);
}

#[test]
fn a_refused_call_leaves_nothing_of_its_other_charges() {
    let book = Book::new();
    let small = charge("a", "1.00", "USD", vec![limit("5.00", "USD", Some(HOUR))]);
    book.exceeded(NOW, &[small, daily("10.01")]);
    assert_eq!(statement(&book.store, NOW, None, None).unwrap(), []);
}

#[test]
fn one_id_is_one_charge_and_others_add_up() {
    let twice = due(&[daily("3"), charge("c", "4", "EUR", vec![limit("5", "EUR", None)])], &agent(), &[]).unwrap();
    assert_eq!(twice.len(), 1);
    assert_eq!(twice[0].amounts, [Decimal::from(4)]);
    assert_eq!(twice[0].limits.len(), 2);
    let book = Book::new();
    let other = Charge { id: "d".into(), ..daily("5.01") };
    assert_eq!(book.exceeded(NOW, &[daily("5.00"), other]).requested, Decimal::new(1001, 2));
}

#[test]
fn counts_limit_how_many() {
    let book = Book::new();
    let counted = || charge("c", "1", "EUR", vec![limit("9", "EUR", None), limit("2", "count", Some(HOUR))]);
    book.reserve(NOW, &[counted()]).unwrap();
    book.reserve(NOW, &[counted()]).unwrap();
    let exceeded = book.exceeded(NOW, &[counted()]);
    assert!(exceeded.counts);
    assert_eq!(exceeded.spent, Decimal::from(2));
    let other = charge("c", "1", "USD", vec![limit("9", "USD", None), limit("2", "count", Some(HOUR))]);
    assert_eq!(book.exceeded(NOW, &[other]).spent, Decimal::from(2), "charges in all currencies are counted");
    let things = || charge("t", "3", "count", vec![limit("5", "count", Some(HOUR))]);
    book.reserve(NOW, &[things()]).unwrap();
    book.exceeded(NOW, &[things()]);
}

#[test]
fn what_cannot_be_counted_is_refused() {
    let dues = |charge: Charge| due(&[charge], &agent(), &[]).map(|_| ());
    let eur = || vec![limit("10", "EUR", None)];
    for amount in ["-1", "1e400", "NaN", "", "1,5", " 1"] {
        assert!(matches!(dues(charge("c", amount, "EUR", eur())), Err(DueError::Amount(_))), "{amount}");
    }
    for currency in ["eur", "EURO", "", "XXZ"] {
        assert!(matches!(dues(charge("c", "1", currency, eur())), Err(DueError::Currency(_))), "{currency}");
    }
    assert!(matches!(dues(charge("c", "1", "USD", eur())), Err(DueError::Uncovered { .. })));
    assert!(matches!(dues(charge("c", "1", "EUR", vec![limit("1", "count", None)])), Err(DueError::Uncovered { .. })));
    assert!(matches!(dues(charge("c", "1", "EUR", vec![])), Err(DueError::Uncovered { .. })));
    let year = Duration::from_secs(367 * 24 * 3600);
    assert!(matches!(dues(charge("c", "1", "EUR", vec![limit("1", "EUR", Some(year))])), Err(DueError::Window(_))));
    let payee = |name: &str| Charge { account: Account::Payee(name.into()), ..charge("c", "1", "EUR", eur()) };
    assert_eq!(dues(payee("")), Err(DueError::Account));
    assert_eq!(dues(payee("a\0b")), Err(DueError::Account));
}

#[test]
fn a_ceiling_is_one_limit_more_and_covers_nothing() {
    let ceiling = |account: &str, currency: &str| Ceiling {
        account: account.into(),
        max: Decimal::from(3),
        currency: currency.into(),
        window: None,
    };
    let held =
        due(&[daily("1")], &agent(), &[ceiling("agent", "EUR"), ceiling("owner", "EUR"), ceiling("agent", "USD")]);
    assert_eq!(held.unwrap()[0].limits.len(), 2);
    let uncovered = charge("c", "1", "EUR", vec![]);
    assert!(due(&[uncovered], &agent(), &[ceiling("agent", "EUR")]).is_err());
}

#[test]
fn no_payee_can_stand_for_another_account() {
    let payee = Account::Payee("x".into());
    assert_eq!(account_name(&payee, &agent()).unwrap(), "payee:x");
    let trick = Account::Named("agent:ag_1".into());
    assert_ne!(account_name(&trick, &agent()).unwrap(), account_name(&Account::Agent, &agent()).unwrap());
    assert_eq!(account_name(&Account::Owner, &agent()).unwrap(), "agent:ag_1");
}
