//! What choosing costs while nodes come and go: `cargo xtask bench churn`.

#![forbid(unsafe_code)]

use std::{
    env, fs,
    future::poll_fn,
    hint::black_box,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Poll,
    thread,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tokio::time::Instant;
use tower_micro::{
    Health, Memory, Node, Outlier, P2c, RegisterOptions, Registry, RegistrySelector, RingHash,
    Selector, Service, ServiceName, Strategy,
    crates::{
        registry::BoxFuture,
        selector::{InFlight, SelectOptions, Selection, TaskGuard},
    },
};
use tower_micro_bench::calls::runtime;

/// The variable that says where the figures go.
const OUT: &str = "TOWER_MICRO_BENCH_OUT";

/// Between two changes: a hundred a second.
const PAUSE: Duration = Duration::from_millis(10);

const HELP: &str = "\
What choosing costs, and what a change costs, while nodes come and go a hundred times a second.

  cargo xtask bench churn [--quick] [--by-key]

  --quick   100 changes at each size instead of 1000
  --by-key  chooses by RingHash, for one key, instead of by P2c
  --help    this

One thread chooses without a pause (select, next, in-flight guard; the two readings of the clock are in the figure);
another follows the registry; `alone` is a change among many, while nobody chooses. `stall` is the longest of all choices, `quiet` the longest of as many without changes:
what the machine does to a thread is in both. `own` is the longest by the clock of the thread, which stands still while another one has the processor, and
`waits` how often the thread gave its processor up by itself: a choice that waits for a lock would. Memory is what the process grew by, registry and selector.
Figures go to churn.json in the folder that TOWER_MICRO_BENCH_OUT names, else in this one.
";

fn main() -> ExitCode {
    match perform() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "churn: {error}");
            ExitCode::FAILURE
        }
    }
}

fn perform() -> Result<(), Box<dyn std::error::Error>> {
    let mut changes = 1_000;
    let mut strategy: Arc<dyn Strategy> = Arc::new(P2c);
    for argument in env::args().skip(1) {
        match argument.as_str() {
            "--quick" => changes = 100,
            "--by-key" => strategy = Arc::new(RingHash),
            "--help" => return Ok(io::stdout().write_all(HELP.as_bytes())?),
            other => return Err(format!("{other:?} is not known: see --help").into()),
        }
    }
    // The greatest first, so that memory that was given back does not serve the others.
    let mut rows: Vec<_> = [10_000, 1_000, 100]
        .map(|nodes| measure(nodes, changes, &strategy))
        .into();
    rows.reverse();
    let mut table = Row::title();
    table.extend(rows.iter().map(Row::line));
    let json = Value::from(rows.iter().map(Row::json).collect::<Vec<_>>());
    let out = env::var_os(OUT).map_or_else(PathBuf::new, PathBuf::from);
    fs::write(out.join("churn.json"), format!("{json:#}\n"))?;
    Ok(io::stdout().write_all(table.as_bytes())?)
}

/// Times, counted by tens of nanoseconds up to ten milliseconds.
struct Times {
    counts: Vec<u64>,
    longest: u64,
}

impl Times {
    const WIDTH: u64 = 10;

    fn new() -> Self {
        // Written once, so that the first use of its pages is not in the figures.
        let mut counts = vec![1; 1_000_000];
        counts.fill(0);
        Self { counts, longest: 0 }
    }

    fn add(&mut self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let place = (nanoseconds / Self::WIDTH).min(self.counts.len() as u64 - 1);
        self.counts[place as usize] += 1;
        self.longest = self.longest.max(nanoseconds);
    }

    /// What this share of them is below.
    fn at(&self, share: f64) -> u64 {
        let all: u64 = self.counts.iter().sum();
        let below = (all as f64 * share) as u64;
        let mut seen = 0;
        let place = self.counts.iter().position(|count| {
            seen += count;
            seen > below
        });
        place.map_or(self.longest, |place| (place as u64 + 1) * Self::WIDTH)
    }
}

