//! Charts as SVG, made of numbers: a line as small as a word, and bars of two parts. Templates draw
//! them (`templates/admin/charts.html`). Colours and text sizes are in the stylesheet, so that they
//! follow the theme, and the labels of the axes are HTML, so that they keep their size on a phone.

/// The width of a [`Sparkline`], in units of its `viewBox`.
const LINE_WIDTH: i128 = 300;
/// The height of a [`Sparkline`]. The line keeps a distance from the edges, so that its whole width
/// is visible.
const LINE_HEIGHT: i128 = 40;
const LINE_MARGIN: i128 = 2;

/// The height of [`Bars`], in units of their `viewBox`.
const HEIGHT: i128 = 1_000;
/// The least height of a part that is not 0: one failure among a million messages is seen.
const LEAST: i128 = 8;
/// The width of a bar and of the gap behind it.
const BAR: i128 = 14;
const GAP: i128 = 6;

/// A small line without axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::panel) struct Sparkline {
    /// The points of the line, as SVG has them.
    pub points: String,
    /// The points of the area below the line.
    pub area: String,
    /// What the line shows, for those who cannot see it.
    pub summary: String,
}

impl Sparkline {
    /// Draws numbers from left to right. `summary` says what they are.
    pub(crate) fn new(values: &[i64], summary: String) -> Sparkline {
        let least = values.iter().copied().min().unwrap_or(0).min(0);
        let most = values.iter().copied().max().unwrap_or(0).max(0);
        let range = (i128::from(most) - i128::from(least)).max(1);
        let height = |value: i64| {
            let room = LINE_HEIGHT - 2 * LINE_MARGIN;
            LINE_HEIGHT - LINE_MARGIN - (i128::from(value) - i128::from(least)) * room / range
        };
        let steps = (values.len() as i128 - 1).max(1);
        let mut points: Vec<(i128, i128)> = values
            .iter()
            .enumerate()
            .map(|(place, value)| (place as i128 * LINE_WIDTH / steps, height(*value)))
            .collect();
        if let [(_, only)] = points[..] {
            points.push((LINE_WIDTH, only));
        }
        let written = |points: &[(i128, i128)]| {
            points.iter().map(|(x, y)| format!("{x},{y}")).collect::<Vec<_>>().join(" ")
        };
        let line = written(&points);
        points.extend(points.last().map(|(x, _)| (*x, LINE_HEIGHT)));
        points.extend(points.first().map(|(x, _)| (*x, LINE_HEIGHT)));
        Sparkline { points: line, area: written(&points), summary }
    }
}

/// A number with two parts, for one bar. Numbers below 0 count as 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::panel) struct Stack {
    /// The label at the axis.
    pub label: String,
    /// The part at the bottom.
    pub lower: i64,
    /// The part on top, in another colour.
    pub upper: i64,
    /// The text that is shown when the mouse is over the bar.
    pub title: String,
}

/// Bars of two parts above an axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::panel) struct Bars {
    pub bars: Vec<Bar>,
    /// The width of all bars, in units of the `viewBox`. Its height is 1,000.
    pub width: i128,
    /// The number at the upper end of the axis.
    pub top: i64,
    /// The label of each bar. Most are empty, so that there is room for the others.
    pub labels: Vec<String>,
    /// What the bars show, for those who cannot see them.
    pub summary: String,
}

/// A bar as it is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::panel) struct Bar {
    pub x: i128,
    pub lower: Span,
    pub upper: Span,
    pub title: String,
}

/// The upper end and the height of a part of a bar. The `y` of SVG grows downwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::panel) struct Span {
    pub y: i128,
    pub height: i128,
}

/// The most labels at the axis. More would touch each other on a phone.
const MOST_LABELS: usize = 4;

impl Bars {
    /// Draws the numbers from left to right. `summary` says what they are.
    pub(crate) fn new(stacks: Vec<Stack>, summary: String) -> Bars {
        let sum = |stack: &Stack| i128::from(stack.lower.max(0)) + i128::from(stack.upper.max(0));
        let top = round_up(stacks.iter().map(sum).max().unwrap_or(0));
        let every = stacks.len().div_ceil(MOST_LABELS).max(1);
        let count = stacks.len();
        // A label takes most of the room up to the next one, which is missing at the end.
        let room = (every * 3).div_ceil(4);
        let has_label = |place: usize| place.is_multiple_of(every) && place + room <= count;
        let labels = stacks.iter().enumerate().map(|(place, stack)| match has_label(place) {
            true => stack.label.clone(),
            false => String::new(),
        });
        Bars {
            labels: labels.collect(),
            width: count.max(1) as i128 * (BAR + GAP),
            top: i64::try_from(top).unwrap_or(i64::MAX),
            summary,
            bars: stacks.into_iter().enumerate().map(|(place, stack)| Bar::new(place, stack, top)).collect(),
        }
    }

    /// Returns whether there is nothing to see.
    pub(crate) fn is_flat(&self) -> bool {
        self.bars.iter().all(|bar| bar.lower.height == 0 && bar.upper.height == 0)
    }

    /// Returns the number in the middle of the axis.
    pub(crate) fn middle(&self) -> i64 {
        self.top / 2
    }
}

impl Bar {
    fn new(place: usize, stack: Stack, top: i128) -> Bar {
        let height = |value: i64| match i128::from(value.max(0)) {
            0 => 0,
            value => (value * HEIGHT / top).max(LEAST),
        };
        let upper = height(stack.upper);
        let lower = height(stack.lower).min(HEIGHT - upper);
        Bar {
            x: place as i128 * (BAR + GAP) + GAP / 2,
            lower: Span { y: HEIGHT - lower, height: lower },
            upper: Span { y: HEIGHT - lower - upper, height: upper },
            title: stack.title,
        }
    }

