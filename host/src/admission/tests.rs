use super::table::BUCKETS_MAX;
use super::*;
use crate::clock::Timestamp;

fn clock() -> Clock {
    Clock::manual(Timestamp(1_000_000))
}

fn limit(name: &str, tools: &[&str], rate: &str, per: Per) -> Limit {
    let tools: Vec<String> = tools.iter().map(|tool| (*tool).to_owned()).collect();
    Limit::parse(name, &tools, None, rate, per, None).unwrap()
}

fn agent(id: &str) -> Principal {
    Principal::for_test(id, &[])
}

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

fn call(admission: &Admission, id: &str, tool: &str) -> Result<Admitted, RateLimited> {
    admission.principal(&agent(id), Some(tool), Route::Mcp, ip("192.0.2.1"))
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// How many calls pass at once.
fn passing(mut call: impl FnMut() -> bool) -> usize {
    (0..20_000).take_while(|_| call()).count()
}

#[test]
fn rates_as_text() {
    for (text, count, seconds) in
        [("10/min", 10, 60), ("100/s", 100, 1), (" 5 / h ", 5, 3600), ("1000/d", 1000, 86_400)]
    {
        let rate: Rate = text.parse().unwrap();
        assert_eq!((rate.count(), rate.per()), (count, Duration::from_secs(seconds)));
        assert_eq!(rate.to_string(), text.replace(' ', ""));
    }
    for bad in ["", "10", "/min", "10/", "-1/s", "+1/s", "1.5/s", "ten/s", "10 per min", "1e3/s"] {
        let error = bad.parse::<Rate>().unwrap_err();
        assert!(matches!(error, BadRate::Form(_) | BadRate::Span { .. }), "{bad}: {error}");
    }
    assert!(matches!("10/minute".parse::<Rate>(), Err(BadRate::Span { span, .. }) if span == "minute"));
    for bad in ["0/s", "1000000001/s", "99999999999999999999/s"] {
        assert!(matches!(bad.parse::<Rate>(), Err(BadRate::Count(_))), "{bad}");
    }
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    let parse = |tools: &[&str], route, rate, per, quarantined| {
        let tools: Vec<String> = tools.iter().map(|tool| (*tool).to_owned()).collect();
        Limit::parse("deals", &tools, route, rate, per, quarantined).unwrap_err()
    };
    assert!(
        matches!(parse(&["["], None, "1/s", Per::Agent, None), LimitError::Pattern { pattern, .. } if pattern == "[")
    );
    assert!(matches!(parse(&[], None, "1/y", Per::Agent, None), LimitError::Rate { .. }));
    assert!(matches!(parse(&[], None, "1/s", Per::Agent, Some("x")), LimitError::Rate { .. }));
    assert!(matches!(parse(&[], Some(Route::Claim), "1/s", Per::Agent, None), LimitError::Claim { .. }));
    assert!(matches!(parse(&["a"], Some(Route::Claim), "1/s", Per::Address, None), LimitError::Claim { .. }));
    assert!(matches!(parse(&[], None, "1/s", Per::Address, Some("1/s")), LimitError::Quarantined { .. }));
}

#[test]
fn the_burst_is_the_rates_number_and_tokens_come_back_one_by_one() {
    let clock = clock();
    let admission =
        Admission::new(vec![limit("deals.create", &["market__create_*"], "10/min", Per::Agent)], clock.clone());
    assert_eq!(passing(|| call(&admission, "a", "market__create_deal").is_ok()), 10);
    let refused = call(&admission, "a", "market__create_deal").unwrap_err();
    assert_eq!(refused, RateLimited { limit: "deals.create".into(), per: Per::Agent, retry_after: ms(6_000) });
    assert!(call(&admission, "b", "market__create_deal").is_ok(), "another agent has its own");
    assert!(call(&admission, "a", "market__list").is_ok(), "another tool is not counted");
    assert!(admission.principal(&agent("a"), None, Route::Mcp, None).is_ok(), "nor is a request that is no call");

    clock.advance(ms(5_999));
    assert_eq!(call(&admission, "a", "market__create_deal").unwrap_err().retry_after, ms(1));
    clock.advance(ms(1));
    assert_eq!(passing(|| call(&admission, "a", "market__create_deal").is_ok()), 1);
    clock.advance(Duration::from_secs(3600));
    assert_eq!(passing(|| call(&admission, "a", "market__create_deal").is_ok()), 10, "never more than full");
}

#[test]
fn what_the_agent_is_told() {
    let clock = clock();
    let admission = Admission::new(vec![limit("deals", &[], "7/min", Per::Agent)], clock);
    assert_eq!(passing(|| call(&admission, "a", "t").is_ok()), 7);
    let refusal = Refusal::from(call(&admission, "a", "t").unwrap_err());
    assert_eq!(refusal.code, Code::RateLimited);
    assert_eq!(
        refusal.message,
        "The call was not made: the limit `deals` is used up for this agent. Wait 8.572 s, then make the same call again."
    );
    assert_eq!(refusal.retry_after, Some(ms(8_572)));
    assert_eq!(refusal.retry_after_s(), Some(9));
    assert_eq!(refusal.details, Some(json!({"limit": "deals"})));
}

#[test]
fn a_call_passes_after_the_wait_and_not_before() {
    let mut seed = 42_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for rate in ["1/s", "3/s", "999/s", "7/min", "10/min", "6000/min", "11/h", "1/d", "13/d"] {
        let (clock, parsed) = (clock(), rate.parse::<Rate>().unwrap());
        let admission = Admission::new(vec![limit("l", &[], rate, Per::Agent)], clock.clone());
        let (mut passed, mut elapsed) = (0_u128, 0_u128);
        for _ in 0..500 {
            match call(&admission, "a", "t") {
                Ok(_) => passed += 1,
                Err(refused) => {
                    let wait = refused.retry_after;
                    assert!(wait >= ms(1));
                    clock.advance(wait - ms(1));
                    let still = call(&admission, "a", "t").map(|_| ()).map_err(|refused| refused.retry_after);
                    assert_eq!(still, Err(ms(1)), "{rate}: not before");
                    clock.advance(ms(1));
                    elapsed += wait.as_millis();
                    assert!(call(&admission, "a", "t").is_ok(), "{rate}: after it");
                    passed += 1;
                }
            }
            let pause = random(3) * random(parsed.per().as_secs() * 1000 / u64::from(parsed.count()) + 2);
            clock.advance(ms(pause));
            elapsed += u128::from(pause);
            let most = u128::from(parsed.count()) + elapsed * u128::from(parsed.count()) / parsed.per().as_millis();
            assert!(passed <= most, "{rate}: {passed} of {most} in {elapsed} ms");
        }
    }
}

#[test]
fn a_bucket_is_exact_to_the_nanosecond() {
    let nanos = Duration::from_nanos;
    let mut bucket = bucket::Bucket::full("3/s".parse().unwrap(), nanos(7));
    for _ in 0..3 {
        assert_eq!(bucket.wait(nanos(7)), None);
        bucket.take(nanos(7));
    }
    assert_eq!(bucket.wait(nanos(7)), Some(nanos(333_333_334)));
    assert_eq!(bucket.wait(nanos(7 + 333_333_333)), Some(nanos(1)));
    assert_eq!(bucket.wait(nanos(7 + 333_333_334)), None);
    assert_eq!(bucket.until_full(nanos(7)), Some(nanos(1_000_000_000)));
    assert_eq!(bucket.wait(nanos(0)), Some(nanos(333_333_334)), "time does not go back");
}

#[test]
fn a_token_from_each_bucket_or_from_none() {
    let clock = clock();
    let limits = vec![
        limit("all", &[], "5/min", Per::Agent),
        limit("writes", &["*create*", "*pay*"], "2/h", Per::Agent),
        limit("pay", &["pay"], "3/min", Per::Address),
    ];
    let admission = Admission::new(limits, clock.clone());
    assert_eq!(passing(|| call(&admission, "a", "pay").is_ok()), 2);
    for _ in 0..50 {
        let refused = call(&admission, "a", "pay").unwrap_err();
        assert_eq!((refused.limit.as_str(), refused.retry_after), ("writes", ms(1_800_000)));
    }
    // The refused calls took nothing from the others.
    assert_eq!(passing(|| call(&admission, "b", "pay").is_ok()), 1);
    assert_eq!(call(&admission, "b", "pay").unwrap_err().limit, "pay");
    assert_eq!(passing(|| call(&admission, "a", "list").is_ok()), 3);
    // Of several empty buckets, the one that takes longest is named: after its wait the call passes.
    assert_eq!(call(&admission, "a", "pay").unwrap_err().limit, "writes");
    clock.advance(ms(1_800_000));
    assert!(call(&admission, "a", "pay").is_ok());
}

#[test]
fn addresses_are_counted_before_it_is_known_who_calls() {
    let clock = clock();
    let claim = Limit::parse("claims", &[], Some(Route::Claim), "1/h", Per::Address, None).unwrap();
    let limits = vec![limit("flood", &[], "4/min", Per::Address), limit("pay", &["pay"], "9/min", Per::Address), claim];
    let admission = Admission::new(limits, clock);
    let from = |address: Option<IpAddr>| admission.address(address, Route::Mcp).is_ok();
    assert_eq!(passing(|| from(ip("192.0.2.1"))), 4);
    assert_eq!(admission.address(ip("192.0.2.1"), Route::Mcp).unwrap_err().limit, "flood");
    assert_eq!(passing(|| from(ip("::ffff:192.0.2.1"))), 0, "the same address");
    assert_eq!(passing(|| from(ip("192.0.2.2"))), 4);
    assert_eq!(passing(|| from(ip("2001:db8:0:1::1"))), 4);
    assert_eq!(passing(|| from(ip("2001:db8:0:1:ffff::2"))), 0, "the same /64");
    assert_eq!(passing(|| from(ip("2001:db8:0:2::1"))), 4);
    assert_eq!(passing(|| from(None)), 4, "those without an address share one");
    assert_eq!(passing(|| call(&admission, "a", "pay").is_ok()), 9, "counted by address once the tool is known");
    assert_eq!(passing(|| admission.address(ip("192.0.2.9"), Route::Claim).is_ok()), 1);
    assert_eq!(passing(|| from(ip("192.0.2.9"))), 3);
}

#[test]
fn routes_are_counted_apart() {
    let rest = Limit::parse("rest", &[], Some(Route::Rest), "2/min", Per::Agent, None).unwrap();
    let admission = Admission::new(vec![rest], clock());
    let by = |route| admission.principal(&agent("a"), Some("t"), route, None).is_ok();
    assert_eq!(passing(|| by(Route::Rest)), 2);
    assert_eq!(passing(|| by(Route::Mcp)), 5_998, "only the default counts it, which both took from");
}

#[test]
fn quarantine_has_its_own_stricter_bucket() {
    let strict = Limit::parse("deals", &[], None, "10/min", Per::Agent, Some("2/h")).unwrap();
    let admission = Admission::new(vec![strict], clock());
    let mut held = agent("a");
    held.quarantined = true;
    let by = |who: &Principal| admission.principal(who, Some("t"), Route::Mcp, None).is_ok();
    assert_eq!(passing(|| by(&held)), 2);
    assert_eq!(passing(|| by(&agent("a"))), 10, "released: its old bucket");
    assert!(!by(&held));
}

#[test]
fn the_defaults() {
    let admission = Admission::new(Vec::new(), clock());
    assert_eq!(passing(|| call(&admission, "a", "t").is_ok()), 6_000);
    assert_eq!(passing(|| admission.address(ip("192.0.2.1"), Route::Mcp).is_ok()), 12_000);
    let mut held = agent("b");
    held.quarantined = true;
    assert_eq!(passing(|| admission.principal(&held, None, Route::Mcp, None).is_ok()), 60);
}

#[test]
fn a_limit_on_some_requests_leaves_the_defaults() {
    let mut held = agent("b");
    held.quarantined = true;
    let by = |admission: &Admission, who: &Principal| {
        passing(|| admission.principal(who, Some("t"), Route::Mcp, None).is_ok())
    };
    let rest = Limit::parse("rest", &[], Some(Route::Rest), "1/d", Per::Agent, None).unwrap();
    let from_rest = Limit::parse("rest", &[], Some(Route::Rest), "1/d", Per::Address, None).unwrap();
    let admission = Admission::new(vec![limit("pay", &["pay"], "1/d", Per::Agent), rest, from_rest], clock());
    assert_eq!((by(&admission, &agent("a")), by(&admission, &held)), (6_000, 60));
    assert_eq!(passing(|| admission.address(ip("192.0.2.1"), Route::Mcp).is_ok()), 12_000);

    // One on every request takes the default's place, but for quarantine.
    for (rate, free, quarantined) in [("7000/min", 7_000, 60), ("50/min", 50, 50), ("61/h", 61, 61), ("61/s", 61, 60)] {
        let admission = Admission::new(vec![limit("all", &[], rate, Per::Agent)], clock());
        assert_eq!((by(&admission, &agent("a")), by(&admission, &held)), (free, quarantined), "{rate}");
        assert_eq!(passing(|| admission.address(None, Route::Mcp).is_ok()), 12_000);
    }
    let admission = Admission::new(vec![limit("flood", &[], "15000/min", Per::Address)], clock());
    assert_eq!(passing(|| admission.address(None, Route::Mcp).is_ok()), 15_000);
    assert_eq!((by(&admission, &agent("a")), by(&admission, &held)), (6_000, 60));
}

#[test]
fn parallel_calls_get_exactly_the_burst() {
    let admission = Admission::new(vec![limit("l", &[], "1000/min", Per::Agent)], clock());
    let passed: usize = std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..8).map(|_| scope.spawn(|| (0..500).filter(|_| call(&admission, "a", "t").is_ok()).count())).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(passed, 1000);
}

