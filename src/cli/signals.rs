//! Signals that ask the program to stop: Ctrl-C, SIGTERM, SIGQUIT, and SIGHUP when the terminal closes. A separate
//! thread listens for them, so that a second one always ends the process, however busy everything else is.

use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// The action for the first signal.
type Handler = Box<dyn FnOnce() + Send>;

static HANDLER: Mutex<Option<Handler>> = Mutex::new(None);
static LISTENER: Once = Once::new();

/// While this exists, the first signal runs the handler; the next one, or any later one, ends the process at once.
pub(super) struct SignalGuard(());

impl SignalGuard {
    /// Runs this on the first signal.
    pub(super) fn new(first: impl FnOnce() + Send + 'static) -> Self {
        *slot() = Some(Box::new(first));
        LISTENER.call_once(listen);
        Self(())
    }
}

impl Drop for SignalGuard {
    fn drop(&mut self) {
        *slot() = None;
    }
}

fn slot() -> MutexGuard<'static, Option<Handler>> {
    HANDLER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// If the thread cannot be started, signals end the process, as they do by default.
#[cfg(unix)]
fn listen() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    use signal_hook::iterator::Signals;
    let hang_up = (!is_ignored(SIGHUP)).then_some(SIGHUP);
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGQUIT].into_iter().chain(hang_up)) else { return };
    let listener = move || {
        for _ in signals.forever() {
            let first = slot().take();
            match first {
                // Not on this thread: the handler may print, and a blocked terminal must not delay a second signal.
                Some(first) => drop(std::thread::Builder::new().spawn(first)),
                None => exit_now(),
            }
        }
    };
    drop(std::thread::Builder::new().name("signals".to_owned()).spawn(listener));
}

#[cfg(not(unix))]
fn listen() {
    drop(tokio::spawn(async {
        while tokio::signal::ctrl_c().await.is_ok() {
            let first = slot().take();
            match first {
                Some(first) => first(),
                None => exit_now(),
            }
        }
    }));
}

/// Ends the process at once; programs that it has started end with it (`process/lifeline.rs`).
pub(super) fn exit_now() -> ! {
    let code = i32::from(crate::cli::ExitStatus::Cancelled as u8);
    #[cfg(unix)]
    signal_hook::low_level::exit(code);
    #[cfg(not(unix))]
    std::process::exit(code)
}

/// Whether the process was started with a signal ignored, as `nohup` does.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return !cfg!(target_os = "linux") };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask & (1 << (signal - 1)) != 0
}

/// Ignores signals that have no meaning here and would end the process. With SIGXFSZ ignored, a file beyond `ulimit
/// -f` makes the write fail, which is reported. Started programs get the signals as usual.
pub(super) fn ignore_unused() {
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGALRM, SIGIO, SIGPROF, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXFSZ};
        for signal in [SIGXFSZ, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO] {
            // A signal that cannot be registered keeps its default action.
            let _ = signal_hook::flag::register(signal, std::sync::Arc::default());
        }
    }
}
