use super::*;
use crate::dash::rows::{ConnectionRow, ListenerRow, ProcessRow};
use crate::report::Row;

#[test]
fn the_smallest_screen_shows_the_required_parts() {
    let headings = |places: Vec<Place>| -> Vec<&str> {
        places.iter().map(|place| ProcessRow::columns()[place.index].heading).collect()
    };
    let small = headings(columns::<ProcessRow>(60, 0, &[], &[], &[]));
    assert_eq!(small, ["PID", "COMM", "SENT B/s", "RECVD B/s", "SOCKS", "TIME_WAIT"]);
    let shifted = headings(columns::<ProcessRow>(60, 4, &[], &[], &[]));
    assert_eq!(shifted, ["PID", "COMM", "CLOSE_WAIT", "ESTAB", "OPENS/s", "FAILED/s"]);
    let chosen = headings(columns::<ProcessRow>(60, 0, &[], &[0, 2, 3, 5], &[]));
    assert_eq!(chosen, ["COMM", "SOCKS", "CLOSE_WAIT", "ESTAB", "OPENS/s", "FAILED/s"]);
    let all: Vec<_> = (0..40).collect();
    assert!(columns::<ProcessRow>(60, 0, &[], &all, &[]).is_empty());
    assert_eq!(columns::<ProcessRow>(200, 0, &[], &[], &[]).len(), ProcessRow::columns().len());
}

#[test]
fn a_connection_shows_its_state_on_80_columns() {
    let headings = |needs: &[u16]| -> Vec<_> {
        let places = columns::<ConnectionRow>(80, 0, needs, &[], &[]);
        places.iter().map(|place| ConnectionRow::columns()[place.index].heading).collect()
    };
    let least = ["PID", "COMM", "LADDR:LPORT", "RADDR:RPORT", "STATE"];
    assert_eq!(headings(&[]), least);
    // Short addresses leave room for more; wide ones for less.
    assert_eq!(headings(&[0, 0, 14, 15]), [&least[..], &["SENT B/s"]].concat());
    assert_eq!(headings(&[0, 0, 40, 40]), ["PID", "COMM", "RADDR:RPORT", "STATE"]);
}

#[test]
fn columns_never_overlap_nor_leave_the_screen() {
    for width in 0..400 {
        for shift in 0..8 {
            let mut free = 0;
            for place in columns::<ConnectionRow>(width, shift, &[], &[], &[5, 6]) {
                assert!(place.x >= free && place.x + place.width <= width, "{width} {shift}");
                free = place.x + place.width + 1;
            }
        }
    }
}

/// Columns by heading, with the room that they have.
fn widths<R: TableRow>(width: u16, needs: &[u16], sorted: &[usize]) -> Vec<(&'static str, u16)> {
    let places = columns::<R>(width, 0, needs, &[], sorted).into_iter();
    places.map(|place| (R::columns()[place.index].heading, place.width)).collect()
}

#[test]
fn a_heading_has_room_for_its_mark() {
    let plain = widths::<ListenerRow>(60, &[], &[]);
    let marked = widths::<ListenerRow>(60, &[], &[2]);
    assert_eq!((plain[2], marked[2]), (("DROPS/MIN", 9), ("DROPS/MIN", 10)));
}

/// Numbers are whole before names are; names grow up to 15 characters, and no further.
#[test]
fn what_is_left_goes_to_values_that_would_be_cut() {
    let of = |needs: &[u16]| -> Vec<u16> {
        widths::<ListenerRow>(59, needs, &[2]).into_iter().map(|(_, width)| width).collect()
    };
    assert_eq!(of(&[14, 15, 0, 16, 16]), [14, 15, 10, 16]);
    assert_eq!(of(&[14, 15, 0, 19, 19]), [14, 13, 10, 19]);
    assert_eq!(of(&[40, 15, 0, 19, 19]), [18, 11, 10, 17]);
    assert_eq!(of(&[9, 60, 0, 16, 16]), [12, 15, 10, 19]);
}

#[test]
fn parts_lie_within_the_screen() {
    for view in View::ALL {
        for (width, height) in [(0, 0), (1, 1), (60, 15), (80, 24), (300, 100)] {
            for detail in [false, true] {
                let layout = Layout::of(view, width, height, detail);
                for area in [layout.body, layout.table, layout.below, layout.foot] {
                    assert!(area.x + area.width <= width && area.y + area.height <= height);
                }
            }
        }
    }
}
