//! A trace as SVG, and as a page.

use std::fmt::Write;

use super::{
    Trace,
    scale::{DEEPEST, place, told},
    trace::{Row, What},
};

const ROW: usize = 26;
const LABELS: usize = 390;
const BARS: usize = 500;
const ENDS: usize = 300;
const MARGIN: usize = 16;

/// What both pictures share. Readable on light and on dark paper, since it brings its own.
pub(super) const STYLE: &str = "\
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#1f2933}\
.dim{fill:#6b7785}.bad{fill:#b42318;font-weight:600}.paper{fill:#fff}.grid{stroke:#e4e8ee}\
.call{fill:#3b6fd4}.attempt{fill:#8aa9e6}.handler{fill:#2f9e77}.other{fill:#a3adba}\
.failed{fill:#e5604d}.pause{fill:none;stroke:#a3adba;stroke-dasharray:2 3}";

impl Trace {
    /// The trace as one SVG image.
    pub fn svg(&self) -> String {
        let width = MARGIN * 2 + LABELS + BARS + ENDS;
        let height = MARGIN * 2 + ROW * (self.rows().len() + 1);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\
             <style>{STYLE}</style><rect class=\"paper\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>"
        );
        self.draw_scale(&mut svg, height);
        for (number, row) in self.rows().iter().enumerate() {
            self.draw(&mut svg, row, MARGIN + ROW * (number + 1));
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// The trace as one page of HTML, under `title`.
    pub fn html(&self, title: &str) -> String {
        page(title, &self.svg())
    }

    fn draw_scale(&self, svg: &mut String, height: usize) {
        for quarter in 0..=4u32 {
            let x = MARGIN + LABELS + BARS * quarter as usize / 4;
            let time = told(self.length() * quarter / 4);
            let (top, bottom) = (MARGIN + ROW - 8, height - MARGIN);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{x}\" y1=\"{top}\" x2=\"{x}\" y2=\"{bottom}\"/>\
                 <text class=\"dim\" x=\"{x}\" y=\"{MARGIN}\" dy=\"6\" text-anchor=\"middle\">{time}</text>"
            );
        }
    }

    fn draw(&self, svg: &mut String, row: &Row, top: usize) {
        let at = |time| MARGIN as f64 + LABELS as f64 + place(time, self.length(), BARS as f64);
        let (x, long) = (at(row.begins), (at(row.ends) - at(row.begins)).max(2.0));
        let (left, line, bar) = (MARGIN + indent(row), top + 17, top + 6);
        let length = told(row.ends.saturating_sub(row.begins));
        let (label, status) = (escaped(&row.label), escaped(&row.status));
        let hover = format!("{label}: {length} {status}, after {}", told(row.begins));
        let _ = write!(
            svg,
            "<g><title>{hover}</title><text x=\"{left}\" y=\"{line}\">{}</text>",
            escaped(&cut(row))
        );
        let class = class(row);
        let _ = match row.what {
            What::Event => write!(
                svg,
                "<text class=\"bad\" x=\"{x:.1}\" y=\"{line}\" text-anchor=\"middle\">×</text>"
            ),
            _ => write!(
                svg,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{bar}\" width=\"{long:.1}\" height=\"14\" rx=\"3\"/>"
            ),
        };
        let (end, tone) = (
            MARGIN + LABELS + BARS + 14,
            if row.failed { "bad" } else { "dim" },
        );
        let length = if row.what == What::Event {
            String::new()
        } else {
            format!("{length} ")
        };
        let _ = write!(
            svg,
            "<text class=\"{tone}\" x=\"{end}\" y=\"{line}\">{length}{status}</text></g>"
        );
    }
}

fn indent(row: &Row) -> usize {
    row.depth.min(DEEPEST) * 14
}

/// Letters have one width: so many fit beside the bars.
fn cut(row: &Row) -> String {
    let room = (LABELS - indent(row)) / 8;
    if row.label.chars().count() <= room {
        return row.label.clone();
    }
    let kept: String = row.label.chars().take(room - 1).collect();
    format!("{kept}…")
}

const fn class(row: &Row) -> &'static str {
    match row.what {
        What::Pause => "pause",
        _ if row.failed => "failed",
        What::Call => "call",
        What::Attempt => "attempt",
        What::Handler => "handler",
        What::Other | What::Event => "other",
    }
}

/// A page with one picture, from which nothing is loaded and in which nothing runs.
pub(super) fn page(title: &str, svg: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>body{{margin:24px;background:#eef1f5;font:15px system-ui,sans-serif;color:#1f2933}}svg{{max-width:100%;height:auto}}</style>\
         </head><body><h1 style=\"font-size:18px\">{title}</h1>\n{svg}</body></html>\n"
    )
}

/// Names and statuses may hold anything.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            control if control.is_control() => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}
