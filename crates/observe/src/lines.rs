//! Lines on their way to the log.
//!
//! Every call logs a line, and no call may wait for whoever reads the log. Handed over one by one,
//! lines cost the calls more than making them: an allocation each, a queue that all threads meet
//! at, a thread woken and a write of the kernel's. So each thread adds its lines to a buffer that
//! it hardly ever shares, and one thread collects them all every few milliseconds and writes them
//! at once, in the order in which they were logged.
//!
//! While the reader is stuck the buffers fill; lines beyond their bound are dropped and counted.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How long the first line waits for others.
const WAIT: Duration = Duration::from_millis(5);

/// How long the end of the process waits for a reader that does not read.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many buffers there are: as many threads add lines without meeting.
const BUFFERS: usize = 16;

/// How many lines wait for a slow reader before further ones are dropped, and how many bytes in
/// one buffer.
const MOST: u64 = 8_192;
const MOST_BYTES: usize = 1 << 20;

/// A buffer that has grown beyond this is not kept when it is empty again.
const KEPT: usize = 64 << 10;

/// Takes lines and never waits for their reader. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Lines(Arc<Shared>);

/// Ends the writing once everything is written, or nobody has read for a second.
#[derive(Debug)]
pub(crate) struct LinesGuard {
    lines: Lines,
    writer: Thread,
    /// Closed by the writer when it ends.
    ended: Receiver<()>,
}

#[derive(Debug, Default)]
struct Shared {
    buffers: [Mutex<Buffer>; BUFFERS],
    /// A bit for each buffer that has lines, or gets its first one.
    filled: AtomicU32,
    /// Gives each line its place among all.
    next: AtomicU64,
    /// How many lines wait no more: they were written or lost.
    gone: AtomicU64,
    lost: AtomicUsize,
    /// Set while the writer sleeps until somebody wakes it.
    asleep: AtomicBool,
    stop: AtomicBool,
    writer: OnceLock<Thread>,
}

#[derive(Debug, Default)]
struct Buffer {
    text: Vec<u8>,
    lines: Vec<Line>,
}

/// A line of a buffer.
#[derive(Clone, Copy, Debug)]
struct Line {
    number: u64,
    end: usize,
}

// === impl Lines ===

impl Lines {
    /// Starts a thread that writes lines to `target`.
    ///
    /// # Errors
    /// If there is no thread to spare.
    pub(crate) fn start(target: impl Write + Send + 'static) -> io::Result<(Self, LinesGuard)> {
        let lines = Self(Arc::default());
        let (end, ended) = sync_channel(0);
        let writer = Writer {
            shared: lines.0.clone(),
            taken: Default::default(),
            merged: Vec::new(),
            seen: 0,
            target,
            _end: end,
        };
        let thread = thread::Builder::new()
            .name("mcp-router-log".to_owned())
            .spawn(move || writer.run())?;
        let writer = lines.0.writer.get_or_init(|| thread.thread().clone());
        let guard = LinesGuard {
            writer: writer.clone(),
            lines: lines.clone(),
            ended,
        };
        Ok((lines, guard))
    }

    /// Takes a whole line.
    pub(crate) fn add(&self, line: &[u8]) {
        self.0.add(line);
    }

    /// How many lines were dropped.
    pub(crate) fn lost(&self) -> usize {
        self.0.lost.load(Ordering::Relaxed)
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Lines;

    fn make_writer(&'a self) -> &'a Lines {
        self
    }
}

impl Write for &Lines {
    /// Takes a whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// === impl Shared ===

impl Shared {
    fn add(&self, line: &[u8]) {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static OWN: usize = THREADS.fetch_add(1, Ordering::Relaxed) % BUFFERS;
        }
        let own = OWN.with(|own| *own);
        let mut buffer = lock(&self.buffers[own]);
        // Before there is a number: the writer that knows the number knows where to look.
        if buffer.lines.is_empty() {
            self.filled.fetch_or(1 << own, Ordering::SeqCst);
        }
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        let waiting = number.saturating_sub(self.gone.load(Ordering::Relaxed));
        let large = !buffer.text.is_empty() && buffer.text.len() + line.len() > MOST_BYTES;
        if waiting >= MOST || large {
            self.lost.fetch_add(1, Ordering::Relaxed);
            self.gone.fetch_add(1, Ordering::Relaxed);
            return;
        }
        buffer.text.extend_from_slice(line);
        let end = buffer.text.len();
        buffer.lines.push(Line { number, end });
        drop(buffer);
        // The writer asks for the next number once more after it has said that it sleeps: it sees
        // that there is a line, or this sees that it sleeps.
        if self.asleep.load(Ordering::SeqCst)
            && self.asleep.swap(false, Ordering::SeqCst)
            && let Some(writer) = self.writer.get()
        {
            writer.unpark();
        }
    }
}

/// A buffer behind a poisoned lock is whole but for its last line.
fn lock(buffer: &Mutex<Buffer>) -> MutexGuard<'_, Buffer> {
    buffer.lock().unwrap_or_else(PoisonError::into_inner)
}

// === the writer ===

struct Writer<W> {
    shared: Arc<Shared>,
    /// What was taken out of the buffers; empty ones take their places.
    taken: [Buffer; BUFFERS],
    merged: Vec<u8>,
    /// The next number when it looked last: what has a lower one was in a buffer then, or in the
    /// hands of a thread that had locked its buffer.
    seen: u64,
    target: W,
    _end: SyncSender<()>,
}

impl<W: Write> Writer<W> {
    fn run(mut self) {
        loop {
            // Asked first: what was logged before is written.
            let stop = self.shared.stop.load(Ordering::SeqCst);
            if self.take() {
                self.write();
            } else if stop {
                return;
            } else {
                self.sleep();
            }
            if !stop {
                thread::sleep(WAIT);
            }
        }
    }

