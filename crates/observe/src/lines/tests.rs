use std::sync::mpsc::{Receiver, SyncSender};

use super::*;

/// Hands on what is written, a message each, and waits until somebody takes it.
struct Target(SyncSender<Vec<u8>>);

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.send(bytes.to_vec()) {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start() -> (Lines, LinesGuard, Receiver<Vec<u8>>) {
    let (target, written) = sync_channel(0);
    let (lines, guard) = Lines::start(Target(target)).unwrap();
    (lines, guard, written)
}

fn log(mut lines: &Lines, line: &str) {
    lines.write_all(line.as_bytes()).unwrap();
}

/// Ends the log; what was still written.
fn rest(guard: LinesGuard, written: Receiver<Vec<u8>>) -> Vec<u8> {
    let reader = thread::spawn(move || written.into_iter().flatten().collect());
    drop(guard);
    reader.join().unwrap()
}

#[test]
fn lines_that_come_together_are_one_write_and_none_is_left_at_the_end() {
    let (lines, guard, written) = start();
    log(&lines, "first\n");
    // Once the writer has it, it waits for this test to read.
    let taken = |buffer| lock(buffer).lines.is_empty();
    while !lines.0.buffers.iter().all(taken) {
        thread::yield_now();
    }
    log(&lines, "a\n");
    log(&lines, "b\n");
    assert_eq!(written.recv().unwrap(), b"first\n");
    assert_eq!(written.recv().unwrap(), b"a\nb\n");
    log(&lines, "c\n");
    assert_eq!(rest(guard, written), b"c\n");
    assert_eq!(lines.lost(), 0);
}

#[test]
fn lines_of_all_threads_come_in_the_order_in_which_they_were_logged() {
    const THREADS: usize = 4;
    let (lines, guard, written) = start();
    let turn = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|own| {
            let (lines, turn) = (lines.clone(), turn.clone());
            thread::spawn(move || {
                for at in (own..1000).step_by(THREADS) {
                    while turn.load(Ordering::SeqCst) != at {
                        thread::yield_now();
                    }
                    log(&lines, &format!("{at}\n"));
                    turn.store(at + 1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let reader = thread::spawn(move || written.into_iter().flatten().collect::<Vec<u8>>());
    threads.into_iter().for_each(|t| t.join().unwrap());
    drop(guard);
    let text = String::from_utf8(reader.join().unwrap()).unwrap();
    let expected: Vec<_> = (0..1000).map(|at| at.to_string()).collect();
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn f45_a_reader_that_does_not_read_costs_a_bounded_buffer_and_lines_that_are_counted() {
    let (lines, guard, written) = start();
    let line = "x".repeat(MOST_BYTES / 4 - 1) + "\n";
    let logged = 16;
    for _ in 0..logged {
        log(&lines, &line);
    }
    // One batch is on its way at most, and one waits.
    let lost = lines.lost();
    assert!((logged - 8..=logged - 4).contains(&lost), "{lost}");
    let kept = rest(guard, written).len() / line.len();
    assert_eq!(kept + lost, logged);
}

#[test]
fn f45_lines_beyond_a_number_are_lost_until_the_reader_is_back() {
    let (lines, guard, written) = start();
    let most = usize::try_from(MOST).unwrap();
    for _ in 0..most + 5 {
        log(&lines, "\n");
    }
    assert_eq!(lines.lost(), 5);
    // Whoever reads makes room.
    let mut read = 0;
    while read < most {
        read += written.recv().unwrap().len();
    }
    let taken = |shared: &Shared| shared.gone.load(Ordering::Relaxed) == MOST + 5;
    while !taken(&lines.0) {
        thread::yield_now();
    }
    log(&lines, "\n");
    assert_eq!(rest(guard, written), b"\n");
    assert_eq!(lines.lost(), 5);
}

#[test]
fn lines_that_nobody_takes_are_counted_and_not_kept() {
    let (lines, guard, written) = start();
    drop(written);
    log(&lines, "a\n");
    log(&lines, "b\n");
    drop(guard);
    assert_eq!(lines.lost(), 2);
    let idle = |buffer| lock(buffer).text.is_empty();
    assert!(lines.0.buffers.iter().all(idle));
}
