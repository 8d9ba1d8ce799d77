//! Components that mean harm: each gets the right code, and the next decision is served.

use super::*;

const POLICIES: &str = r#"
    [[policy]]
    name = "hostile"
    module = "hostile.wasm"
    tools = ["bad__*"]
    [[policy]]
    name = "good"
    module = "good.wasm"
"#;

async fn decides(name: &str) -> (Judged, Judged) {
    let policies =
        open(POLICIES, &[("hostile.wasm", guest(&format!("hostile/{name}.wat"))), ("good.wasm", guest("good.wat"))]);
    assert_eq!(policies.why(), None);
    let bad = judged(&policies, &call_of(tool("bad__tool", &[]), "{}")).await;
    (bad, judged(&policies, &call("{}")).await)
}

macro_rules! deciding {
    ($($test:ident: $file:literal => $code:literal, $private:literal;)*) => {$(
        #[tokio::test]
        async fn $test() {
            let (bad, next) = decides($file).await;
            let refusal = bad.outcome.as_ref().unwrap_err();
            assert_eq!(refusal.code.as_str(), $code, "{refusal:?}");
            assert_eq!(refusal.policy.as_deref(), Some("hostile"));
            let private = refusal.private.as_deref().unwrap_or_default();
            assert!(private.contains($private), "{private}");
            assert_eq!(bad.decisions.len(), 1, "the policies after it are not asked");
            assert_eq!(bad.decisions[0].failure.as_ref().unwrap().code, $code);
            assert_eq!(code(&next), "allowed");
        }
    )*};
}

deciding! {
    a_loop_runs_out_of_fuel: "loop-evaluate" => "policy_limit", "fuel";
    recursion_runs_out_of_stack: "recursion" => "policy_limit", "stack";
    memory_cannot_be_grown_for_ever: "grow-bomb" => "policy_limit", "64 MiB";
    a_table_cannot_be_grown_for_ever: "table-bomb" => "policy_limit", "table";
    filling_memory_costs_fuel: "fill-storm" => "policy_limit", "fuel";
    a_trap_is_a_fault: "trap" => "policy_fault", "unreachable";
    a_junk_discriminant_is_a_fault: "junk-discriminant" => "policy_fault", "discriminant";
    bad_utf8_is_a_fault: "bad-utf8" => "policy_fault", "utf-8";
    a_bad_pointer_is_a_fault: "bad-pointer" => "policy_fault", "";
    a_reason_of_ten_megabytes_is_a_fault: "long-reason" => "policy_fault", "too much data";
    a_reason_that_is_no_sentence_is_a_fault: "long-sentence" => "policy_fault", "5000 bytes";
    a_million_aliases_are_a_fault: "aliased-list" => "policy_fault", "too much data";
}