#[test]
fn memory_is_bounded_and_a_drained_bucket_is_never_forgotten() {
    let clock = clock();
    let admission = Admission::new(vec![limit("l", &[], "2/h", Per::Agent)], clock.clone());
    let by = |n: usize| admission.principal(&agent(&format!("ag_{n}")), Some("t"), Route::Mcp, None).map(|_| ());
    assert_eq!(passing(|| by(0).is_ok()), 2);
    clock.advance(ms(1_000));
    for n in 1..BUCKETS_MAX {
        by(n).unwrap();
    }
    let held = || admission.tables.lock().unwrap()[0].len();
    assert_eq!(held(), (BUCKETS_MAX, BUCKETS_MAX));
    // No bucket is full: the newcomer waits for the first that will be, and nobody's bucket is given up for it.
    assert_eq!(by(BUCKETS_MAX).unwrap_err().retry_after, ms(1_799_000));
    assert_eq!(by(0).unwrap_err().retry_after, ms(1_799_000));
    clock.advance(ms(1_799_000));
    assert_eq!(by(BUCKETS_MAX).unwrap_err().retry_after, ms(1_000), "the first one was drained: it is not full yet");
    clock.advance(ms(1_000));
    by(BUCKETS_MAX).unwrap();
    assert_eq!(held(), (BUCKETS_MAX, BUCKETS_MAX));
    // The first one was drained and got one token back; it is still known.
    assert_eq!(passing(|| by(0).is_ok()), 1);
}
