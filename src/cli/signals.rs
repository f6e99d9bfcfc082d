//! Signals that ask the program to stop: Ctrl-C, SIGTERM, SIGQUIT, and SIGHUP when the terminal closes. They are heard on
//! a thread of its own, so that a second one always ends the process, however busy everything else is.

use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// What the first signal does.
type FirstSignal = Box<dyn FnOnce() + Send>;

static FIRST: Mutex<Option<FirstSignal>> = Mutex::new(None);
static HEARING: Once = Once::new();

/// As long as this is there, the first signal does what was said; the next one, or one that comes later, ends the
/// process at once.
pub(super) struct SignalGuard(());

impl SignalGuard {
    /// Lets the first signal do this.
    pub(super) fn new(first: impl FnOnce() + Send + 'static) -> Self {
        *slot() = Some(Box::new(first));
        HEARING.call_once(hear);
        Self(())
    }
}

impl Drop for SignalGuard {
    fn drop(&mut self) {
        *slot() = None;
    }
}

fn slot() -> MutexGuard<'static, Option<FirstSignal>> {
    FIRST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Without a thread for them signals end the process, as they would anyway.
#[cfg(unix)]
fn hear() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    use signal_hook::iterator::Signals;
    let hang_up = (!is_ignored(SIGHUP)).then_some(SIGHUP);
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGQUIT].into_iter().chain(hang_up)) else { return };
    let heard = move || {
        for _ in signals.forever() {
            let first = slot().take();
            match first {
                // Not here: it may print, and a terminal that takes no more must not keep a second signal waiting.
                Some(first) => drop(std::thread::Builder::new().spawn(first)),
                None => leave(),
            }
        }
    };
    drop(std::thread::Builder::new().name("signals".to_owned()).spawn(heard));
}

#[cfg(not(unix))]
fn hear() {
    drop(tokio::spawn(async {
        while tokio::signal::ctrl_c().await.is_ok() {
            let first = slot().take();
            match first {
                Some(first) => first(),
                None => leave(),
            }
        }
    }));
}

/// Ends the process now; what it has started ends with it (`process/lifeline.rs`).
pub(super) fn leave() -> ! {
    let code = i32::from(crate::cli::ExitStatus::Cancelled as u8);
    #[cfg(unix)]
    signal_hook::low_level::exit(code);
    #[cfg(not(unix))]
    std::process::exit(code)
}

/// Whether whoever started the process wants it to ignore a signal, as `nohup` does.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return !cfg!(target_os = "linux") };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask & (1 << (signal - 1)) != 0
}

/// Signals that mean nothing here would end the process all the same, and are ignored. A file that grows beyond what
/// `ulimit -f` allows makes the write fail, which is reported. Programs that are started get the signals as usual.
pub(super) fn ignore_stray() {
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGALRM, SIGIO, SIGPROF, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXFSZ};
        for signal in [SIGXFSZ, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO] {
            // One that cannot be registered keeps its effect.
            let _ = signal_hook::flag::register(signal, std::sync::Arc::default());
        }
    }
}
