//! Signals: a clean abort of a writer, nothing is visible; an end of every other command.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use crate::{
    landing::{Answer, Landing, PARTITION, PROGRAM, RUN},
    running::{Running, is_alive, pid_in, until, until_staged},
};

const SIGNALS: [(Signal, i32); 4] =
    [(Signal::SIGTERM, 143), (Signal::SIGINT, 130), (Signal::SIGHUP, 129), (Signal::SIGQUIT, 131)];
/// As in the foreground of a terminal, even if the caller of the tests ignores some.
const DEFAULT_SIGNALS: &str = "--default-signal=HUP,INT,QUIT";
const MIB: usize = 1024 * 1024;

fn writing(landing: &Landing, more: &[&str]) -> Running {
    started(landing, DEFAULT_SIGNALS, &[&["write", PARTITION, "--run-id", RUN], more].concat())
}

/// Starts the program with an option of `env` for its signals.
fn started(landing: &Landing, signals: &str, args: &[&str]) -> Running {
    let mut command = landing.command_of("env");
    command.args([signals, PROGRAM]).args(args);
    Running::start(command)
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
            let mut extractor = landing.command_of("env");
            extractor.args([DEFAULT_SIGNALS, "sh", "-c", "echo '{}'; exec sleep 100"]);
            extractor.stdout(Stdio::piped());
            let mut extractor = extractor.process_group(0).spawn().unwrap();
            let group = i32::try_from(extractor.id()).unwrap();
            let mut writer = landing.command_of("env");
            writer.args([DEFAULT_SIGNALS, PROGRAM, "write", PARTITION, "--run-id", RUN]);
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

/// `nohup rawsink write ...` survives the end of its terminal.
#[test]
fn a_hangup_that_was_ignored_at_the_start_stays_ignored() {
    let landing = Landing::new();
    let args = ["write", PARTITION, "--run-id", RUN];
    let mut writer = started(&landing, "--ignore-signal=HUP", &args);
    until_staged(&landing.run_dir(RUN), 0);
    writer.signal(Signal::SIGHUP);
    writer.feed(b"{}\n");
    writer.finish().exits(0);
    assert!(landing.metadata(RUN).exists());
}

/// Commands that send a request to the store even if the state is empty.
const COMMANDS: [&[&str]; 12] = [
    &["list"],
    &["show", PARTITION, "--latest"],
    &["read", PARTITION, "--latest"],
    &["verify", PARTITION, "--latest"],
    &["validate", PARTITION, "--latest"],
    &["validate", "--all"],
    &["scrub"],
    &["coverage"],
    &["clean"],
    &["doctor"],
    &["copy", "--to-root", "copied"],
    &["write", PARTITION, "--", "sleep", "60"],
];

/// Returns a landing in a bucket whose server accepts connections and never answers. Without a network it
/// cannot be reached, and the program tries again.
fn in_silence() -> (Landing, TcpListener) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let landing = Landing::new()
        .in_bucket(&format!("http://{}", server.local_addr().unwrap()))
        .with("RAW_SINK_ACCESS_KEY_ID", "id")
        .with("RAW_SINK_SECRET_ACCESS_KEY", "secret");
    (landing, server)
}

/// Waits until a program has a handler for every signal.
#[track_caller]
fn until_handling(command: &mut Running, args: &[&str]) {
    let status = format!("/proc/{}/status", command.pid());
    until(&format!("{args:?} handles all signals"), || {
        let status = fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
        SIGNALS.iter().all(|(signal, _)| caught >> (*signal as i32 - 1) & 1 == 1)
    });
}

/// The kernel delivers no signal without a handler to process 1 of a container.
#[test]
fn every_command_handles_every_signal_also_as_process_1() {
    for args in COMMANDS {
        let (landing, _server) = in_silence();
        let mut command = started(&landing, DEFAULT_SIGNALS, args);
        until_handling(&mut command, args);
    }
}

#[test]
fn every_command_ends_by_one_signal_also_while_the_store_is_silent() {
    for (args, (signal, code)) in COMMANDS.into_iter().zip(SIGNALS.into_iter().cycle()) {
        let (landing, _server) = in_silence();
        let mut command = started(&landing, DEFAULT_SIGNALS, args);
        until_handling(&mut command, args);
        command.signal(signal);
        let answer = command.end();
        // A command without anything to clean up dies of the signal, so that a shell ends its loop too.
        assert!(answer.code.is_none_or(|exit| exit == code), "{args:?}: {answer:#?}");
        let answer = answer.says(&["interrupted by a signal"]);
        let lines = answer.stderr.lines().filter(|line| line.contains("interrupted"));
        assert_eq!(lines.count(), 1, "{args:?}: {answer:#?}");
    }
}

#[test]
fn a_process_that_holds_the_output_of_an_exited_command_is_told() {
    let landing = Landing::new();
    let script = "echo '{}'; sleep 60 & echo $! > pid";
    let mut writer = writing(&landing, &["--", "sh", "-c", script]);
    let left = pid_in(&landing.dir().join("pid"));
    let told = BufReader::new(writer.child().stderr.take().unwrap()).lines().map(Result::unwrap);
    let note = "the command has exited, but its output has not ended";
    assert!(told.into_iter().any(|line| line.starts_with(note)));
    nix::sys::signal::kill(left, Signal::SIGKILL).unwrap();
    writer.end().exits(0);
}

/// A limit of processes is temporary: no panic, no hang, nothing sealed in silence.
#[test]
fn a_limit_of_processes_is_a_temporary_error() {
    let mut met = std::collections::BTreeSet::new();
    for limit in 1..12 {
        let landing = Landing::new();
        // That user may not reach the directory of the program.
        let program = landing.dir().join("program");
        // By another process: a child of a test beside this one would inherit the open file, which could not run then.
        assert!(Command::new("cp").arg(PROGRAM).arg(&program).status().unwrap().success());
        for dir in ["data/raw", ""] {
            std::os::unix::fs::chown(landing.dir().join(dir), Some(64_000), None).ok();
        }
        let limited = format!("ulimit -u {limit}; exec \"$@\"");
        let is_root = rustix::process::geteuid().is_root();
        // The limit does not apply to root.
        let user = ["setpriv", "--reuid=64000", "--regid=64000", "--clear-groups"];
        let user = if is_root { &user[..] } else { &["env"] };
        let mut command = landing.command_of(user[0]);
        command.args(&user[1..]).args(["bash", "-c", &limited, "bash"]).arg(&program);
        command.args(["write", PARTITION, "--run-id", RUN, "--", "echo", "{}"]);
        let answer = Running::start(command).end();
        assert!(!answer.stderr.contains("panicked"), "{limit}: {answer:#?}");
        assert!(matches!(answer.code, Some(0 | 75)), "{limit}: {answer:#?}");
        assert_eq!(answer.code == Some(0), landing.metadata(RUN).exists(), "{limit}: {answer:#?}");
        met.insert(answer.code);
    }
    assert!(met.contains(&Some(75)), "no limit was reached: {met:?}");
}