/// What choosing took, for as long as something else went on.
struct Choices {
    times: Times,
    /// The longest, by the clock of the thread.
    own: u64,
    /// How often the thread waited.
    waits: Option<u64>,
}

struct Row {
    nodes: usize,
    picks: Choices,
    quiet: Choices,
    updates: Times,
    /// One after the other, while nobody chooses.
    changes_alone: Times,
    bytes: Option<u64>,
}

impl Row {
    fn title() -> String {
        format!(
            "{:>6}  {:>11}  {:>11}  {:>14}  {:>14}  {:>12}  {:>9}  {:>9}  {:>7}  {:>5}  {:>12}\n",
            "nodes",
            "pick p50 ns",
            "pick p99 ns",
            "update p50 µs",
            "update p99 µs",
            "alone p50 µs",
            "stall µs",
            "quiet µs",
            "own µs",
            "waits",
            "bytes a node"
        )
    }

    fn line(&self) -> String {
        let micros = |nanos: u64| nanos as f64 / 1e3;
        format!(
            "{:>6}  {:>11}  {:>11}  {:>14.1}  {:>14.1}  {:>12.1}  {:>9.0}  {:>9.0}  {:>7.0}  {:>5}  {:>12}\n",
            self.nodes,
            self.picks.times.at(0.5),
            self.picks.times.at(0.99),
            micros(self.updates.at(0.5)),
            micros(self.updates.at(0.99)),
            micros(self.changes_alone.at(0.5)),
            micros(self.picks.times.longest),
            micros(self.quiet.times.longest),
            micros(self.picks.own),
            or_dash(self.picks.waits),
            or_dash(self.bytes),
        )
    }

    fn json(&self) -> Value {
        json!({
            "nodes": self.nodes,
            "pick_p50_ns": self.picks.times.at(0.5),
            "pick_p99_ns": self.picks.times.at(0.99),
            "update_p50_ns": self.updates.at(0.5),
            "update_p99_ns": self.updates.at(0.99),
            "change_alone_p50_ns": self.changes_alone.at(0.5),
            "longest_stall_ns": self.picks.times.longest,
            "longest_quiet_ns": self.quiet.times.longest,
            "longest_own_ns": self.picks.own,
            "waits": self.picks.waits,
            "bytes_per_node": self.bytes,
        })
    }
}

fn or_dash(figure: Option<u64>) -> String {
    figure.map_or_else(|| "-".into(), |figure| figure.to_string())
}

fn measure(nodes: usize, changes: usize, strategy: &Arc<dyn Strategy>) -> Row {
    let before = resident();
    let world = World::of(nodes, strategy);
    // Of few nodes the figure would be about pages.
    let bytes = resident().zip(before).filter(|_| nodes >= 10_000);
    let bytes = bytes.map(|(after, before)| after.saturating_sub(before) / nodes as u64);
    let mut changes_alone = Times::new();
    (0..changes).for_each(|number| changes_alone.add(world.change(number)));
    let length = PAUSE * u32::try_from(changes).expect("a thousand at most");
    let ((), quiet) = world.choosing(|| thread::sleep(length));
    let mut updates = Times::new();
    let ((), picks) = world.choosing(|| {
        (0..changes).for_each(|number| {
            thread::sleep(PAUSE);
            updates.add(world.change(number));
        });
    });
    Row {
        nodes,
        picks,
        quiet,
        updates,
        changes_alone,
        bytes,
    }
}

type Watching = Arc<Mutex<Option<BoxFuture<'static, ()>>>>;

struct World {
    registry: Memory,
    selector: RegistrySelector,
    service: ServiceName,
    options: SelectOptions,
    watching: Watching,
    runtime: Arc<tokio::runtime::Runtime>,
    nodes: usize,
}

