//! Which columns of a table are shown, and how wide.

use super::{Column, Row, TableView, escape};

/// `HH:MM:SS`: a time without milliseconds, where there is no room for them.
pub const SHORT_TIME: usize = 8;

/// A column of a table as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index among the columns of the row type.
    pub index: usize,
    /// Terminal columns.
    pub width: usize,
    /// It may become so narrow.
    pub least: usize,
    /// Its place in the order of those that give way; 0: it stays.
    yields: u8,
    /// Its values are times of day.
    is_time: bool,
    /// It says nothing: all zero, empty or unknown.
    idle: bool,
}

impl Place {
    fn new<R>(index: usize, column: &Column<R>) -> Self {
        let (width, least, yields) = (column.width, column.least, column.yields);
        Self { index, width, least, yields, is_time: column.key == "time", idle: false }
    }
}

/// Those of a view.
fn places<R: Row>(view: &TableView<'_>) -> impl Iterator<Item = (Place, &'static Column<R>)> {
    let shown = |column: &Column<R>| !column.hidden && !view.hide.contains(&column.key);
    let columns = R::columns().iter().enumerate().filter(move |(_, column)| shown(column));
    columns.map(|(index, column)| (Place::new(index, column), column))
}

/// The columns of a stream; `grown`: what values have needed so far, by index.
pub fn of_stream<R: Row>(
    view: &TableView<'_>,
    grown: &[usize],
    limit: Option<usize>,
) -> Vec<Place> {
    let mut places: Vec<_> = places::<R>(view)
        .map(|(place, _)| {
            let grown = grown.get(place.index).copied().unwrap_or(0);
            Place { width: place.width.max(grown), least: place.least.max(grown), ..place }
        })
        .collect();
    fit(&mut places, limit);
    places
}

/// The columns of a snapshot, as wide as the heading and the widest value of `rows`, which `measure` gives.
pub fn of_rows<R: Row>(
    rows: &[R],
    view: &TableView<'_>,
    limit: Option<usize>,
    heading: impl Fn(&Column<R>) -> &'static str,
    mut measure: impl FnMut(&Column<R>, &R) -> usize,
) -> Vec<Place> {
    let mut places: Vec<_> = places::<R>(view)
        .map(|(place, column)| {
            let heading = escape::width(heading(column).as_bytes());
            let width = rows.iter().map(|row| measure(column, row)).max().unwrap_or(0).max(heading);
            let least = if place.is_time { width.min(SHORT_TIME) } else { width };
            Place { width, least, ..place }
        })
        .collect();
    if limit.is_some_and(|limit| total(&places, |place| place.width) > limit) {
        for place in &mut places {
            place.idle = rows.iter().all(|row| (R::columns()[place.index].cell)(row).is_idle());
        }
    }
    fit(&mut places, limit);
    places
}

/// Terminal columns of a line, with a space between two values.
fn total(places: &[Place], width: impl Fn(&Place) -> usize) -> usize {
    places.iter().map(width).sum::<usize>() + places.len().saturating_sub(1)
}

/// Leaves out columns until a line fits, those without information first, and makes the others as
/// narrow as they must be.
fn fit(places: &mut Vec<Place>, limit: Option<usize>) {
    let Some(limit) = limit else { return };
    let mut left_out = Vec::new();
    while total(places, |place| place.least) > limit {
        let yielding = places.iter().enumerate().filter(|(_, place)| place.yields > 0);
        let Some((next, _)) = yielding.min_by_key(|(_, place)| (!place.idle, place.yields)) else {
            break;
        };
        left_out.push(places.remove(next));
    }
    // A wide one that gave way may leave room for a narrow one that had to go before it.
    while let Some(place) = left_out.pop() {
        if total(places, |place| place.least) + 1 + place.least <= limit {
            let at = places.partition_point(|shown| shown.index < place.index);
            places.insert(at, place);
        }
    }
    let mut excess = total(places, |place| place.width).saturating_sub(limit);
    for place in places {
        let spare = place.width.saturating_sub(place.least);
        // A time has its milliseconds, or has not.
        let all = place.is_time;
        let give = if all && excess > 0 { spare } else { spare.min(excess) };
        place.width -= give;
        excess = excess.saturating_sub(give);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(index: usize, width: usize, yields: u8) -> Place {
        Place { index, width, least: width, yields, is_time: false, idle: false }
    }

    fn fitted(mut places: Vec<Place>, limit: usize) -> Vec<(usize, usize)> {
        fit(&mut places, Some(limit));
        places.iter().map(|place| (place.index, place.width)).collect()
    }

    #[test]
    fn columns_give_way_in_their_order_and_those_without_information_first() {
        let places = || vec![place(0, 10, 0), place(1, 10, 2), place(2, 10, 1), place(3, 10, 3)];
        assert_eq!(fitted(places(), 43).len(), 4);
        assert_eq!(fitted(places(), 42), [(0, 10), (1, 10), (3, 10)]);
        assert_eq!(fitted(places(), 31), [(0, 10), (3, 10)]);
        assert_eq!(fitted(places(), 5), [(0, 10)], "one stays");
        let mut idle = places();
        idle[3].idle = true;
        assert_eq!(fitted(idle, 42), [(0, 10), (1, 10), (2, 10)]);
    }

    #[test]
    fn a_narrow_column_comes_back_where_a_wide_one_went() {
        let places = vec![place(0, 10, 0), place(1, 5, 1), place(2, 20, 2)];
        assert_eq!(fitted(places, 20), [(0, 10), (1, 5)]);
    }

    #[test]
    fn widths_shrink_no_further_than_they_must_and_a_time_by_its_milliseconds() {
        let time = Place { width: 12, least: SHORT_TIME, is_time: true, ..place(0, 12, 0) };
        let comm = Place { least: 8, ..place(1, 15, 0) };
        assert_eq!(fitted(vec![time, comm], 28), [(0, 12), (1, 15)]);
        assert_eq!(fitted(vec![time, comm], 27), [(0, 8), (1, 15)]);
        assert_eq!(fitted(vec![time, comm], 20), [(0, 8), (1, 11)]);
    }
}
