//! One after the other, each seeing those before it; failing ones without a trace.

use std::collections::BTreeSet;
use std::sync::mpsc;

use super::*;

/// Keeps the writer busy until the sender is dropped, so that what is submitted meanwhile becomes one group.
fn hold_writer(store: &Store) -> mpsc::Sender<()> {
    let (go, wait) = mpsc::channel::<()>();
    let (started, running) = mpsc::channel();
    let job = Pending::boxed(
        move |_: &mut Tx<'_>| -> Result<(), StoreError> {
            started.send(()).unwrap();
            let _ = wait.recv();
            Ok(())
        },
        drop,
    );
    store.submit(job).unwrap();
    running.recv().unwrap();
    go
}

/// Submits a change without waiting for it.
fn submit<T: Send + 'static>(
    store: &Store,
    change: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
) -> mpsc::Receiver<Result<T, StoreError>> {
    let (reply, answer) = mpsc::channel();
    store.submit(Pending::boxed(change, move |result| reply.send(result).unwrap())).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_sees_those_before_it() {
    let dir = folder();
    let store = open(dir.path());
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let store = store.clone();
            crate::task::spawn("count", async move {
                store
                    .commit(|tx| {
                        let count = tx.get_json::<u64>(&key("count"))?.unwrap_or(0);
                        tx.put_json(key("count"), &(count + 1))?;
                        Ok::<_, StoreError>(count)
                    })
                    .await
                    .unwrap()
            })
        })
        .collect();
    let mut seen = BTreeSet::new();
    for task in tasks {
        assert!(seen.insert(task.await.unwrap()));
    }
    assert_eq!(seen, (0..64).collect());
    assert_eq!(store.get_json::<u64>(&key("count")).unwrap(), Some(64));
}

#[test]
fn a_change_that_fails_leaves_no_trace_in_its_group() {
    let dir = folder();
    let store = open(dir.path());
    let go = hold_writer(&store);
    let good = submit(&store, |tx| {
        tx.put(key("a"), b"good");
        Ok(())
    });
    let failing = submit(&store, |tx| -> Result<(), _> {
        tx.put(key("a"), b"bad");
        tx.put(key("b"), b"bad");
        Err(StoreError::Unreadable("on purpose".to_owned()))
    });
    let panicking = submit(&store, |tx| -> Result<(), _> {
        tx.put(key("c"), b"bad");
        panic!("on purpose")
    });
    let last = submit(&store, |tx| Ok((tx.get(&key("a"))?, tx.get(&key("b"))?, tx.get(&key("c"))?)));
    let before = store.0.state.applied();
    drop(go);
    good.recv().unwrap().unwrap();
    assert!(matches!(failing.recv().unwrap(), Err(StoreError::Unreadable(text)) if text == "on purpose"));
    assert!(matches!(panicking.recv().unwrap(), Err(StoreError::Panicked)));
    assert_eq!(last.recv().unwrap().unwrap(), (Some(b"good".to_vec()), None, None));
    assert_eq!(store.0.state.applied(), before + 1, "they were one group");
    assert_eq!(get(&store, "a").unwrap(), b"good");
    assert_eq!(get(&store, "b"), None);
    put(&store, "after", b"").unwrap();
}

#[test]
fn a_full_queue_is_busy_at_once() {
    let dir = folder();
    let store = Store::open(dir.path(), Options { queue_max: 3, ..Options::default() }).unwrap();
    let go = hold_writer(&store);
    let waiting: Vec<_> = (0..3).map(|_| submit(&store, |_| Ok(()))).collect();
    assert!(matches!(put(&store, "one too many", b""), Err(StoreError::Busy)));
    drop(go);
    for answer in waiting {
        answer.recv().unwrap().unwrap();
    }
    put(&store, "now", b"").unwrap();
}

#[tokio::test]
async fn closing_writes_what_waits() {
    let dir = folder();
    let store = open(dir.path());
    let go = hold_writer(&store);
    let waiting = submit(&store, |tx| {
        tx.put(key("waited"), b"x");
        Ok(())
    });
    let other = store.clone();
    let closing = crate::task::spawn("close", async move { other.close().await });
    while !matches!(store.health(), Err(StoreError::Closed)) {
        tokio::task::yield_now().await;
    }
    assert!(matches!(put(&store, "late", b""), Err(StoreError::Closed)));
    drop(go);
    closing.await.unwrap();
    waiting.recv().unwrap().unwrap();
    let again = open(dir.path());
    assert_eq!(get(&again, "waited").unwrap(), b"x");
    assert_eq!(get(&again, "late"), None);
}

#[test]
fn a_change_may_hold_the_last_handle() {
    let dir = folder();
    let store = open(dir.path());
    let (dropped, was_dropped) = mpsc::channel();
    let go = hold_writer(&store);
    let own = store.clone();
    let answer = submit(&store, move |_| {
        drop(own);
        dropped.send(()).unwrap();
        Ok(())
    });
    let inner = Arc::downgrade(&store.0);
    // Only lets go of this handle; the writer drops the other.
    std::mem::drop(std::thread::scope(|scope| {
        scope.spawn(|| drop(go)).join().unwrap();
        store
    }));
    was_dropped.recv().unwrap();
    answer.recv().unwrap().unwrap();
    assert!(inner.upgrade().is_none());
}
