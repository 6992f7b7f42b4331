//! Calls a second over those of bare tonic, a bar for each number of calls in flight.

use super::Row;
use crate::{
    chart::{Anchor, Svg},
    peers::Variant,
};

const LEFT: f64 = 148.0;
const TOP: f64 = 64.0;
const BAR: f64 = 11.0;
const GAP: f64 = 10.0;
const FULL: f64 = 460.0;
const SHADES: [&str; 3] = ["a", "b", "c"];

/// The chart of the rows over three servers, with the smallest message that was measured. Of other rows an empty one.
pub fn chart(rows: &[Row]) -> String {
    let payload = rows.iter().map(|row| row.payload).min();
    let shown = |row: &&Row| row.servers == 3 && Some(row.payload) == payload;
    let rows: Vec<_> = rows.iter().filter(shown).collect();
    let in_flight = distinct(rows.iter().map(|row| row.in_flight));
    let variants: Vec<Variant> = distinct(rows.iter().map(|row| row.variant));
    let most = rows.iter().map(|row| row.ratio_to_bare).fold(1.0, f64::max);
    let group = BAR * in_flight.len() as f64 + GAP;
    let bottom = TOP + group * variants.len() as f64;
    let mut svg = Svg::new(700, bottom as u32 + 16);
    let title = "Unary echo over three servers: calls a second, as a multiple of bare tonic's";
    svg.text(12.0, 22.0, Anchor::Start, "title", title);
    legend(&mut svg, &in_flight);
    svg.upright(LEFT + FULL / most, TOP - 6.0, bottom);
    for (place, variant) in variants.iter().enumerate() {
        let top = TOP + group * place as f64;
        let class = if variant.is_ours() { "strong" } else { "" };
        let middle = top + (group - GAP) / 2.0 + 4.0;
        svg.text(LEFT - 8.0, middle, Anchor::End, class, variant.name());
        for row in rows.iter().filter(|row| row.variant == *variant) {
            let place = in_flight.iter().position(|shown| *shown == row.in_flight);
            let place = place.unwrap_or_default();
            let (y, width) = (top + BAR * place as f64, FULL * row.ratio_to_bare / most);
            svg.bar([LEFT, y, width, BAR - 1.0], SHADES[place % SHADES.len()]);
            let ratio = format!("{:.2}", row.ratio_to_bare);
            svg.text(LEFT + width + 5.0, y + 9.5, Anchor::Start, "faint", &ratio);
        }
    }
    svg.finish(title)
}

fn legend(svg: &mut Svg, in_flight: &[usize]) {
    for (place, calls) in in_flight.iter().enumerate() {
        let x = LEFT + 110.0 * place as f64;
        svg.bar([x, 34.0, 11.0, 11.0], SHADES[place % SHADES.len()]);
        svg.text(
            x + 16.0,
            44.0,
            Anchor::Start,
            "faint",
            &format!("{calls} in flight"),
        );
    }
}

fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for value in values {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::row::tests::row;

    #[test]
    fn there_is_a_bar_for_each_row_over_three_servers() {
        let elsewhere = Row {
            servers: 1,
            ..row(Variant::Volo, 16, 5.0)
        };
        let rows = [
            row(Variant::Bare, 16, 1.0),
            row(Variant::Bare, 64, 1.0),
            elsewhere,
        ];
        let chart = chart(&rows);
        // Two in the legend.
        assert_eq!(chart.matches("<rect").count(), 4, "{chart}");
        assert!(!chart.contains("volo"), "{chart}");
    }

    #[test]
    fn without_rows_there_is_no_bar() {
        assert_eq!(chart(&[]).matches("<rect").count(), 0);
    }
}
