//! Streaming a [`Layout`]: weights are computed in granules by several threads, written in order by one, and never more
//! than a window of them is in memory.

use crate::{Error, Layout, Piece, Result, WriteOptions};
use flate2::Crc;
use modelsmith_base::wide;
use modelsmith_tensor::Ranged;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};

/// Bytes computed at a time, unless the budget wants fewer.
const GRANULE: usize = 4 << 20;
/// Granules of zeros from this size on are left out of the file.
const HOLE: usize = 64 << 10;
/// Writes below this are gathered.
const SMALL: usize = 64 << 10;

/// What [`crate::Output::emit`] wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Emitted {
    /// Bytes of the file, holes included.
    pub bytes: u64,
    /// CRC-32 of each weight, by its number.
    pub crcs: Vec<u32>,
}

/// Where a layout goes.
pub(crate) trait Place {
    /// Puts bytes at the end.
    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()>;
    /// Puts zeros at the end.
    fn zeros(&mut self, count: u64) -> std::io::Result<()>;
}

struct Job<'a> {
    weight: Arc<Ranged<'a>>,
    offset: u64,
    len: usize,
    room: Vec<u8>,
}

struct Granule {
    bytes: Vec<u8>,
    crc: Crc,
    zero: bool,
}

type Answer = modelsmith_tensor::Result<Granule>;

/// One thread that computes granules in the order in which it is asked.
struct Worker<'a> {
    ask: SyncSender<Job<'a>>,
    answers: Receiver<Answer>,
}

/// What is to be written next, in file order.
enum Waiting<'l> {
    /// A granule of the weight `owner`, which `worker` computes.
    Granule {
        worker: usize,
        owner: usize,
    },
    Piece(&'l Piece),
}

struct Stream<'a, 'p> {
    workers: Vec<Worker<'a>>,
    pending: VecDeque<Waiting<'p>>,
    /// Granules among them.
    granules: usize,
    window: usize,
    next: usize,
    rooms: Vec<Vec<u8>>,
    gathered: Vec<u8>,
    place: &'p mut dyn Place,
    crcs: Vec<Crc>,
    done: u64,
    payload: u64,
    progress: &'a dyn Fn(u64, u64),
}

/// Writes `layout` to `place`.
///
/// # Errors
/// When a weight cannot be computed within the budget, or the place cannot be written.
pub(crate) fn emit<'p>(layout: &'p Layout, place: &'p mut dyn Place, options: &WriteOptions<'_>) -> Result<Emitted> {
    let threads = options.threads.clamp(1, 16);
    let window = threads.saturating_mul(2);
    let share = usize::try_from(options.budget.limit() / 4).unwrap_or(usize::MAX) / window;
    let granule = GRANULE.min(share.max(4096));
    let held = options.budget.reserve(wide(granule.saturating_mul(window)));
    let _held = held.map_err(modelsmith_tensor::Error::from)?;
    std::thread::scope(|scope| {
        let workers = (0..threads).map(|_| {
            let (ask, jobs) = sync_channel::<Job<'_>>(2);
            let (answer, answers) = channel();
            scope.spawn(move || {
                for job in jobs {
                    if answer.send(compute(job)).is_err() {
                        break;
                    }
                }
            });
            Worker { ask, answers }
        });
        let mut stream = Stream {
            workers: workers.collect(),
            pending: VecDeque::new(),
            granules: 0,
            window,
            next: 0,
            rooms: Vec::new(),
            gathered: Vec::new(),
            place,
            crcs: Vec::new(),
            done: 0,
            payload: layout.payload(),
            progress: options.progress,
        };
        stream.all(layout, granule, options)?;
        let crcs = stream.crcs.iter().map(Crc::sum).collect();
        Ok(Emitted { bytes: layout.at(), crcs })
    })
}

fn compute(job: Job<'_>) -> Answer {
    let mut bytes = job.room;
    bytes.resize(job.len, 0);
    job.weight.fill(job.offset, &mut bytes)?;
    let zero = bytes.len() >= HOLE && is_zero(&bytes);
    let mut crc = Crc::new();
    crc.update(&bytes);
    Ok(Granule { bytes, crc, zero })
}