#[test]
fn what_is_no_policy_does_not_load() {
    let contract = guests("contract.wat");
    let good = component_text("");
    let cases: [(&str, Vec<u8>, &str); 12] = [
        ("garbage", b"#!/bin/sh".to_vec(), "not WebAssembly"),
        ("nothing", Vec::new(), "not WebAssembly"),
        ("a broken component", b"\0asm\x0d\0\x01\0junk".to_vec(), "not a component that this gate can run"),
        ("a core module", assemble("(module)"), "core module"),
        ("an empty component", assemble("(component)"), "does not export `describe`"),
        (
            "a forbidden import",
            assemble(&good.replacen(";; The types", r#"(import "wasi:http/types@0.2.0" (instance)) ;;"#, 1)),
            "`wasi:http/types@0.2.0`",
        ),
        (
            "an import of its own",
            assemble(&good.replacen(";; The types", r#"(import "shell" (func)) ;;"#, 1)),
            "imports `shell`",
        ),
        ("another version", assemble(&good.replace("types@0.1.0", "types@0.2.0")), "`portcullis:policy@0.1.0`"),
        (
            "a wrong type",
            assemble(&good.replace("(param \"settings\" string)", "(param \"settings\" (list u8))")),
            "its `configure` is not that of the contract",
        ),
        (
            "a result policy",
            assemble(&good.replace("(export \"evaluate\") (param \"call\"", "(export \"review\") (param \"call\"")),
            "result policy",
        ),
        (
            "many instances",
            assemble(&format!(
                "(component {contract} (core module $n) {} )",
                "(core instance (instantiate $n))".repeat(2000)
            )),
            "instance",
        ),
        ("too many bytes", vec![0; limits::COMPONENT_BYTES_MAX + 1], "more than"),
    ];
    for (what, bytes, expected) in cases {
        let message = refused(&bytes).to_string();
        assert!(message.contains(expected), "{what}: {message}");
    }
}

#[test]
fn what_cannot_start_does_not_load() {
    for (file, expected) in [
        ("loop-start", "its `start` fails"),
        ("loop-configure", "its `configure` fails"),
        ("huge-memory", "memory"),
        ("huge-table", "table"),
    ] {
        let message = refused(&guest(&format!("hostile/{file}.wat"))).to_string();
        assert!(message.contains(expected), "{file}: {message}");
    }
}

/// As many loopers as there are threads, and one more call that waits behind them: it is decided.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loopers_do_not_stop_the_gate() {
    let policies =
        open(POLICIES, &[("hostile.wasm", guest("hostile/loop-evaluate.wat")), ("good.wasm", guest("good.wat"))]);
    let loopers = engine().threads() * 2;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..loopers {
        let policies = policies.clone();
        running.spawn(async move { code(&judged(&policies, &call_of(tool("bad__tool", &[]), "{}")).await) });
    }
    assert_eq!(code(&judged(&policies, &call("{}")).await), "allowed");
    while let Some(looper) = running.join_next().await {
        assert_eq!(looper.unwrap(), "policy_limit");
    }
}

/// A call that waits is served while others still run: with all threads but one held, nothing has to end first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_free_thread_is_enough() {
    let pool = Arc::new(pool::Pool::start(2, limits::SLOT_WAIT).unwrap());
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (started, starts) = tokio::sync::oneshot::channel();
    let holder = Arc::clone(&pool);
    let looper = tokio::task::JoinSet::from_iter([async move {
        holder
            .run(move || {
                let _ = started.send(());
                held.recv().is_ok()
            })
            .await
    }]);
    starts.await.unwrap();
    assert_eq!(pool.run(|| 7).await, Ok(7));
    release.send(()).unwrap();
    assert_eq!(looper.join_all().await, [Ok(true)]);
}

#[tokio::test]
async fn a_job_that_panics_is_told_and_its_thread_goes_on() {
    let pool = pool::Pool::start(1, limits::SLOT_WAIT).unwrap();
    for _ in 0..3 {
        assert_eq!(pool.run(|| -> u8 { panic!("as the test wants") }).await, Err(pool::PoolError::Panicked));
    }
    assert_eq!(pool.run(|| 7).await, Ok(7));
}

#[tokio::test]
async fn the_wait_for_a_thread_is_bounded() {
    let pool = Arc::new(pool::Pool::start(1, Duration::from_millis(10)).unwrap());
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (started, starts) = tokio::sync::oneshot::channel();
    let holder = Arc::clone(&pool);
    let looper = tokio::task::JoinSet::from_iter([async move {
        holder
            .run(move || {
                let _ = started.send(());
                held.recv().is_ok()
            })
            .await
    }]);
    starts.await.unwrap();
    assert_eq!(pool.run(|| 7).await, Err(pool::PoolError::Overloaded));
    release.send(()).unwrap();
    assert_eq!(looper.join_all().await, [Ok(true)]);
    assert_eq!(pool.run(|| 7).await, Ok(7));
}

/// Who hears of no tools does not come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_asked_is_not_hidden() {
    let policies = open("[[policy]]\nname = \"good\"\nmodule = \"good.wasm\"\n", &[("good.wasm", guest("good.wat"))]);
    let (set, principal) = (policies.set().unwrap(), Arc::clone(&call("{}").principal));
    let mut running = tokio::task::JoinSet::new();
    let mut releases = Vec::new();
    for _ in 0..engine().threads() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (started, starts) = tokio::sync::oneshot::channel();
        let holder = policies.clone();
        running.spawn(async move {
            let hold = move || {
                let _ = started.send(());
                held.recv().is_ok()
            };
            holder.0.pool.run(hold).await
        });
        starts.await.unwrap();
        releases.push(release);
    }
    let refused = policies.visible(&set, &principal, &[tool("market__a", &[])]).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "overloaded");
    drop(releases);
    running.join_all().await;
    assert_eq!(policies.visible(&set, &principal, &[tool("market__a", &[])]).await.unwrap(), [true]);
}

#[tokio::test]
async fn a_failing_visible_hides() {
    for file in ["loop-visible", "junk-visibility"] {
        let policies = open(
            POLICIES,
            &[("hostile.wasm", guest(&format!("hostile/{file}.wat"))), ("good.wasm", guest("good.wat"))],
        );
        let set = policies.set().unwrap();
        let principal = Arc::new(Principal::for_test("ag_1", &[]));
        let seen = policies.visible(&set, &principal, &[tool("market__a", &[]), tool("bad__a", &[])]).await.unwrap();
        assert_eq!(seen, [true, false], "{file}");
    }
}

/// The backstop behind the fuel: with fuel for years, the epoch stops a loop.
#[test]
fn the_epoch_moves() {
    let module = assemble("(module (func (export \"f\") (loop $l (br $l))))");
    let module = wasmtime::Module::new(engine().wasm(), module).unwrap();
    let mut store = wasmtime::Store::new(engine().wasm(), ());
    store.set_fuel(u64::MAX).unwrap();
    store.set_epoch_deadline(2);
    let instance = wasmtime::Instance::new(&mut store, &module, &[]).unwrap();
    let f = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
    let failure = sandbox::failure(f.call(&mut store, ()).unwrap_err());
    assert!(matches!(&failure, PolicyFailure::Limit(why) if why.contains("interrupt")), "{failure}");
}
