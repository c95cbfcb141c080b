//! What a browser would stumble over.

use super::*;

fn spread(median: f64) -> Spread {
    Spread {
        median,
        min: median * 0.9,
        max: median * 1.1,
    }
}

fn example() -> String {
    let series = [
        Series {
            name: "mimeo",
            points: vec![(1, spread(10.0)), (8, spread(1.5))],
        },
        Series {
            name: "a<b&c>",
            points: vec![(1, spread(0.8)), (8, spread(0.21))],
        },
    ];
    svg("512 MiB & <more>", &series)
}

/// Fails for an element that is not closed, in its order.
fn check_elements(text: &str) {
    let mut open = Vec::new();
    for tag in text.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("an element ends");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.split(' ').next().unwrap();
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert_eq!(open, [""; 0]);
}

#[test]
fn elements_are_closed_and_texts_escaped() {
    let text = example();
    check_elements(&text);
    assert!(text.contains("512 MiB &amp; &lt;more&gt;"));
    assert!(text.contains(">a&lt;b&amp;c&gt; 0.21</text>"));
    assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
}

#[test]
fn it_has_a_ground_axes_lines_and_names() {
    let text = example();
    assert!(text.contains(r##"<rect width="760" height="460" fill="#ffffff"/>"##));
    assert!(text.contains(">receivers</text>") && text.contains(">Gbit/s (logarithmic)</text>"));
    assert_eq!(text.matches("<polyline").count(), 2);
    assert_eq!(text.matches("<circle").count(), 4);
    assert!(text.contains(">mimeo 1.5</text>"));
}

#[test]
fn nothing_to_draw_is_an_empty_plot() {
    let text = svg("", &[]);
    check_elements(&text);
    assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
}

#[test]
fn names_keep_their_distance_and_stay_above_the_axis() {
    let heights = spread_out(&[100.0, 101.0, 102.0, BOTTOM - 1.0, BOTTOM]);
    for pair in heights.windows(2) {
        assert!(pair[1] - pair[0] >= NAME_HEIGHT, "{heights:?}");
    }
    assert_eq!(heights[0], 100.0);
    assert!(heights.iter().all(|height| *height <= BOTTOM));
}

#[test]
fn values_have_two_digits_that_count() {
    assert_eq!([0.214, 1.04, 17.4].map(short), ["0.21", "1.0", "17"]);
}
