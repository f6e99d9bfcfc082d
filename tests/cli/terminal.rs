//! A terminal with somebody at it: the program on a real pseudo-terminal, made by `script`.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::cli::world::World;

pub struct Terminal {
    script: Child,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    /// Starts a shell line in which `jitney` is the program, with this place as its own.
    pub fn start(world: &World, line: &str) -> Self {
        let jitney = format!("{} --home {}", env!("CARGO_BIN_EXE_jitney"), world.home().display());
        let mut script = Command::new("script");
        script.args(["-qfec", &line.replace("jitney", &jitney), "/dev/null"]);
        script.env_clear().env("PATH", std::env::var("PATH").unwrap()).env("HOME", world.path(""));
        script.env("TERM", "xterm").env("NO_COLOR", "1").env("SHELL", "/bin/sh").current_dir(world.path(""));
        let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("`script` of util-linux");
        let screen = Arc::<Mutex<String>>::default();
        let (mut out, shown) = (script.stdout.take().unwrap(), screen.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = out.read(&mut bytes) {
                shown.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { script, screen }
    }

    /// Everything that was shown so far.
    pub fn screen(&self) -> String {
        self.screen.lock().unwrap().clone()
    }

    /// Waits until the screen shows this, then types these keys.
    #[track_caller]
    pub fn answers(&mut self, question: &str, keys: &str) -> &mut Self {
        self.sees(question);
        // The question is there a moment before somebody listens.
        std::thread::sleep(Duration::from_millis(150));
        self.script.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
        self
    }

    #[track_caller]
    pub fn sees(&self, text: &str) {
        let begun = Instant::now();
        while !self.screen().contains(text) {
            assert!(begun.elapsed() < Duration::from_secs(30), "`{text}` did not come:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the end, and gives the exit code and all that was shown.
    pub fn ended(mut self) -> (Option<i32>, String) {
        let code = self.script.wait().unwrap().code();
        std::thread::sleep(Duration::from_millis(50));
        (code, self.screen())
    }
}
