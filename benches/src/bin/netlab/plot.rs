//! A plot of rates over numbers of receivers, as SVG.
//!
//! It has a white ground of its own, so that it reads the same on a dark page. Lines are
//! named at their ends, not in a legend.

mod axis;

use std::fmt::Write;

use axis::{Scale, doublings};

use crate::summary::Spread;

/// Size of the picture, and of the part in the middle where the lines are, in pixels.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 460.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = WIDTH - 140.0;
const TOP: f64 = 70.0;
const BOTTOM: f64 = HEIGHT - 58.0;

/// How far the first and the last number of receivers are from the edges.
const INSET: f64 = 24.0;

/// Height of a line's name.
const NAME_HEIGHT: f64 = 17.0;

/// What the tools look like: colour, width, and dashes. The colours differ in lightness,
/// too, and are dark enough on white.
const STYLES: [(&str, &str, f64, &str); 6] = [
    ("mimeo", "#0b57b0", 3.5, ""),
    ("base", "#5f95cf", 2.5, "2 4"),
    ("limit", "#6b6b6b", 2.0, "7 5"),
    ("udpcast", "#c2410c", 2.5, ""),
    ("zstd-udpcast", "#a16207", 2.5, ""),
    ("uftp", "#15803d", 2.5, ""),
];

/// For a tool without a style.
const OTHER: (&str, f64, &str) = ("#000000", 2.0, "");

/// A tool's line.
#[derive(Debug)]
pub(crate) struct Series<'a> {
    pub(crate) name: &'a str,
    /// Numbers of receivers, with rates in Gbit/s.
    pub(crate) points: Vec<(u16, Spread)>,
}

/// Draws the lines; each point is a median with a bar from the smallest to the largest value.
pub(crate) fn svg(subtitle: &str, series: &[Series<'_>]) -> String {
    let points = || series.iter().flat_map(|series| &series.points);
    let mut counts: Vec<_> = points().map(|(count, _)| *count).collect();
    counts.sort_unstable();
    counts.dedup();
    let rates = points().flat_map(|(_, spread)| [spread.min, spread.max]);
    let plot = Plot {
        x: doublings(&counts, LEFT + INSET, RIGHT - INSET),
        y: Scale::over(rates, BOTTOM, TOP),
    };
    let mut text = head(subtitle);
    plot.axes(&mut text, &counts);
    for series in series {
        plot.line(&mut text, series);
    }
    plot.names(&mut text, series);
    text + "</svg>\n"
}

/// Ground and titles.
fn head(subtitle: &str) -> String {
    let subtitle = escape(subtitle);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" font-family="system-ui, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="13" fill="#222222">
<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>
<text x="{LEFT}" y="28" font-size="17" font-weight="600">Image rate at every receiver</text>
<text x="{LEFT}" y="48" fill="#555555">{subtitle}</text>
"##
    )
}

struct Plot {
    x: Scale,
    y: Scale,
}

/// How a tool is drawn.
fn style(name: &str) -> (&'static str, f64, &'static str) {
    let style = STYLES.iter().find(|(tool, ..)| *tool == name);
    style.map_or(OTHER, |(_, colour, width, dashes)| (colour, *width, dashes))
}

// Writing to a string does not fail.
impl Plot {
    fn axes(&self, text: &mut String, counts: &[u16]) {
        for tick in self.y.ticks() {
            let y = self.y.at(tick);
            let _ = writeln!(
                text,
                r##"<line x1="{LEFT}" y1="{y:.1}" x2="{RIGHT}" y2="{y:.1}" stroke="#dddddd"/>
<text x="{:.1}" y="{:.1}" text-anchor="end">{tick}</text>"##,
                LEFT - 8.0,
                y + 4.5
            );
        }
        for &count in counts {
            let x = self.x.at(f64::from(count));
            let _ = writeln!(
                text,
                r##"<line x1="{x:.1}" y1="{BOTTOM}" x2="{x:.1}" y2="{:.1}" stroke="#222222"/>
<text x="{x:.1}" y="{:.1}" text-anchor="middle">{count}</text>"##,
                BOTTOM + 5.0,
                BOTTOM + 20.0
            );
        }
        let (middle, centre) = (f64::midpoint(LEFT, RIGHT), f64::midpoint(TOP, BOTTOM));
        let _ = writeln!(
            text,
            r##"<line x1="{LEFT}" y1="{BOTTOM}" x2="{RIGHT}" y2="{BOTTOM}" stroke="#222222"/>
<text x="{middle:.1}" y="{:.1}" text-anchor="middle">receivers</text>
<text transform="translate(22 {centre:.1}) rotate(-90)" text-anchor="middle">Gbit/s{}</text>"##,
            BOTTOM + 42.0,
            self.y.note()
        );
    }

    fn line(&self, text: &mut String, series: &Series<'_>) {
        let (colour, width, dashes) = style(series.name);
        let place = |count: u16, rate| (self.x.at(f64::from(count)), self.y.at(rate));
        let mut path = String::new();
        for &(count, spread) in &series.points {
            let (x, y) = place(count, spread.median);
            let _ = write!(path, "{x:.1},{y:.1} ");
            let (low, high) = (self.y.at(spread.min), self.y.at(spread.max));
            let _ = writeln!(
                text,
                r#"<line x1="{x:.1}" y1="{low:.1}" x2="{x:.1}" y2="{high:.1}" stroke="{colour}" stroke-opacity="0.5"/>
<circle cx="{x:.1}" cy="{y:.1}" r="{:.1}" fill="{colour}"/>"#,
                width + 0.5
            );
        }
        let _ = writeln!(
            text,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-dasharray="{}" stroke-linejoin="round"/>"#,
            path.trim_end(),
            if dashes.is_empty() { "none" } else { dashes }
        );
    }

    /// Each line's name and last value, right of its end.
    fn names(&self, text: &mut String, series: &[Series<'_>]) {
        let mut ends: Vec<_> = series
            .iter()
            .filter_map(|series| {
                let (count, spread) = series.points.last()?;
                let rate = spread.median;
                Some((
                    series.name,
                    self.x.at(f64::from(*count)),
                    self.y.at(rate),
                    rate,
                ))
            })
            .collect();
        ends.sort_by(|a, b| a.2.total_cmp(&b.2));
        let wanted: Vec<_> = ends.iter().map(|end| end.2).collect();
        for ((name, x, _, rate), y) in ends.iter().zip(spread_out(&wanted)) {
            let (colour, ..) = style(name);
            let _ = writeln!(
                text,
                r#"<text x="{:.1}" y="{:.1}" fill="{colour}" font-weight="600">{} {}</text>"#,
                x + 12.0,
                y + 4.5,
                escape(name),
                short(*rate)
            );
        }
    }
}

/// Heights, given from the top down, that are moved until names do not cover each other
/// and none is below the axis.
fn spread_out(wanted: &[f64]) -> Vec<f64> {
    let mut heights = wanted.to_vec();
    for index in 1..heights.len() {
        heights[index] = heights[index].max(heights[index - 1] + NAME_HEIGHT);
    }
    let mut lowest = BOTTOM;
    for height in heights.iter_mut().rev() {
        *height = height.min(lowest);
        lowest = *height - NAME_HEIGHT;
    }
    heights
}

/// A value with two digits that count.
fn short(value: f64) -> String {
    let digits = if value < 1.0 {
        2
    } else {
        usize::from(value < 10.0)
    };
    format!("{value:.digits$}")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
#[path = "plot/tests.rs"]
mod tests;