fn is_zero(bytes: &[u8]) -> bool {
    // Whole groups at a time, which the compiler turns into wide ors.
    let (groups, rest) = bytes.as_chunks::<256>();
    groups.iter().all(|g| g.iter().fold(0, |all, &b| all | b) == 0) && rest.iter().all(|&b| b == 0)
}

impl<'a, 'p> Stream<'a, 'p> {
    fn all(&mut self, layout: &'p Layout, granule: usize, options: &WriteOptions<'a>) -> Result<()> {
        for piece in layout.pieces() {
            if let Piece::Weight { expr, form, .. } = piece {
                let weight = Arc::new(Ranged::new(expr, *form, options.evaluator, &options.budget)?);
                self.crcs.push(Crc::new());
                self.weight(&weight, granule)?;
            } else {
                self.pending.push_back(Waiting::Piece(piece));
            }
        }
        while self.write_next()? {}
        self.flush()
    }

    fn weight(&mut self, weight: &Arc<Ranged<'a>>, granule: usize) -> Result<()> {
        let unit = weight.unit().max(1);
        let step = (granule / unit).max(1).saturating_mul(unit);
        let owner = self.crcs.len().saturating_sub(1);
        let mut offset = 0;
        while offset < weight.byte_len() {
            let left = weight.byte_len().saturating_sub(offset);
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(step);
            let room = self.rooms.pop().unwrap_or_default();
            let job = Job { weight: weight.clone(), offset, len, room };
            let worker = self.next;
            self.workers.get(worker).and_then(|w| w.ask.send(job).ok()).ok_or_else(gone)?;
            self.pending.push_back(Waiting::Granule { worker, owner });
            self.granules = self.granules.saturating_add(1);
            self.next = self.next.saturating_add(1).checked_rem(self.workers.len()).unwrap_or(0);
            while self.granules >= self.window && self.write_next()? {}
            offset = offset.saturating_add(wide(len));
        }
        Ok(())
    }

    /// Writes what is first in line; false when nothing is.
    fn write_next(&mut self) -> Result<bool> {
        match self.pending.pop_front() {
            Some(Waiting::Granule { worker, owner }) => self.granule(worker, owner)?,
            Some(Waiting::Piece(Piece::Bytes(bytes))) => self.put(bytes)?,
            Some(Waiting::Piece(Piece::Zeros(count))) => self.zeros(*count)?,
            Some(Waiting::Piece(Piece::Sealed { make, .. })) => {
                let bytes = make(&self.crcs);
                self.put(&bytes)?;
            }
            Some(Waiting::Piece(Piece::Weight { .. })) => {}
            None => return Ok(false),
        }
        Ok(true)
    }

    fn granule(&mut self, worker: usize, owner: usize) -> Result<()> {
        self.granules = self.granules.saturating_sub(1);
        let granule = self.workers.get(worker).and_then(|w| w.answers.recv().ok()).ok_or_else(gone)??;
        if let Some(crc) = self.crcs.get_mut(owner) {
            crc.combine(&granule.crc);
        }
        let len = wide(granule.bytes.len());
        match granule.zero {
            true => self.zeros(len)?,
            false => self.put(&granule.bytes)?,
        }
        self.done = self.done.saturating_add(len);
        (self.progress)(self.done, self.payload);
        self.rooms.push(granule.bytes);
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() < SMALL {
            self.gathered.extend_from_slice(bytes);
            return if self.gathered.len() < 16 * SMALL { Ok(()) } else { self.flush() };
        }
        self.flush()?;
        self.place.put(bytes).map_err(cannot)
    }

    fn zeros(&mut self, count: u64) -> Result<()> {
        match usize::try_from(count) {
            Ok(few) if few < SMALL => {
                let len = self.gathered.len().saturating_add(few);
                self.gathered.resize(len, 0);
                Ok(())
            }
            _ => {
                self.flush()?;
                self.place.zeros(count).map_err(cannot)
            }
        }
    }

    fn flush(&mut self) -> Result<()> {
        let done = self.place.put(&self.gathered).map_err(cannot);
        self.gathered.clear();
        done
    }
}

fn gone() -> Error {
    Error::new(crate::Kind::Io, "a thread that reads weights ended")
}

fn cannot(e: std::io::Error) -> Error {
    Error::io("cannot be written", e)
}
