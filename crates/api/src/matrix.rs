//! Series over time as JSON: what most of a large answer is.
//!
//! The series of a range have their values at the same times, so a time is written once, into a
//! [`Text`] of fixed size together with the brackets around it, and copied for every point. A value
//! like the one before is copied, too. A point then costs little more than the digits of its value.
//!
//! Large answers are written in pieces of some [`PIECE_POINTS`] on the engine's threads, while the
//! thread of the query sends them in order. At most two pieces more than there are threads wait to be
//! sent, whatever the size of the answer.

use std::collections::VecDeque;
use std::sync::mpsc;

use gocompat::strconv::{JSON_FLOAT_ROOM, write_json_float};
use model::STALE_NAN_BITS;
use promql::{MatrixSeries, Points};

use crate::json::{Json, TIME_BYTES_MAX, push_time};
use crate::outlet::{Gone, Outlet};

/// Points of a piece: about as many bytes as leave at a time, and half a millisecond.
const PIECE_POINTS: usize = 8_192;

/// Times that are written in advance; as many as a range has at most, and 0.4 MB.
const TIMES_MAX: usize = 11_001;

/// Writes all series as an array.
pub(crate) fn write(
    outlet: &mut Outlet,
    all: &[MatrixSeries],
    pool: Option<&rayon::ThreadPool>,
) -> Result<(), Gone> {
    let times = Times::of(all);
    let pieces = pieces(all);
    outlet.json.begin_array();
    match pool {
        Some(pool) if pieces.len() > 1 => write_side_by_side(outlet, &pieces, &times, pool)?,
        _ => {
            for series in all {
                write_series(&mut outlet.json, series, &times);
                outlet.relieve()?;
            }
        }
    }
    outlet.json.end_array();
    Ok(())
}

/// Cuts where about [`PIECE_POINTS`] are together.
fn pieces(all: &[MatrixSeries]) -> Vec<&[MatrixSeries]> {
    let mut pieces = Vec::new();
    let (mut from, mut points) = (0, 0);
    for (at, series) in all.iter().enumerate() {
        points += series.points.places() + series.histograms.len();
        if points >= PIECE_POINTS {
            pieces.push(&all[from..=at]);
            (from, points) = (at + 1, 0);
        }
    }
    if from < all.len() {
        pieces.push(&all[from..]);
    }
    pieces
}

/// Writes pieces on other threads and sends them in order.
fn write_side_by_side(
    outlet: &mut Outlet,
    pieces: &[&[MatrixSeries]],
    times: &Times,
    pool: &rayon::ThreadPool,
) -> Result<(), Gone> {
    let ahead_max = pool.current_num_threads() + 2;
    pool.in_place_scope(|scope| {
        let mut ahead: VecDeque<mpsc::Receiver<Vec<u8>>> = VecDeque::new();
        let mut next = 0;
        loop {
            while next < pieces.len() && ahead.len() < ahead_max {
                let (sender, written) = mpsc::sync_channel(1);
                let (piece, is_first) = (pieces[next], next == 0);
                scope.spawn(move |_| {
                    // Nobody waits for it once the client is gone.
                    let _ = sender.send(piece_text(piece, is_first, times));
                });
                ahead.push_back(written);
                next += 1;
            }
            let Some(written) = ahead.pop_front() else {
                return Ok(());
            };
            // Nothing comes from a task that panics; the scope passes the panic on.
            outlet.send_on(written.recv().map_err(|_| Gone)?)?;
        }
    })
}

fn piece_text(piece: &[MatrixSeries], is_first: bool, times: &Times) -> Vec<u8> {
    let mut json = if is_first {
        Json::new()
    } else {
        Json::continued()
    };
    for series in piece {
        write_series(&mut json, series, times);
    }
    json.into_bytes()
}

fn write_series(json: &mut Json, series: &MatrixSeries, times: &Times) {
    json.object(|json| {
        json.key("metric").labels(&series.labels);
        if !series.points.is_empty() {
            json.key("values")
                .value_with(|out| push_points(out, &series.points, times));
        }
        if !series.histograms.is_empty() {
            json.key("histograms").array(|json| {
                for (time_ms, histogram) in &series.histograms {
                    json.histogram_point(*time_ms, histogram);
                }
            });
        }
    });
}

/// A short text. It is appended by copying all of its room, which is quicker than to copy a length
/// that is not known in advance.
#[derive(Clone, Copy)]
struct Text {
    bytes: [u8; Text::ROOM],
    length: usize,
}

impl Text {
    const ROOM: usize = 32;

    /// What comes before a value: a comma, a bracket, its time, a comma and a quote.
    fn before(time_ms: i64) -> Text {
        const { assert!(TIME_BYTES_MAX + 4 <= Text::ROOM) };
        let mut text = Vec::with_capacity(Text::ROOM);
        text.extend_from_slice(b",[");
        push_time(&mut text, time_ms);
        text.extend_from_slice(b",\"");
        let mut bytes = [0; Text::ROOM];
        bytes[..text.len()].copy_from_slice(&text);
        Text {
            bytes,
            length: text.len(),
        }
    }

    /// A value and what comes after it.
    fn of(value: f64) -> Text {
        const { assert!(Text::ROOM == JSON_FLOAT_ROOM) };
        let mut bytes = [0; Text::ROOM];
        // No value takes more than 25 bytes.
        let length = write_json_float(&mut bytes, value);
        bytes[length..length + 2].copy_from_slice(b"\"]");
        Text {
            bytes,
            length: length + 2,
        }
    }

    #[inline(always)]
    fn push_to(&self, out: &mut Vec<u8>) {
        let end = out.len() + self.length;
        out.extend_from_slice(&self.bytes);
        out.truncate(end);
    }
}