    /// Returns the width of each bar.
    pub(crate) fn width(&self) -> i128 {
        BAR
    }
}

/// Returns the next number that reads well at an axis and has a half that does, such as 2, 10, 12
/// or 2,400.
fn round_up(most: i128) -> i128 {
    const SMALL: [i128; 5] = [2, 4, 6, 8, 10];
    const STEPS: [i128; 10] = [12, 16, 20, 24, 30, 40, 50, 60, 80, 100];
    if let Some(top) = SMALL.into_iter().find(|top| *top >= most) {
        return top;
    }
    let mut unit = 1;
    loop {
        if let Some(top) = STEPS.into_iter().map(|step| step * unit).find(|top| *top >= most) {
            return top;
        }
        unit *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[i64]) -> String {
        Sparkline::new(values, String::new()).points
    }

    fn bars(parts: &[(i64, i64)]) -> Bars {
        let stack = |(place, (lower, upper)): (usize, &(i64, i64))| Stack {
            label: format!("day {place}"),
            lower: *lower,
            upper: *upper,
            title: String::new(),
        };
        Bars::new(parts.iter().enumerate().map(stack).collect(), String::new())
    }

    /// Returns the heights of the parts of each bar, and checks that no bar leaves the chart.
    fn heights(bars: &Bars) -> Vec<(i128, i128)> {
        for bar in &bars.bars {
            assert_eq!(bar.upper.y + bar.upper.height, bar.lower.y, "the parts touch");
            assert_eq!(bar.lower.y + bar.lower.height, HEIGHT, "it stands on the axis");
            assert!(bar.upper.y >= 0 && bar.x >= 0 && bar.x + bar.width() <= bars.width, "{bar:?}");
        }
        bars.bars.iter().map(|bar| (bar.lower.height, bar.upper.height)).collect()
    }

    #[test]
    fn a_line_without_numbers_is_empty() {
        assert_eq!(line(&[]), "");
        assert_eq!(Sparkline::new(&[], String::new()).area, "");
    }

    #[test]
    fn a_line_of_one_number_or_of_equal_numbers_is_flat() {
        assert_eq!(line(&[7]), "0,2 300,2");
        assert_eq!(line(&[0]), "0,38 300,38");
        assert_eq!(line(&[0, 0, 0]), "0,38 150,38 300,38");
    }

    #[test]
    fn a_line_goes_from_the_lowest_to_the_highest_number() {
        assert_eq!(line(&[0, 10, 5]), "0,38 150,2 300,20");
        assert_eq!(line(&[-10, 0, 10]), "0,38 150,20 300,2", "0 is not the lowest number");
        assert_eq!(line(&[100, 110]), "0,6 300,2", "it begins at 0, so that little looks like little");
        assert_eq!(line(&[0, 9_000_000_000_000_000, 0]), "0,38 150,2 300,38");
        assert_eq!(line(&[i64::MIN, i64::MAX]), "0,38 300,2");
        assert_eq!(Sparkline::new(&[0, 10], String::new()).area, "0,38 300,2 300,40 0,40");
    }

    #[test]
    fn bars_of_nothing_are_flat() {
        let none = bars(&[]);
        assert!(none.is_flat() && none.bars.is_empty() && none.width > 0);
        let zeros = bars(&[(0, 0), (0, 0)]);
        assert!(zeros.is_flat());
        assert_eq!((heights(&zeros), zeros.top), (vec![(0, 0), (0, 0)], 2));
        assert_eq!(heights(&bars(&[(-5, -1)])), [(0, 0)], "less than nothing is nothing");
    }

    #[test]
    fn one_bar_fills_the_axis_up_to_a_round_number() {
        let one = bars(&[(150, 50)]);
        assert_eq!((one.top, one.middle(), one.is_flat()), (200, 100, false));
        assert_eq!(heights(&one), [(750, 250)]);
    }

    #[test]
    fn very_large_numbers_do_not_overflow() {
        let large = bars(&[(9_000_000_000_000_000, 0), (4_500_000_000_000_000, 1)]);
        assert_eq!(large.top, 10_000_000_000_000_000);
        assert_eq!(heights(&large), [(900, 0), (450, 8)], "a single failure is seen");
        let largest = bars(&[(i64::MAX, i64::MAX)]);
        assert_eq!(heights(&largest), [(461, 461)]);
        assert_eq!(largest.top, i64::MAX, "the label is as high as a number can be");
    }

    #[test]
    fn small_days_beside_a_spike_are_still_seen() {
        let mut days = vec![(3, 0); 29];
        days.push((999_999, 1));
        let spike = bars(&days);
        let heights = heights(&spike);
        assert_eq!((heights[0], heights[29]), ((8, 0), (992, 8)));
    }

    #[test]
    fn the_axis_ends_at_a_number_with_a_whole_half() {
        let tops = [0, 1, 2, 3, 5, 7, 9, 10, 11, 61, 99, 101].map(round_up);
        assert_eq!(tops, [2, 2, 2, 4, 6, 8, 10, 10, 12, 80, 100, 120]);
        assert_eq!([2_399, 2_401].map(round_up), [2_400, 3_000]);
    }

    #[test]
    fn only_a_few_bars_have_a_label_and_none_is_cut_off() {
        for (count, expected) in [
            (1, vec![0]),
            (4, vec![0, 1, 2, 3]),
            (7, vec![0, 2, 4]),
            (30, vec![0, 8, 16, 24]),
            (90, vec![0, 23, 46, 69]),
        ] {
            let labels = bars(&vec![(1, 0); count]).labels;
            assert_eq!(labels.len(), count);
            let shown: Vec<usize> = (0..count).filter(|place| !labels[*place].is_empty()).collect();
            assert_eq!(shown, expected, "of {count}");
        }
    }
}
