//! CPU time, peak memory and wall time of one child process.
//!
//! The system counts the resources of all children together, so each command runs below a
//! separate process without other children.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use nix::sys::resource::{UsageWho, getrusage};

/// Resources used by a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu_s: f64,
    pub(crate) wall_s: f64,
    pub(crate) peak_mib: f64,
}

impl Usage {
    pub(crate) fn least(self, other: Self) -> Self {
        Self {
            cpu_s: self.cpu_s.min(other.cpu_s),
            wall_s: self.wall_s.min(other.wall_s),
            // Memory has a limit: the maximum applies.
            peak_mib: self.peak_mib.max(other.peak_mib),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    pub(crate) fn cpu_per_gib(self, bytes: u64) -> f64 {
        self.cpu_s * f64::from(1 << 30) / bytes as f64
    }
}

/// Runs a command in `dir`, with its own variables, below a measuring process.
pub(crate) fn measure(dir: &Path, variables: &[(&str, String)], command: &[&str]) -> Usage {
    let own = std::env::current_exe().unwrap();
    let output = Command::new(own)
        .arg("measure")
        .args(command)
        .current_dir(dir)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{command:?} failed");
    let text = String::from_utf8(output.stdout).unwrap();
    let figures: Vec<f64> = text.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
    Usage { cpu_s: figures[0], wall_s: figures[1], peak_mib: figures[2] }
}

/// The measuring process: runs the command and prints its resources.
pub(crate) fn child(command: &[&str]) {
    let start = Instant::now();
    let (program, arguments) = command.split_first().unwrap();
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{command:?} ended with {status}");
    let wall_s = start.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let seconds = |time: nix::sys::time::TimeVal| {
        f64::from(u32::try_from(time.tv_sec()).unwrap())
            + f64::from(u32::try_from(time.tv_usec()).unwrap()) / 1e6
    };
    let cpu_s = seconds(usage.user_time()) + seconds(usage.system_time());
    let peak_mib = f64::from(u32::try_from(usage.max_rss()).unwrap()) / 1024.0;
    println!("{cpu_s} {wall_s} {peak_mib}");
}