    /// Takes all there is, and tells whether there was anything.
    fn take(&mut self) -> bool {
        let next = self.shared.next.load(Ordering::SeqCst);
        if std::mem::replace(&mut self.seen, next) == next {
            return false;
        }
        let filled = self.shared.filled.load(Ordering::SeqCst);
        for (at, buffer) in self.shared.buffers.iter().enumerate() {
            if filled & (1 << at) != 0 {
                let mut buffer = lock(buffer);
                self.shared.filled.fetch_and(!(1 << at), Ordering::SeqCst);
                std::mem::swap(&mut *buffer, &mut self.taken[at]);
            }
        }
        self.taken.iter().any(|taken| !taken.lines.is_empty())
    }

    /// Writes what was taken. What cannot be written is lost: held back, it would grow for ever.
    fn write(&mut self) {
        let mut full = self.taken.iter().filter(|taken| !taken.lines.is_empty());
        let text = match (full.next(), full.next()) {
            (Some(one), None) => &one.text,
            _ => {
                merge(&self.taken, &mut self.merged);
                &self.merged
            }
        };
        let written = self.target.write_all(text);
        let lines = self.taken.iter().map(|taken| taken.lines.len()).sum();
        if written.and_then(|()| self.target.flush()).is_err() {
            self.shared.lost.fetch_add(lines, Ordering::Relaxed);
        }
        self.shared.gone.fetch_add(lines as u64, Ordering::Relaxed);
        self.taken.iter_mut().for_each(Buffer::clear);
        self.merged.clear();
        self.merged.shrink_to(KEPT);
    }

    /// Sleeps until there is a line, or no more will come.
    fn sleep(&self) {
        self.shared.asleep.store(true, Ordering::SeqCst);
        let awake = || !self.shared.asleep.load(Ordering::SeqCst);
        if self.shared.next.load(Ordering::SeqCst) == self.seen {
            while !awake() && !self.shared.stop.load(Ordering::SeqCst) {
                thread::park();
            }
        }
        self.shared.asleep.store(false, Ordering::SeqCst);
    }
}

/// The lines of all buffers in the order in which they were logged.
fn merge(buffers: &[Buffer], into: &mut Vec<u8>) {
    let lines = buffers.iter().flat_map(Buffer::lines);
    let mut lines: Vec<_> = lines.collect();
    lines.sort_by_key(|(number, _)| *number);
    for (_, text) in lines {
        into.extend_from_slice(text);
    }
}

impl Buffer {
    fn lines(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let mut begin = 0;
        self.lines.iter().map(move |line| {
            let text = &self.text[begin..line.end];
            begin = line.end;
            (line.number, text)
        })
    }

    fn clear(&mut self) {
        self.text.clear();
        self.lines.clear();
        self.text.shrink_to(KEPT);
        self.lines.shrink_to(KEPT / 64);
    }
}

// === impl LinesGuard ===

impl Drop for LinesGuard {
    fn drop(&mut self) {
        self.lines.0.stop.store(true, Ordering::SeqCst);
        self.writer.unpark();
        // Nothing is ever sent: it ends with the writer. If it does not end, nobody reads the log,
        // and nobody can be told there.
        let _ = self.ended.recv_timeout(PATIENCE);
    }
}

#[cfg(test)]
mod tests;
