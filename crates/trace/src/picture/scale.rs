//! Times on paper.

use std::time::Duration;

/// Rows that stand deeper are moved in no further, so that there is room for their names.
pub(super) const DEEPEST: usize = 20;

/// A time as people read it.
pub(super) fn told(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        0.0 => "0".to_owned(),
        ..1_000.0 => format!("{micros:.0} µs"),
        ..1_000_000.0 => format!("{:.1} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

/// Where on a line of `width`, which stands for `length`, the time `at` is.
pub(super) fn place(at: Duration, length: Duration, width: f64) -> f64 {
    if length.is_zero() {
        return 0.0;
    }
    (at.as_secs_f64() / length.as_secs_f64()).min(1.0) * width
}