/// Equally spaced times, as they stand before values.
struct Times {
    first_ms: i64,
    step_ms: i64,
    texts: Vec<Text>,
}

impl Times {
    /// Those of all series, unless they are too many or not worth it.
    fn of(all: &[MatrixSeries]) -> Times {
        let spaced = || {
            all.iter().filter_map(|series| match &series.points {
                Points::Spaced {
                    first_ms,
                    step_ms,
                    values,
                } if !values.is_empty() => Some((*first_ms, *step_ms, values.len())),
                _ => None,
            })
        };
        let first_ms = spaced().map(|(first_ms, ..)| first_ms).min().unwrap_or(0);
        let step_ms = spaced().map(|(_, step_ms, _)| step_ms).next().unwrap_or(1);
        let end =
            |(from_ms, _, count): (i64, i64, usize)| place(first_ms, step_ms, from_ms) + count;
        let count = spaced().map(end).max().unwrap_or(0);
        let places: usize = spaced().map(|(.., count)| count).sum();
        let count = if count > TIMES_MAX || places < count {
            0
        } else {
            count
        };
        let times = (0..count).map(|at| first_ms + step_ms * at as i64);
        Times {
            first_ms,
            step_ms,
            texts: times.map(Text::before).collect(),
        }
    }

    /// What comes before `count` values from a time on; `None` if that has not been written.
    fn texts(&self, from_ms: i64, step_ms: i64, count: usize) -> Option<&[Text]> {
        let at = place(self.first_ms, self.step_ms, from_ms);
        if step_ms != self.step_ms || self.first_ms + self.step_ms * at as i64 != from_ms {
            return None;
        }
        self.texts.get(at..)?.get(..count)
    }
}

/// How many steps `time_ms` lies behind the first one.
fn place(first_ms: i64, step_ms: i64, time_ms: i64) -> usize {
    usize::try_from(time_ms.saturating_sub(first_ms) / step_ms.max(1)).unwrap_or(usize::MAX)
}

/// `[[time,"value"],…]`; there is a point.
fn push_points(out: &mut Vec<u8>, points: &Points, times: &Times) {
    let begin = out.len();
    let written = match points {
        Points::Listed(_) => None,
        Points::Spaced {
            first_ms,
            step_ms,
            values,
        } => times
            .texts(*first_ms, *step_ms, values.len())
            .map(|texts| (texts, values)),
    };
    match written {
        Some((texts, values)) => {
            let mut bits = STALE_NAN_BITS;
            let mut text = Text::before(0);
            for (before, &value) in texts.iter().zip(values) {
                if value.to_bits() == STALE_NAN_BITS {
                    continue;
                }
                if value.to_bits() != bits {
                    bits = value.to_bits();
                    text = Text::of(value);
                }
                before.push_to(out);
                text.push_to(out);
            }
        }
        None => {
            for (time_ms, value) in points.iter() {
                Text::before(time_ms).push_to(out);
                Text::of(value).push_to(out);
            }
        }
    }
    // In place of the comma before the first point.
    if let Some(first) = out.get_mut(begin) {
        *first = b'[';
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spaced(first_ms: i64, step_ms: i64, values: &[f64]) -> Points {
        Points::Spaced {
            first_ms,
            step_ms,
            values: values.to_vec(),
        }
    }

    fn series(points: Points) -> MatrixSeries {
        MatrixSeries {
            labels: model::Labels::empty(),
            points,
            histograms: Vec::new(),
        }
    }

    /// What the plain writer of points makes of them.
    fn plain(points: &Points) -> String {
        let mut json = Json::new();
        json.array(|json| points.iter().for_each(|(t, v)| json.point(t, v)));
        String::from_utf8(json.into_bytes()).unwrap()
    }

    #[test]
    fn points_are_what_the_plain_writer_writes() {
        let stale = model::STALE_NAN;
        let all = [
            series(spaced(
                1_000,
                500,
                &[1.0, 1.0, stale, -0.0, 0.0, 1e300, 2.5],
            )),
            series(spaced(-500, 500, &[f64::NAN, f64::INFINITY, -1e-6])),
            series(spaced(4_500, 500, &[-1.234_567_890_123_456_7e-6])),
            // Of other times than most.
            series(spaced(1_001, 500, &[1.0, 2.0])),
            series(spaced(1_000, 250, &[1.0, 2.0])),
            series(Points::Listed(vec![(i64::MIN, 0.1), (i64::MAX, -1.5e20)])),
            series(spaced(0, 1, &vec![7.0; 20_000])),
        ];
        for all in [&all[..], &all[..1], &all[..6], &all[6..]] {
            let times = Times::of(all);
            for series in all {
                let mut out = b"before".to_vec();
                push_points(&mut out, &series.points, &times);
                let text = String::from_utf8(out).unwrap();
                assert_eq!(text, format!("before{}", plain(&series.points)));
            }
        }
        assert_eq!(Times::of(&all[..3]).texts.len(), 11);
        assert_eq!(Times::of(&all[..6]).texts.len(), 11);
        assert!(Times::of(&all[6..]).texts.is_empty(), "too many");
    }

    #[test]
    fn pieces_have_about_as_many_points() {
        let all: Vec<MatrixSeries> = [5_000, 5_000, 20_000, 1, 2]
            .map(|count| series(spaced(0, 1, &vec![0.5; count])))
            .into();
        let sizes: Vec<usize> = pieces(&all).iter().map(|piece| piece.len()).collect();
        assert_eq!(sizes, [2, 1, 2]);
        assert!(pieces(&[]).is_empty());
    }
}
