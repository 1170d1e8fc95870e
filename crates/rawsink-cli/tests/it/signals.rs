//! SIGTERM and SIGINT in the middle of a stream: a clean abort, nothing is visible.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::Stdio,
    thread,
    time::Instant,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use crate::{
    landing::{Answer, Landing, PARTITION, RUN},
    running::{Running, is_alive, pid_in, until_staged},
};

const SIGNALS: [(Signal, i32); 2] = [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)];
const MIB: usize = 1024 * 1024;

fn writing(landing: &Landing, more: &[&str]) -> Running {
    let args = [&["write", PARTITION, "--run-id", RUN], more].concat();
    Running::start(landing.command(args))
}

/// Asserts that nothing is visible and that the same run can be written now.
#[track_caller]
fn assert_clean_abort(landing: &Landing, answer: Answer, code: i32) {
    let answer = answer.exits(code).says(&["interrupted by a signal; nothing was sealed"]);
    assert_eq!(answer.stdout, "");
    landing.assert_nothing_of(RUN);
    assert!(!landing.dir().join("data/raw").exists() || !has_files(landing), "files are left");
    landing.land(RUN, "{\"again\":true}\n");
    let read = landing.rawsink(["read", PARTITION, "--latest"]).exits(0);
    assert_eq!(read.stdout, "{\"again\":true}\n");
}

fn has_files(landing: &Landing) -> bool {
    landing.files().iter().any(|path| path.starts_with("data/"))
}

#[test]
fn g08_a_signal_before_the_first_row_leaves_nothing() {
    for (signal, code) in SIGNALS {
        let landing = Landing::new();
        let mut writer = writing(&landing, &[]);
        until_staged(&landing.run_dir(RUN), 0);
        writer.signal(signal);
        assert_clean_abort(&landing, writer.end(), code);
    }
}

#[test]
fn g08_a_signal_stops_a_writer_of_an_unreachable_server_at_once() {
    for (signal, code) in SIGNALS {
        let landing = Landing::new()
            .in_bucket("http://127.0.0.1:1")
            .with("RAW_SINK_ACCESS_KEY_ID", "id")
            .with("RAW_SINK_SECRET_ACCESS_KEY", "secret");
        let mut writer = writing(&landing, &[]);
        let mut told = String::new();
        BufReader::new(writer.child().stderr.as_mut().unwrap()).read_line(&mut told).unwrap();
        assert!(told.contains("retrying"), "{told}");
        writer.signal(signal);
        writer.end().exits(code).says(&["interrupted by a signal; nothing was sealed"]);
    }
}

#[test]
fn g08_a_signal_in_the_middle_of_standard_input_leaves_nothing() {
    for (signal, code) in SIGNALS {
        let landing = Landing::new();
        let mut writer = writing(&landing, &[]);
        writer.feed("{\"some\":\"rows\"}\n".repeat(300_000).as_bytes());
        until_staged(&landing.run_dir(RUN), 3 * MIB as u64);
        writer.signal(signal);
        assert_clean_abort(&landing, writer.end(), code);
    }
}

#[test]
fn g08_a_signal_in_the_middle_of_100_mib_leaves_nothing() {
    let landing = Landing::new();
    let mut writer = writing(&landing, &[]);
    let mut stdin = writer.child().stdin.take().unwrap();
    let feeder = thread::spawn(move || {
        use std::io::Write;
        let rows = format!("{{\"row\":\"{}\"}}\n", "x".repeat(289)).repeat(MIB / 300);
        // Ends when the writer has ended and the pipe has no reader.
        while stdin.write_all(rows.as_bytes()).is_ok() {}
    });
    until_staged(&landing.run_dir(RUN), 100 * MIB as u64);
    writer.signal(Signal::SIGTERM);
    let answer = writer.end();
    feeder.join().unwrap();
    assert_clean_abort(&landing, answer, 143);
}

#[test]
fn g08_a_signal_during_a_command_stops_the_command_too() {
    for (signal, code) in SIGNALS {
        for script in ["exec yes '{}'", "echo '{}'; exec sleep 30"] {
            let landing = Landing::new();
            let script = format!("echo $$ > pid; {script}");
            let mut writer = writing(&landing, &["--", "sh", "-c", &script]);
            let command = pid_in(&landing.dir().join("pid"));
            until_staged(&landing.run_dir(RUN), 0);
            assert!(is_alive(command));
            writer.signal(signal);
            let answer = writer.end();
            assert!(!is_alive(command), "the command is still running");
            assert_clean_abort(&landing, answer, code);
        }
    }
}

#[test]
fn a_signal_stops_a_command_that_has_closed_its_output() {
    let landing = Landing::new();
    let script = "echo '{}'; exec >&-; echo $$ > pid; exec sleep 30";
    let mut writer = writing(&landing, &["--", "sh", "-c", script]);
    let command = pid_in(&landing.dir().join("pid"));
    writer.signal(Signal::SIGTERM);
    let answer = writer.end();
    assert!(!is_alive(command), "the command is still running");
    assert_clean_abort(&landing, answer, 143);
}

