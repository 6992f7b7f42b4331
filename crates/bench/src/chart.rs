//! Just enough SVG for a chart in the documentation: self-contained, legible on light and on dark.

use std::fmt::Write;

/// Where a text is fastened.
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

/// A drawing under way.
#[derive(Debug)]
pub struct Svg {
    width: u32,
    height: u32,
    body: String,
}

/// Grey enough for both backgrounds; the rest follows the reader's.
const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-size:15px;font-weight:600}.faint{fill:#6e7781}\
.strong{font-weight:600}.line{stroke:#8c959f;stroke-width:1}.on{fill:#fff}\
.a{fill:#9cc3e6}.b{fill:#4a90c9}.c{fill:#1f5f99}.good{fill:#2da44e}.fair{fill:#bf8700}.bad{fill:#cf222e}.none{fill:#8c959f}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.faint{fill:#9198a1}.on{fill:#fff}.a{fill:#b6d7f2}.b{fill:#5ba3dc}.c{fill:#2f74b5}}";

impl Svg {
    /// An empty one, in pixels.
    pub const fn new(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            body: String::new(),
        }
    }

    /// A text of the class `class`, its foot at `y`.
    pub fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        self.push(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" class="{class}">{text}</text>"#
        ));
    }

    /// A filled rectangle of the class `class`.
    pub fn bar(&mut self, [x, y, width, height]: [f64; 4], class: &str) {
        self.push(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="2" class="{class}"/>"#
        ));
    }

    /// A line from top to bottom.
    pub fn upright(&mut self, x: f64, top: f64, bottom: f64) {
        self.push(format_args!(
            r#"<line x1="{x:.1}" y1="{top:.1}" x2="{x:.1}" y2="{bottom:.1}" class="line"/>"#
        ));
    }

    /// The whole document; `title` is read out to those who do not see it.
    pub fn finish(self, title: &str) -> String {
        let Self {
            width,
            height,
            body,
        } = self;
        let title = escaped(title);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\">\n<style>{STYLE}</style>\n{body}</svg>\n"
        )
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.body, "{element}").expect("a string can always be written to");
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_special_to_xml_is_escaped() {
        let mut svg = Svg::new(10, 10);
        svg.text(0.0, 1.0, Anchor::Start, "faint", "a < b & c");
        let drawn = svg.finish("say \"hello\"");
        assert!(drawn.contains("a &lt; b &amp; c"), "{drawn}");
        assert!(drawn.contains("say &quot;hello&quot;"), "{drawn}");
    }
}
