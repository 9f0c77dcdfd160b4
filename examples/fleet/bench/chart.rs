//! Charts as SVG, written by hand: small panels side by side, each with its own axis from zero.

use std::fmt;

pub struct Chart {
    pub panels: Vec<Panel>,
}

/// One figure against one axis.
pub struct Panel {
    pub title: String,
    pub axis: &'static str,
    pub lines: Vec<Line>,
}

pub struct Line {
    pub name: &'static str,
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 40.0;
const COLUMNS: usize = 2;
const COLOURS: [&str; 2] = ["#1f6feb", "#9a9a9a"];

impl fmt::Display for Chart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.panels.len().div_ceil(COLUMNS);
        let (width, height) = (WIDTH * COLUMNS as f64, HEIGHT * rows as f64);
        writeln!(
            f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" font-family=\"sans-serif\" font-size=\"11\" fill=\"#444\">"
        )?;
        writeln!(f, "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>")?;
        for (position, panel) in self.panels.iter().enumerate() {
            let (x, y) = (WIDTH * (position % COLUMNS) as f64, HEIGHT * (position / COLUMNS) as f64);
            writeln!(f, "<g transform=\"translate({x},{y})\">\n{panel}</g>")?;
        }
        writeln!(f, "</svg>")
    }
}

impl fmt::Display for Panel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let most_x = points().map(|point| point.0).fold(1.0, f64::max);
        let step = step(points().map(|point| point.1).fold(f64::MIN_POSITIVE, f64::max));
        let steps = (points().map(|point| point.1).fold(0.0, f64::max) / step).ceil().max(1.0);
        let x = |value: f64| LEFT + value / most_x * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - value / (steps * step) * (HEIGHT - TOP - BOTTOM);
        writeln!(f, "<text x=\"{LEFT}\" y=\"18\" font-weight=\"bold\">{}</text>", self.title)?;
        for number in 0..=steps as u32 {
            let value = f64::from(number) * step;
            let (right, at) = (WIDTH - RIGHT, y(value));
            writeln!(f, "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#ddd\"/>")?;
            writeln!(
                f,
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                at + 4.0,
                Short(value)
            )?;
        }
        let mut marks: Vec<f64> = points().map(|point| point.0).collect();
        marks.sort_unstable_by(f64::total_cmp);
        marks.dedup();
        for mark in marks {
            let (at, bottom) = (x(mark), HEIGHT - BOTTOM + 16.0);
            writeln!(f, "<text x=\"{at:.1}\" y=\"{bottom}\" text-anchor=\"middle\">{}</text>", Short(mark))?;
        }
        let (middle, bottom) = (f64::midpoint(LEFT, WIDTH - RIGHT), HEIGHT - 8.0);
        writeln!(f, "<text x=\"{middle}\" y=\"{bottom}\" text-anchor=\"middle\">{}</text>", self.axis)?;
        for (position, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[position % COLOURS.len()];
            let path: Vec<String> =
                line.points.iter().map(|point| format!("{:.1} {:.1}", x(point.0), y(point.1))).collect();
            writeln!(f, "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", path.join("L"))?;
            for point in &line.points {
                writeln!(f, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>", x(point.0), y(point.1))?;
            }
            let (left, at) = (WIDTH - RIGHT - 120.0 + 66.0 * position as f64, 30.0);
            writeln!(f, "<circle cx=\"{left}\" cy=\"{}\" r=\"3\" fill=\"{colour}\"/>", at - 4.0)?;
            writeln!(f, "<text x=\"{}\" y=\"{at}\">{}</text>", left + 7.0, line.name)?;
        }
        Ok(())
    }
}

/// A round distance of lines, so that there are three to six of them.
fn step(most: f64) -> f64 {
    let power = 10f64.powf(most.log10().floor());
    let fits = [0.2, 0.5, 1.0, 2.0].into_iter().map(|part| part * power).find(|step| most / step <= 6.0);
    fits.unwrap_or(power * 2.0)
}

/// A number as short as it can be said.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 1000.0 {
            write!(f, "{}k", self.0 / 1000.0)
        } else {
            write!(f, "{}", (self.0 * 1000.0).round() / 1000.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_an_axis_are_round_and_few() {
        for (most, expected) in [(129.0, 50.0), (13.4, 5.0), (0.61, 0.2), (40.0, 10.0), (9.9, 2.0)] {
            assert!((step(most) - expected).abs() < 1e-9, "{most}: {}", step(most));
        }
    }
}
