//! Queries to the engine, over a small data set of every kind: texts as they come, and queries of
//! the random grammar. Each is answered or refused; none panics, none goes on for long after its
//! time is over, and none takes more memory than a query is allowed.
#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use fuzz::queries::{ENGINES, asked, store};
use heapcount::Counting;
use libfuzzer_sys::fuzz_target;
use promql::{Engine, EngineOptions, Features, QueryError, QueryOptions};
use promql_syntax::{ParseOptions, parse};
use storage::memory::MemoryStore;

#[global_allocator]
static HEAP: Counting = Counting::new();

/// The bytes that a query may hold, by engine.
const BYTES_MAX: [u64; ENGINES] = [1 << 20, 4 << 20, 1 << 20, 16 << 20];

/// What is not accounted, whatever the query: threads' stacks of tasks, series of the store, notes.
const SLACK_BYTES: usize = 512 << 10;

const TIMEOUT: Duration = Duration::from_millis(300);

/// What the end of a query may be late. Instrumented code is some twenty times slower than what
/// ships, and the machine does something else, too.
const LATE_MAX: Duration = Duration::from_secs(3);

static STORE: LazyLock<MemoryStore> = LazyLock::new(store);
static ENGINE: LazyLock<[Engine; ENGINES]> = LazyLock::new(|| std::array::from_fn(engine));

fn engine(index: usize) -> Engine {
    let clock = clock::SystemClock::shared();
    let registry = telemetry::Registry::new(clock::SharedClock::clone(&clock));
    let mut options = EngineOptions::new(clock);
    options.threads = 2;
    options.timeout = TIMEOUT;
    options.max_bytes = BYTES_MAX[index];
    options.max_samples = 2_000_000;
    options.features = Features {
        experimental_functions: true,
        extended_range_selectors: true,
        binop_fill_modifiers: true,
        delayed_name_removal: index >= 2,
        per_step_stats: true,
        use_start_timestamps: index % 2 == 1,
        type_and_unit_labels: index == 3,
    };
    Engine::new(options, &registry)
}

fuzz_target!(|input: &[u8]| {
    let Some(asked) = asked(input) else {
        return;
    };
    let (engine, store) = (&ENGINE[asked.engine], &*STORE);
    // A tree is as large as its text makes it; a plan is another one.
    let before = HEAP.reset_peak();
    let tree = parse(&asked.query, &ParseOptions::ALL);
    let tree_bytes = HEAP.peak_bytes().saturating_sub(before);
    drop(tree);
    let options = QueryOptions {
        per_step_stats: input[0] & 0x80 != 0,
        trace: input[0] & 0x40 != 0,
        ..QueryOptions::default()
    };
    let before = HEAP.reset_peak();
    let began = Instant::now();
    let query = &asked.query;
    let answer = match asked.step_ms {
        0 => engine.instant(store, query, asked.start_ms, &options),
        step_ms => {
            let (start_ms, end_ms) = (asked.start_ms, asked.end_ms);
            engine.range(store, query, start_ms, end_ms, step_ms, &options)
        }
    };
    let took = began.elapsed();
    let held = HEAP.peak_bytes().saturating_sub(before);
    if let Err(QueryError::Execution(text)) = &answer {
        assert!(!text.contains("unexpected error"), "{asked:?}: {text}");
    }
    assert!(took < TIMEOUT + LATE_MAX, "{asked:?} took {took:?}");
    let allowed = BYTES_MAX[asked.engine] as usize / 10 * 11 + SLACK_BYTES + 3 * tree_bytes;
    assert!(
        held <= allowed,
        "{asked:?} held {held} bytes of {allowed}: {:?}",
        answer.map(drop)
    );
});
