//! Every bound on a policy, in one place, with the reason for its size.
//!
//! A policy that passes one while it is loaded does not load; one that passes one while it decides is refused with
//! `policy_limit`. None of them can be switched off.

use std::time::Duration;

// What a component may be.

/// A component, in bytes. The largest kind that is known to work, an interpreter for Python, has 19 MB.
pub const COMPONENT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A configured snapshot of a component, in bytes: the component and all of its memory.
pub const SNAPSHOT_BYTES_MAX: usize = COMPONENT_BYTES_MAX + MEMORY_BYTES_MAX;

/// Loading one policy: compiling (for the largest kind half a minute on a busy machine), describing, configuring and
/// the snapshot. Compilation can be made slow on purpose, so it has an end.
pub const LOAD: Duration = Duration::from_secs(120);

/// Policies in one set.
pub const POLICIES_MAX: usize = 64;

/// `policies.toml`, in bytes.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;

/// The settings of one policy as JSON, in bytes: the guest has to hold and parse them.
pub const SETTINGS_BYTES_MAX: usize = 512 * 1024;

/// A file of test vectors, in bytes, and its cases: they are run before each reload.
pub const VECTORS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// See [`VECTORS_BYTES_MAX`].
pub const VECTOR_CASES_MAX: usize = 2_000;

/// Cases that are not as expected before the rest of them is left out while a policy is loaded: one would do, some are a
/// help, and a policy that loops would take its time for each.
pub const VECTORS_DIFFER_MAX: usize = 8;

/// A policy's name, in characters.
pub const NAME_CHARS_MAX: usize = 64;

/// Patterns that say which tools a policy is asked about, and the length of each in characters.
pub const TOOL_PATTERNS_MAX: usize = 256;
/// See [`TOOL_PATTERNS_MAX`].
pub const TOOL_PATTERN_CHARS_MAX: usize = 256;

// What one sandbox may use. Fuel is about one unit for each WebAssembly operator and each byte that a bulk operation
// touches, so it is the same on every machine; the deadline is wall time, and only a backstop.

/// Fuel for one `evaluate`: some tenths of a second. A policy in Rust needs some ten thousand, an interpreter some
/// million.
pub const EVALUATE_FUEL: u64 = 100_000_000;

/// Fuel for one `visible`, which is asked for every tool of a list.
pub const VISIBLE_FUEL: u64 = 20_000_000;

/// Fuel for one `describe`, and for starting an instance.
pub const DESCRIBE_FUEL: u64 = 100_000_000;

/// Fuel for one `configure`.
pub const CONFIGURE_FUEL: u64 = 500_000_000;

/// How often the engine's epoch moves on.
pub const EPOCH_TICK: Duration = Duration::from_millis(50);

/// Ticks that one decision may take: a second and a bit.
pub const EVALUATE_TICKS: u64 = 21;

/// Ticks that describing or configuring may take: ten seconds.
pub const CONFIGURE_TICKS: u64 = 200;

/// Memory of one sandbox, in bytes, all its linear memories together. Interpreters need some tens of megabytes; it is
/// also the most that a single bulk operation can touch between two looks at the epoch.
pub const MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Linear memories of one sandbox. Components made by the usual tools have one or two.
pub const MEMORIES_MAX: u32 = 4;

/// Tables of one sandbox.
pub const TABLES_MAX: u32 = 16;

/// Elements of one table. Interpreters have some ten thousand functions.
pub const TABLE_ELEMENTS_MAX: usize = 65_536;

/// Core instances of one sandbox. A component linked from shared libraries has some dozens.
pub const INSTANCES_MAX: u32 = 64;

/// WebAssembly stack, in bytes. Far below a thread's two megabytes, because an overflow inside a host function would
/// end the process.
pub const STACK_BYTES_MAX: usize = 512 * 1024;

/// What one host call may copy out of a guest, in bytes. It stops a guest that returns a million strings which all
/// are the same megabyte. Settings go the other way and are not counted.
pub const HOSTCALL_FUEL: usize = 1024 * 1024;

/// Resource handles of one sandbox. The contract has none; WASI needs a few.
pub const HANDLES_MAX: usize = 256;

/// What WASI's random numbers may be asked for at once, in bytes.
pub const RANDOM_BYTES_MAX: u64 = 64 * 1024;

