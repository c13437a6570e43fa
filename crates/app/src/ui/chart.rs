//! Small charts: the last minutes at one glance, without a script.

use std::fmt;

use super::history::{POINTS, Totals};
use super::html::Html;

/// Of one point, in the units of the picture.
const STEP: usize = 3;
const HEIGHT: f64 = 28.0;
const PICTURE: &str = r#"<svg class="spark" viewBox="0 0 180 28" width="180" height="28" preserveAspectRatio="none" role="img" aria-label=""#;

/// How many calls there were, and how many of them failed, as bars.
pub(super) fn calls(html: &mut Html, points: &[Totals], said: impl fmt::Display) {
    let most = points.iter().map(|p| p.calls).max().unwrap_or(0).max(1);
    begin(html, said);
    for (class, of) in [("bar", calls_of as fn(&Totals) -> u64), ("bad", failed_of)] {
        html.raw("<path class=\"").raw(class).raw("\" d=\"");
        for (x, point) in places(points) {
            let (n, height) = (of(point), HEIGHT * of(point) as f64 / most as f64);
            if n > 0 {
                let top = HEIGHT - height.max(1.0);
                html.text(format_args!("M{x} {HEIGHT}V{top:.1}h2V{HEIGHT}z"));
            }
        }
        html.raw("\"/>");
    }
    html.raw("</svg>");
}

/// How long calls took, as a line; it is broken where there were none.
pub(super) fn latency(html: &mut Html, points: &[Totals], said: impl fmt::Display) {
    let means = || points.iter().filter_map(Totals::mean);
    let most = means().max().map_or(1.0, |m| m.as_secs_f64()).max(1e-6);
    begin(html, said);
    html.raw(r#"<path class="line" d=""#);
    let mut drawing = false;
    for (x, point) in places(points) {
        let Some(mean) = point.mean() else {
            drawing = false;
            continue;
        };
        let y = 26.0 - 24.0 * mean.as_secs_f64() / most;
        // A lone point is a short line: nothing else would show it.
        let start = if drawing { "L" } else { "M" };
        html.text(format_args!("{start}{x} {y:.1}h2"));
        drawing = true;
    }
    html.raw("\"/></svg>");
}

fn begin(html: &mut Html, said: impl fmt::Display) {
    html.raw(PICTURE).text(said).raw("\">");
}

/// The newest point stands at the right edge.
fn places(points: &[Totals]) -> impl Iterator<Item = (usize, &Totals)> {
    let first = POINTS.saturating_sub(points.len());
    let at = move |(n, point)| ((first + n) * STEP, point);
    points.iter().take(POINTS).enumerate().map(at)
}

const fn calls_of(point: &Totals) -> u64 {
    point.calls
}

const fn failed_of(point: &Totals) -> u64 {
    point.failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_point_is_at_the_right_and_silence_is_a_gap() {
        let point = |calls, failed, micros| Totals {
            calls,
            failed,
            micros,
        };
        let points = [
            point(2, 1, 2_000),
            Totals::default(),
            point(4, 0, 8_000),
            point(4, 0, 8_000),
        ];
        let mut html = Html::default();
        calls(&mut html, &points, "10 calls, 1 \"failed\"");
        let svg = html.into_string();
        assert!(svg.contains("aria-label=\"10 calls, 1 &quot;failed&quot;\""));
        let bars = r#"d="M168 28V14.0h2V28zM174 28V0.0h2V28zM177 28V0.0h2V28z""#;
        assert!(svg.contains(bars), "{svg}");
        assert!(
            svg.contains(r#"class="bad" d="M168 28V21.0h2V28z""#),
            "{svg}"
        );

        let mut html = Html::default();
        latency(&mut html, &points, "");
        let svg = html.into_string();
        assert!(
            svg.contains(r#"d="M168 14.0h2M174 2.0h2L177 2.0h2""#),
            "{svg}"
        );
    }
}
