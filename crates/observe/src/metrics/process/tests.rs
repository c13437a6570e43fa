use super::*;
use crate::metrics::Sources;

/// A made-up `/proc`.
struct Proc(tempfile::TempDir);

impl Proc {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("stat"), "cpu 1 2 3\nbtime 1000000\n").unwrap();
        Self(dir)
    }

    /// A process with these ticks of its own and of its children, and so many KiB.
    fn put(&self, pid: u32, parent: u32, ticks: [u64; 2], kib: u64) {
        let dir = self.0.path().join(pid.to_string());
        fs::create_dir_all(dir.join("fd")).unwrap();
        let [own, children] = ticks;
        let stat = format!(
            "{pid} (a (b) c) S {parent} 1 1 0 -1 0 0 0 0 0 {own} 0 {children} 0 20 0 7 0 5000 0 0"
        );
        fs::write(dir.join("stat"), stat).unwrap();
        let status = format!("Name:\tx\nVmSize:\t 9 kB\nVmRSS:\t    {kib} kB\n");
        fs::write(dir.join("status"), status).unwrap();
        let limits = "Limit  Soft  Hard\nMax open files            1024       4096    files\n";
        fs::write(dir.join("limits"), limits).unwrap();
    }

    fn end(&self, pid: u32) {
        fs::remove_dir_all(self.0.path().join(pid.to_string())).unwrap();
    }

    fn of(&self, pid: u32) -> Process {
        Process::of(self.0.path(), pid)
    }
}

#[test]
fn memory_and_time_are_those_of_the_whole_tree() {
    let proc = Proc::new();
    proc.put(10, 1, [200, 50], 100);
    proc.put(11, 10, [300, 7], 1000);
    proc.put(12, 11, [100, 0], 500);
    proc.put(13, 1, [9_999, 0], 9_999);
    let sample = proc.of(10).measure().unwrap();
    let expected = Sample {
        cpu: 6.57,
        memory: 1600.0 * 1024.0,
        virtual_memory: Some(9.0 * 1024.0),
        open_fds: Some(0.0),
        max_fds: Some(1024.0),
        threads: 7.0,
        start: Some(1_000_050.0),
        children: 2.0,
        children_memory: 1500.0 * 1024.0,
        children_cpu: 4.57,
    };
    assert_eq!(sample, expected);
}

#[test]
fn the_time_of_children_never_falls() {
    let proc = Proc::new();
    proc.put(10, 1, [200, 0], 100);
    proc.put(11, 10, [300, 0], 100);
    let process = proc.of(10);
    assert_eq!(process.measure().unwrap().children_cpu, 3.0);
    proc.end(11); // and nobody has waited for it
    let after = process.measure().unwrap();
    assert_eq!((after.children, after.children_cpu), (0.0, 3.0));
    assert_eq!(after.cpu, 5.0);
}

#[test]
fn without_proc_the_numbers_are_missing() {
    let nowhere = Process::of(Path::new("/nowhere"), 10);
    let page = Sources::new([Box::new(nowhere) as Box<dyn Source>]).page();
    assert_eq!(page, "# EOF\n");
}

#[test]
#[cfg(target_os = "linux")]
fn this_process_is_seen_as_it_is() {
    let process = Process::this();
    let sample = process.measure().unwrap();
    assert!(sample.memory > 100_000.0, "{sample:?}");
    assert!(sample.open_fds.unwrap() >= 3.0, "{sample:?}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let age = now.unwrap().as_secs_f64() - sample.start.unwrap();
    assert!((-2.0..3600.0).contains(&age), "started {age} s ago");
}