/// Memory that a used slot keeps resident for the next instance, in bytes, where the kernel can tell which pages were
/// touched (`PAGEMAP_SCAN`, Linux 6.7). Without that, keeping any costs more than it saves.
pub const KEEP_RESIDENT_BYTES: usize = 1024 * 1024;

// What a policy may ask for while it decides. Epochs do not interrupt a host call, so each has its own bound.

/// Work of all imports of one decision: a unit for each call, each byte of a pointer, each member or item that is
/// looked at, each byte that is handed over. A whole document of a megabyte can be read some times.
pub const IMPORT_WORK_MAX: usize = 16 * 1024 * 1024;

/// A JSON pointer that a guest passes, in bytes.
pub const POINTER_BYTES_MAX: usize = 4096;

/// The name of a zone, an account or a currency that a guest passes, in bytes.
pub const NAME_BYTES_MAX: usize = 256;

/// Facts that one decision may ask for: each may cost a look into the store.
pub const FACTS_MAX: usize = 64;

/// Reads that are recorded with a decision; of more only the number is kept.
pub const READS_RECORDED_MAX: usize = 256;

/// A value that is recorded with a decision, in bytes; of a longer one the digest is kept.
pub const READ_VALUE_BYTES_MAX: usize = 1024;

// What a policy may say.

/// A reason or a question, in bytes: sentences, for an agent and a person.
pub const SENTENCE_BYTES_MAX: usize = 4096;

/// Charges of one verdict, and limits of one charge.
pub const CHARGES_MAX: usize = 32;
/// See [`CHARGES_MAX`].
pub const CHARGE_LIMITS_MAX: usize = 32;

/// An amount, in bytes.
pub const AMOUNT_BYTES_MAX: usize = 64;

/// Tags of one verdict, and the length of each in bytes.
pub const TAGS_MAX: usize = 32;
/// See [`TAGS_MAX`].
pub const TAG_BYTES_MAX: usize = 128;

/// Problems that `configure` may list; more are counted.
pub const PROBLEMS_MAX: usize = 64;

/// A name or a version that `describe` says, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 256;

/// A settings schema that `describe` says, in bytes.
pub const SCHEMA_BYTES_MAX: usize = 256 * 1024;

// How the policies of a running gate change.

/// How often the policy directory is looked at, whatever the system's notices say: they miss what happens behind a
/// symbolic link or a mount, and a directory that was replaced.
pub const LOOK: Duration = Duration::from_secs(2);

/// How long the directory has to lie still before it is read: an editor writes in several steps.
pub const REST: Duration = Duration::from_millis(200);

/// A directory that does not come to rest is read after this time.
pub const REST_MAX: Duration = Duration::from_secs(2);

/// How often a directory that changes while it is read is read again at once; then with the next look.
pub const READS_MAX: usize = 4;

/// How long it takes until what failed for a reason outside of the directory, such as a full disk, is tried again.
pub const RETRY_RELOAD: Duration = Duration::from_secs(15);

/// Requests that may wait for the thread that reloads.
pub const RELOADS_WAITING_MAX: usize = 16;

/// Sets before the one in force that are kept for a rollback.
pub const SETS_BEFORE_MAX: u64 = 4;

/// A component is kept in pieces of this many bytes, each a change of its own, so that no call waits for a large one.
pub const PIECE_BYTES: usize = 1024 * 1024;

/// Cells of one matrix.
pub const MATRIX_CELLS_MAX: usize = 50_000;

// Where decisions are made.

/// Threads that decide, besides one for each core: a looping policy holds one of them for some tenths of a second.
pub const THREADS_EXTRA: usize = 4;

/// Decisions that may wait for a thread.
pub const WAITING_MAX: usize = 1024;

/// How long a decision may wait for a thread.
pub const SLOT_WAIT: Duration = Duration::from_secs(2);

/// What a caller is told to wait when there is no thread.
pub const RETRY_OVERLOADED: Duration = Duration::from_secs(1);

/// How long one listing of tools may ask policies; tools that were not reached are hidden.
pub const VISIBLE: Duration = Duration::from_secs(2);

/// Answers to `visible` that are remembered for one policy set.
pub const VISIBLE_CACHED_MAX: usize = 20_000;
