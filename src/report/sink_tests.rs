use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::pipe::pipe;

use super::*;

fn sink(fd: impl Into<OwnedFd>) -> (Sink, OwnedFd) {
    let (stop, writer) = Stop::pair().unwrap();
    (Sink::new(fd.into(), stop).unwrap(), writer)
}

fn fill(sink: &mut Sink, lines: usize) {
    for i in 0..lines {
        sink.buffer().extend_from_slice(format!("line {i} of some length\n").as_bytes());
    }
}

#[test]
fn cuts_at_lines() {
    assert_eq!(lines_within(b"ab\ncd\n", 10), 6);
    assert_eq!(lines_within(b"ab\ncd\n", 5), 3);
    assert_eq!(lines_within(b"abcdefg\nh\n", 5), 8);
    assert_eq!(lines_within(b"abcdefgh", 5), 8);
    assert_eq!(newlines(b"ab\ncd\nrest"), 3);
}

#[test]
fn a_slow_reader_gets_every_line() {
    let (reader, writer) = pipe().unwrap();
    let (mut sink, _stop) = sink(writer);
    let reader = thread::spawn(move || {
        let mut file = std::fs::File::from(reader);
        let (mut all, mut piece) = (Vec::new(), [0; 5000]);
        loop {
            thread::sleep(Duration::from_millis(1));
            match file.read(&mut piece).unwrap() {
                0 => return all,
                n => all.extend_from_slice(&piece[..n]),
            }
        }
    });
    fill(&mut sink, 20_000);
    // Longer than a pipe takes at once, and than the whole pipe.
    let long = vec![b'x'; 200_000];
    sink.buffer().extend_from_slice(&long);
    sink.buffer().push(b'\n');
    sink.flush().unwrap();
    assert_eq!(sink.dropped(), 0);
    drop(sink);
    let all = reader.join().unwrap();
    let lines: Vec<_> = all.lines().map(Result::unwrap).collect();
    assert_eq!(lines.len(), 20_001);
    assert_eq!(lines[19_999], "line 19999 of some length");
    assert_eq!(lines[20_000].len(), long.len());
}

#[test]
fn a_closed_reader_is_reported_once() {
    let (reader, writer) = pipe().unwrap();
    let (mut sink, _stop) = sink(writer);
    drop(reader);
    fill(&mut sink, 1);
    assert!(matches!(sink.flush(), Err(SinkError::Closed)));
    assert!(sink.buffer().is_empty());
    fill(&mut sink, 1);
    assert!(sink.flush().is_ok(), "what follows vanishes, for the tool still counts");
    assert!(sink.buffer().is_empty());
}

#[test]
fn a_stuck_reader_cannot_block_shutdown() {
    let (reader, writer) = pipe().unwrap();
    let (mut sink, wake) = sink(writer);
    fill(&mut sink, 10_000);
    let waker = thread::spawn(move || {
        // The sink waits for room: less than what it writes at once is left of the pipe's 64 KiB.
        while rustix::io::ioctl_fionread(&reader).unwrap() < 60_000 {
            thread::yield_now();
        }
        rustix::io::write(&wake, b"x").unwrap();
        reader
    });
    let start = Instant::now();
    sink.flush().unwrap();
    assert!(start.elapsed() >= Duration::from_millis(500), "no output timeout");
    let reader = waker.join().unwrap();
    // Later lines find the time used up.
    assert_eq!(sink.stop.time_left(), Some(Duration::ZERO));
    let dropped = sink.dropped();
    fill(&mut sink, 7);
    sink.flush().unwrap();
    assert_eq!(sink.dropped(), dropped + 7);
    drop(sink);
    let lines = BufReader::new(std::fs::File::from(reader)).lines().map(Result::unwrap);
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines.len() as u64 + dropped, 10_000);
    assert!(lines.iter().all(|line| line.ends_with("of some length")));
}

#[test]
fn pending_output_is_written_after_a_stop() {
    let (mut reader, writer) = UnixStream::pair().unwrap();
    let (mut sink, wake) = sink(writer);
    rustix::io::write(&wake, b"x").unwrap();
    fill(&mut sink, 100);
    sink.flush().unwrap();
    assert_eq!(sink.dropped(), 0);
    drop(sink);
    let mut all = String::new();
    reader.read_to_string(&mut all).unwrap();
    assert_eq!(all.lines().count(), 100);
}

#[test]
fn a_socket_never_blocks_shutdown() {
    let (reader, writer) = UnixStream::pair().unwrap();
    let (mut sink, wake) = sink(writer);
    rustix::io::write(&wake, b"x").unwrap();
    fill(&mut sink, 100_000);
    sink.flush().unwrap();
    assert!(sink.dropped() > 0);
    drop(reader);
    fill(&mut sink, 1);
    assert!(matches!(sink.flush(), Err(SinkError::Closed)));
}

#[test]
fn a_full_disk_is_an_error() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let (mut sink, _stop) = sink(full);
    fill(&mut sink, 1);
    let Err(SinkError::Write(error)) = sink.flush() else { panic!("written to a full disk") };
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

#[test]
fn a_file_is_written_without_waiting() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (mut sink, _stop) = sink(file.reopen().unwrap());
    fill(&mut sink, 30_000);
    assert!(sink.is_full());
    sink.flush().unwrap();
    assert_eq!(std::fs::read_to_string(file.path()).unwrap().lines().count(), 30_000);
}