impl World {
    fn of(nodes: usize, strategy: &Arc<dyn Strategy>) -> Self {
        let (registry, runtime) = (Memory::new(), runtime());
        let all = (0..nodes)
            .map(node)
            .fold(Service::new("greeter", "1"), Service::with_node);
        let registered = registry.register(&all, RegisterOptions::default());
        runtime
            .block_on(registered)
            .expect("addresses are host:port");
        let watching = Watching::default();
        let task = Arc::clone(&watching);
        let spawn = move |future: BoxFuture<'static, ()>| {
            *task.lock().expect("nobody panics") = Some(future);
            Ok(Box::new(()) as TaskGuard)
        };
        let selector = RegistrySelector::new(Arc::new(registry.clone()), spawn);
        let world = Self {
            registry,
            selector: selector.with_health(Health::Outlier(Outlier::default())),
            service: ServiceName::new("greeter").expect("letters only"),
            options: SelectOptions {
                strategy: Some(Arc::clone(strategy)),
                hash_key: Some(7),
                avoid_tried: true,
                ..SelectOptions::default()
            },
            watching,
            runtime,
            nodes,
        };
        let _first = world.selector.select(&world.service, &world.options);
        world.follow();
        world
    }

    /// Lets the task that watches run until it waits, on this thread.
    fn follow(&self) -> Duration {
        let mut watching = self.watching.lock().expect("nobody panics");
        let task = watching.as_mut().expect("the first call began to watch");
        self.runtime.block_on(poll_fn(|cx| {
            let began = Instant::now();
            assert!(task.as_mut().poll(cx).is_pending(), "a watch goes on");
            Poll::Ready(began.elapsed())
        }))
    }

    /// One node comes, or goes. How long it takes until it may be chosen, or not any more.
    fn change(&self, number: usize) -> Duration {
        let one = Service::new("greeter", "1").with_node(node(self.nodes + number / 2));
        let done = if number.is_multiple_of(2) {
            self.runtime
                .block_on(self.registry.register(&one, RegisterOptions::default()))
        } else {
            self.runtime.block_on(self.registry.deregister(&one))
        };
        done.expect("it was there");
        self.follow()
    }

    fn pick(&self) {
        let Selection::Ready(Ok(picker)) = self.selector.select(&self.service, &self.options)
        else {
            unreachable!("the registry has answered before");
        };
        drop(black_box(InFlight::at(
            picker.next().expect("it has nodes"),
        )));
    }

    /// Does `work` while another thread chooses, and says how long each choice took.
    fn choosing<T>(&self, work: impl FnOnce() -> T) -> (T, Choices) {
        let over = AtomicBool::new(false);
        thread::scope(|threads| {
            let choices = threads.spawn(|| self.choices_until(&over));
            let done = work();
            over.store(true, Relaxed);
            (done, choices.join().expect("choosing does not fail"))
        })
    }

    fn choices_until(&self, over: &AtomicBool) -> Choices {
        let (mut times, mut own) = (Times::new(), 0);
        let waits = waits();
        while !over.load(Relaxed) {
            let mine = own_clock();
            let began = Instant::now();
            self.pick();
            let took = began.elapsed();
            own = own.max(own_clock() - mine);
            times.add(took);
        }
        let waits = self::waits().zip(waits);
        Choices {
            times,
            own,
            waits: waits.map(|(after, before)| after - before),
        }
    }
}

fn node(number: usize) -> Node {
    let address = format!(
        "10.{}.{}.{}:8080",
        number >> 16,
        number >> 8 & 255,
        number & 255
    );
    Node::new(format!("greeter-{number}"), address)
}

/// How much memory the process has, where that can be read.
fn resident() -> Option<u64> {
    let kibibytes = told_by("/proc/self/status", "VmRSS:")?;
    Some(kibibytes * 1024)
}

/// How often this thread has given its processor up, where that can be read.
fn waits() -> Option<u64> {
    told_by("/proc/thread-self/status", "voluntary_ctxt_switches:")
}

fn told_by(file: &str, name: &str) -> Option<u64> {
    let status = fs::read_to_string(file).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Nanoseconds that this thread has had a processor.
fn own_clock() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanoseconds) = (time.tv_sec as u64, time.tv_nsec as u64);
    seconds * 1_000_000_000 + nanoseconds
}