#[test]
fn a_command_that_ignores_the_signal_is_killed() {
    let landing = Landing::new();
    let script = "trap '' TERM; echo '{}'; echo $$ > pid; while :; do sleep 0.1; done";
    let mut writer = writing(&landing, &["--", "sh", "-c", script]);
    let command = pid_in(&landing.dir().join("pid"));
    let start = Instant::now();
    writer.signal(Signal::SIGTERM);
    let answer = writer.end();
    assert!(!is_alive(command), "the command is still running");
    assert!(start.elapsed().as_secs() >= 2, "the command had no time to end by itself");
    assert_clean_abort(&landing, answer, 143);
}

#[test]
fn a_command_inherits_signals_and_size_limits_unchanged() {
    let landing = Landing::new();
    let args = ["write", PARTITION, "--run-id", RUN, "--"];
    let status = "grep -E '^Sig(Blk|Ign)' /proc/self/status | sed 's/.*/{\"is\":\"&\"}/; s/\\t//'";
    landing.rawsink([&args[..], &["sh", "-c", status]].concat()).exits(0);
    let through = landing.rawsink(["read", PARTITION, "--latest"]).exits(0).stdout;
    let mut alone = landing.command_of("sh");
    alone.args(["-c", status]);
    let alone = crate::landing::answer(alone, b"").exits(0).stdout;
    assert_eq!(masks(&through).len(), 2, "{through}");
    assert_eq!(masks(&through), masks(&alone));
}

/// Returns the masks of blocked and ignored signals, except SIGINT and SIGQUIT: the caller of the
/// tests may ignore these in the background.
fn masks(rows: &str) -> Vec<u64> {
    let masks = rows.lines().map(|row| row.trim_end_matches("\"}").rsplit(':').next().unwrap());
    masks.map(|mask| u64::from_str_radix(mask, 16).unwrap() & !0b110).collect()
}

/// A terminal sends Ctrl-C to the whole foreground group: the extractor dies, and
/// the end of its rows must not look like a normal end.
#[test]
fn g08_a_signal_to_the_whole_group_never_seals_partial_output() {
    for (number, code) in SIGNALS {
        for _ in 0..30 {
            let landing = Landing::new();
            // As in the foreground, even if the caller of the tests ignores SIGINT.
            let mut extractor = landing.command_of("env");
            extractor.args(["--default-signal=INT", "sh", "-c", "echo '{}'; exec sleep 100"]);
            extractor.stdout(Stdio::piped());
            let mut extractor = extractor.process_group(0).spawn().unwrap();
            let group = i32::try_from(extractor.id()).unwrap();
            let mut writer = landing.command(["write", PARTITION, "--run-id", RUN]);
            writer.stdin(extractor.stdout.take().unwrap()).stdout(Stdio::null());
            let mut writer = writer.stderr(Stdio::null()).process_group(group).spawn().unwrap();
            until_staged(&landing.run_dir(RUN), 0);
            killpg(Pid::from_raw(group), number).unwrap();
            assert_eq!(writer.wait().unwrap().code(), Some(code));
            extractor.wait().unwrap();
            landing.assert_nothing_of(RUN);
        }
    }
}

/// A service manager signals rawsink; a command that exits 0 on SIGTERM lacks rows.
#[test]
fn g08_a_command_that_exits_0_on_a_signal_is_not_sealed() {
    let script = "trap 'exit 0' TERM; echo '{}'; while :; do sleep 0.01; done";
    for _ in 0..30 {
        let landing = Landing::new();
        let mut writer = writing(&landing, &["--", "sh", "-c", script]);
        until_staged(&landing.run_dir(RUN), 0);
        writer.signal(Signal::SIGTERM);
        assert_clean_abort(&landing, writer.end(), 143);
    }
}

#[test]
fn processes_left_by_a_signalled_command_are_stopped_too() {
    let landing = Landing::new();
    let deaf = "(trap '' TERM; exec sleep 40) & echo $! > pid";
    let script = format!("{deaf}; trap 'exit 0' TERM; echo '{{}}'; while :; do sleep 0.1; done");
    let mut writer = writing(&landing, &["--", "sh", "-c", &script]);
    let left = pid_in(&landing.dir().join("pid"));
    until_staged(&landing.run_dir(RUN), 0);
    let start = Instant::now();
    writer.signal(Signal::SIGTERM);
    let answer = writer.end();
    assert!(start.elapsed().as_secs() < 20, "waited for the child's child");
    assert!(!is_alive(left), "the child's child is still running");
    assert_clean_abort(&landing, answer, 143);
}

#[test]
fn processes_started_by_a_command_are_stopped_with_it() {
    let landing = Landing::new();
    let script = "echo '{}'; sleep 60 & echo $! > pid; exit 3";
    let answer = landing.rawsink(["write", PARTITION, "--run-id", RUN, "--", "sh", "-c", script]);
    assert!(answer.exits(1).stderr.contains("exited with 3"));
    assert!(!is_alive(pid_in(&landing.dir().join("pid"))), "the child's child is still running");
    landing.assert_nothing_of(RUN);
}
