//! Script tasks, with the real shell and the real Python.
#![expect(clippy::unwrap_used, reason = "a failure here is the failure of a test")]

use crate::common::attempt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use jitney::task::{ErrorClass, Level, Outputs, TaskError};
use serde_json::{Value, json};
use tempfile::tempdir;

const COMMANDS: &str = "io.kestra.plugin.scripts.shell.Commands";
const DOCKER: &str = "io.kestra.plugin.scripts.runner.docker.Docker";

async fn run_in(home: &Path, kind: &str, fields: Value) -> Result<Outputs, TaskError> {
    attempt::run(attempt::context(home, &[]).0, kind, fields).await
}

async fn run(kind: &str, fields: Value) -> Result<Outputs, TaskError> {
    run_in(tempdir().unwrap().path(), kind, fields).await
}

/// The text of a stored file.
fn stored(home: &Path, uri: &Value) -> String {
    let (context, _) = attempt::context(home, &[]);
    fs::read_to_string(context.storage.path(uri.as_str().unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn outputs_metrics_and_logs_are_taken_from_lines_of_the_protocol() {
    let home = tempdir().unwrap();
    let (context, lines) = attempt::context(home.path(), &[]);
    let commands = json!([
        "echo before",
        r#"echo '::{"outputs":{"a":{"b":[1,null]},"c":"x"}}::'"#,
        r#"echo '::{"outputs":{"c":"y"},"metrics":[{"name":"n","type":"counter","value":2}],"logs":[{"level":"WARN","message":"look"}]}::'"#,
        "echo '::{broken}::'",
        "echo to the error output >&2"
    ]);
    let outputs = attempt::run(context, COMMANDS, json!({ "commands": commands })).await.unwrap();
    assert_eq!(outputs["vars"], json!({"a": {"b": [1, null]}, "c": "y"}));
    assert_eq!(outputs["metrics"], json!([{"name": "n", "type": "counter", "value": 2}]));
    assert_eq!(outputs["exitCode"], 0);
    let lines = lines.lock().unwrap();
    let has = |level, text: &str| lines.iter().any(|(at, line)| *at == level && line == text);
    assert!(
        has(Level::Info, "before") && has(Level::Warn, "look") && has(Level::Warn, "to the error output"),
        "{lines:?}"
    );
    assert!(lines.iter().any(|(level, line)| *level == Level::Warn && line.contains("::{broken}::")), "{lines:?}");
    assert!(!lines.iter().any(|(_, line)| line.contains("outputs\"")), "{lines:?}");
}

#[tokio::test]
async fn files_go_in_and_out_and_nothing_is_left_behind() {
    let home = tempdir().unwrap();
    let (context, _) = attempt::context(home.path(), &[]);
    let earlier = context.output_file("rows.csv").unwrap();
    fs::write(&earlier.path, "1\n2\n").unwrap();
    fs::write(home.path().join("mine.txt"), "of the flow's folder\n").unwrap();
    let fields = json!({
        "inputFiles": {"data/rows.csv": earlier.uri, "note.txt": "in __JITNEY_WORKING_DIR__", "mine.txt": "file://mine.txt", "n.json": {"a": 1}},
        "outputFiles": ["*.out", "deep/**", "__JITNEY_WORKING_DIR__/n.json"],
        "env": {"WHO": "me", "WHERE": "__JITNEY_WORKING_DIR__", "COUNT": 3},
        "beforeCommands": ["GREETING=hello"],
        "commands": [
            "cat data/rows.csv mine.txt > a.out",
            format!("wc -l < {} | tr -d ' ' > b.out; echo 3 >> {0}", earlier.uri),
            "mkdir -p 'deep/er one'; echo \"$GREETING $WHO $COUNT\" > 'deep/er one/c.txt'",
            "test \"$WHERE\" = \"$(pwd)\" && test \"$(cat note.txt)\" = \"in $(pwd)\""
        ]
    });
    let outputs = attempt::run(context, "shell.commands", fields).await.unwrap();
    let files = outputs["outputFiles"].as_object().unwrap();
    let texts: Vec<(&str, String)> =
        files.iter().map(|(name, uri)| (name.as_str(), stored(home.path(), uri))).collect();
    let expected = [
        ("a.out", "1\n2\nof the flow's folder\n"),
        ("b.out", "2\n"),
        ("deep/er one/c.txt", "hello me 3\n"),
        ("n.json", "{\"a\":1}"),
    ];
    assert_eq!(texts, expected.map(|(name, text)| (name, text.to_owned())));
    assert_eq!(fs::read_to_string(&earlier.path).unwrap(), "1\n2\n", "a script changed a stored file");
    assert_eq!(fs::read_dir(home.path().join("work")).unwrap().count(), 0);
}

#[tokio::test]
async fn no_input_file_can_be_put_outside_the_working_folder() {
    for name in ["../x", "/tmp/x", "a/../../x", "", "."] {
        let error = run(COMMANDS, json!({"inputFiles": {name: "x"}, "commands": ["true"]})).await.unwrap_err();
        assert!(error.message.contains("working folder"), "{name:?}: {error}");
    }
}

#[tokio::test]
async fn a_failing_command_gives_its_exit_code_and_last_words() {
    let fields = json!({"commands": ["echo fine", "echo 'no such table' >&2; (exit 3)", "echo never"]});
    let error = run(COMMANDS, fields.clone()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    assert_eq!(error.message, "the script ended with exit code 3:\nno such table");
    let mut patient = fields;
    patient["failFast"] = json!(false);
    assert_eq!(run(COMMANDS, patient).await.unwrap()["exitCode"], 0);
    let missing = run("shell.script", json!({"script": "no-such-program-here"})).await.unwrap_err();
    assert!(missing.help.unwrap().contains("not installed"));
    let killed = run(COMMANDS, json!({"commands": ["kill -9 $$"]})).await.unwrap_err();
    assert!(killed.message.contains("killed by signal 9"), "{killed}");
}

#[tokio::test]
async fn secrets_of_the_environment_stay_out_of_scripts() {
    let home = tempdir().unwrap();
    let (context, lines) = attempt::context(home.path(), &[("PGPASSWORD", "hunter22"), ("TZ", "Asia/Tokyo")]);
    attempt::run(context, COMMANDS, json!({"commands": ["echo \"[$PGPASSWORD][$TZ]\""]})).await.unwrap();
    assert_eq!(lines.lock().unwrap()[0].1, "[][Asia/Tokyo]");
}

#[tokio::test]
async fn stopping_ends_the_programs_that_a_script_started_too() {
    let home = tempdir().unwrap();
    let (context, lines) = attempt::context(home.path(), &[]);
    let stop = context.cancel.clone();
    let commands = json!(["sh -c 'sleep 600 & echo child $!; wait' & echo parent $$; wait"]);
    let attempt = tokio::spawn(attempt::run(context, COMMANDS, json!({ "commands": commands })));
    let numbers = loop {
        let numbers: Vec<String> =
            lines.lock().unwrap().iter().filter_map(|(_, line)| Some(line.split_once(' ')?.1.to_owned())).collect();
        if numbers.len() == 2 {
            break numbers;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    stop.cancel();
    assert_eq!(attempt.await.unwrap().unwrap_err().class, ErrorClass::Cancelled);
    for number in numbers {
        assert!(ends(&number).await, "process {number} still runs");
    }
    assert_eq!(fs::read_dir(home.path().join("work")).unwrap().count(), 0);
}

#[tokio::test]
async fn what_a_script_leaves_in_the_background_does_not_outlive_it() {
    let home = tempdir().unwrap();
    let (context, lines) = attempt::context(home.path(), &[]);
    let commands = json!(["sleep 600 > /dev/null 2>&1 & echo child $!", "echo done"]);
    attempt::run(context, COMMANDS, json!({ "commands": commands })).await.unwrap();
    let number = lines.lock().unwrap()[0].1.replace("child ", "");
    assert!(ends(&number).await, "process {number} still runs");
}

#[tokio::test]
async fn a_daemon_that_leaves_its_group_does_not_outlive_the_script_either() {
    let home = tempdir().unwrap();
    let (context, lines) = attempt::context(home.path(), &[]);
    let commands = json!(["setsid sh -c 'sleep 600 & echo child $!' > said", "cat said"]);
    attempt::run(context, COMMANDS, json!({ "commands": commands })).await.unwrap();
    let number = lines.lock().unwrap()[0].1.replace("child ", "");
    assert!(ends(&number).await, "process {number} still runs");
}

/// Whether the process, which was killed, ends soon. A zombie has ended, and is its new parent's to collect.
async fn ends(number: &str) -> bool {
    for _ in 0..1000 {
        let status = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        if status.is_empty() || status.contains(") Z ") {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    false
}

#[tokio::test]
async fn endless_lines_are_bounded_and_progress_bars_show_their_last_state() {
    let home = tempdir().unwrap();
    let (context, lines) = attempt::context(home.path(), &[]);
    let commands =
        json!(["head -c 3000000 /dev/zero | tr '\\0' x; echo", "printf '10%%\\r99%%\\r\\n'", "printf 'no end'"]);
    attempt::run(context, COMMANDS, json!({ "commands": commands })).await.unwrap();
    let lines = lines.lock().unwrap().clone();
    assert!(lines[0].1.len() < 20_000 && lines[0].1.ends_with("(a longer line)"), "{} bytes", lines[0].1.len());
    assert_eq!(lines[1..].iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>(), ["99%", "no end"]);
    let flood = json!(["printf '::{\"outputs\":{\"x\":\"'; head -c 3000000 /dev/zero | tr '\\0' x; echo '\"}}::'"]);
    let error = run(COMMANDS, json!({ "commands": flood })).await.unwrap_err();
    assert!(error.message.contains("more than 1 MiB") && error.help.unwrap().contains("outputFiles"));
}

#[tokio::test]
async fn python_runs_with_its_input_files_and_shows_the_line_that_failed() {
    let home = tempdir().unwrap();
    let fields = json!({
        "inputFiles": {"helper.py": "def double(n):\n    return 2 * n\n"},
        "outputFiles": ["*"],
        "script": "import helper, json, sys\nopen('out.txt', 'w').write(str(helper.double(21)))\nprint('::' + json.dumps({'outputs': {'argv': len(sys.argv)}}) + '::')"
    });
    let outputs = run_in(home.path(), "io.kestra.plugin.scripts.python.Script", fields).await.unwrap();
    assert_eq!(outputs["vars"], json!({"argv": 1}));
    let names: Vec<&String> = outputs["outputFiles"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["helper.py", "out.txt"]);
    assert_eq!(stored(home.path(), &outputs["outputFiles"]["out.txt"]), "42");
    let error = run("python.script", json!({"script": "x = 1\nraise ValueError('wrong month')"})).await.unwrap_err();
    assert!(error.message.contains("exit code 1") && error.message.contains("line 2"), "{error}");
    let missing = run("python.script", json!({"script": "import not_a_module_at_all.x"})).await.unwrap_err();
    assert!(missing.help.unwrap().contains("dependencies: [not_a_module_at_all]"));
    let commands = json!({"inputFiles": {"main.py": "print(6 * 7)"}, "commands": ["python main.py > answer", "test $(cat answer) = 42"]});
    run("io.kestra.plugin.scripts.python.Commands", commands).await.unwrap();
}

#[tokio::test]
async fn python_is_found_where_it_is_called_python3_only() {
    let home = tempdir().unwrap();
    let programs = home.path().join("programs");
    fs::create_dir(&programs).unwrap();
    let answer =
        std::process::Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
    let python = String::from_utf8(answer.stdout).unwrap();
    fs::write(programs.join("python3"), format!("#!/bin/sh\nexec {} \"$@\"\n", python.trim())).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(programs.join("python3"), executable).unwrap();
    let (context, lines) = attempt::context(home.path(), &[("PATH", programs.to_str().unwrap())]);
    attempt::run(context, "python.script", json!({"script": "print('here')"})).await.unwrap();
    assert_eq!(lines.lock().unwrap()[0].1, "here");
    let (context, _) = attempt::context(home.path(), &[("PATH", home.path().to_str().unwrap())]);
    let error = attempt::run(context, "python.script", json!({"script": "1"})).await.unwrap_err();
    assert_eq!(error.message, "there is no Python on PATH");
}

#[tokio::test]
async fn the_package_kestra_gives_outputs_and_is_installed_once() {
    let home = tempdir().unwrap();
    let fields = json!({
        "dependencies": ["kestra"],
        "script": "from kestra import Kestra\nKestra.outputs({'stars': 5})\nKestra.counter('rows', 7)\nKestra.logger().warning('careful')"
    });
    let (context, lines) = attempt::context(home.path(), &[]);
    let outputs = match attempt::run(context, "python.script", fields.clone()).await {
        Ok(outputs) => outputs,
        // Without a package index, the task must say so.
        Err(error) => {
            assert!(error.message.contains("cannot install the Python packages kestra"), "{error}");
            assert_eq!(error.class, ErrorClass::Transient);
            return attempt::skip(&error.to_string());
        }
    };
    assert_eq!(outputs["vars"], json!({"stars": 5}));
    assert_eq!(outputs["metrics"][0]["value"], 7);
    assert!(lines.lock().unwrap().iter().any(|(level, line)| *level == Level::Warn && line.ends_with("careful")));
    let (context, lines) = attempt::context(home.path(), &[]);
    attempt::run(context, "python.script", fields).await.unwrap();
    assert!(!lines.lock().unwrap().iter().any(|(_, line)| line.contains("installing")));
}

#[tokio::test]
async fn packages_that_cannot_be_fetched_give_a_plain_answer_and_do_not_count_as_installed() {
    let home = tempdir().unwrap();
    let nowhere = [("PIP_INDEX_URL", "http://127.0.0.1:9/simple"), ("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")];
    let none = [("PIP_FIND_LINKS", ""), ("PIP_RETRIES", "0"), ("UV_HTTP_RETRIES", "0")];
    let more: Vec<(&str, &str)> = nowhere.into_iter().chain(none).collect();
    let (context, _) = attempt::context(home.path(), &more);
    let fields = json!({"dependencies": ["kestra"], "script": "print(1)"});
    let error = attempt::run(context, "python.script", fields).await.unwrap_err();
    assert!(error.message.contains("cannot install the Python packages kestra"), "{error}");
    assert!(error.help.clone().unwrap().contains("package index cannot be reached"), "{error}");
    let folders = fs::read_dir(home.path().join("python")).unwrap().map(|entry| entry.unwrap().path());
    assert!(!folders.into_iter().any(|folder| folder.join("jitney-complete").exists()));
}

#[tokio::test]
async fn docker_without_a_daemon_says_so_and_can_be_done_without() {
    let home = tempdir().unwrap();
    let nowhere = ("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let fields = json!({"taskRunner": {"type": DOCKER, "pullPolicy": "NEVER"}, "containerImage": "x", "commands": ["echo here"]});
    let (context, _) = attempt::context(home.path(), &[nowhere]);
    let error = attempt::run(context, COMMANDS, fields.clone()).await.unwrap_err();
    assert!(error.message.contains("Docker"), "{error}");
    assert!(error.help.unwrap().contains("JITNEY_SCRIPT_RUNNER=process"));
    let (context, lines) = attempt::context(home.path(), &[nowhere, ("JITNEY_SCRIPT_RUNNER", "process")]);
    attempt::run(context, COMMANDS, fields).await.unwrap();
    let lines = lines.lock().unwrap();
    assert!(lines[0].1.contains("as processes on this machine") && lines[1].1 == "here", "{lines:?}");
}

#[tokio::test]
async fn docker_gets_the_folder_the_environment_and_the_commands() {
    let home = tempdir().unwrap();
    let programs = home.path().join("programs");
    fs::create_dir(&programs).unwrap();
    // A client that shows its arguments, and what reaches it in its environment.
    let client = "#!/bin/sh\n[ \"$1\" = version ] && exit 0\nfor word; do echo \"<$word>\"; done\necho \"seen: $TOKEN\"; echo \"runs: $JITNEY_SCRIPT\"\n";
    fs::write(programs.join("docker"), client).unwrap();
    fs::set_permissions(programs.join("docker"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (context, lines) = attempt::context(home.path(), &[("PATH", programs.to_str().unwrap())]);
    let fields = json!({
        "taskRunner": {"type": DOCKER, "user": "1000", "memory": {"memory": "512m"}, "volumes": ["/a:/b"]},
        "containerImage": "python:slim", "dependencies": ["kestra"], "env": {"TOKEN": "t0ken", "PATH": "/opt"},
        "commands": ["python main.py"]
    });
    attempt::run(context, "python.commands", fields).await.unwrap();
    let said = lines.lock().unwrap().iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join(" ");
    let root = home.path().join("work").display().to_string();
    for part in [
        "<run> <--rm> <--init>",
        "<--env> <TOKEN>",
        "<--env> <PATH=/opt>",
        "<--user> <1000>",
        "<--memory> <512m>",
        "<--volume> </a:/b>",
        "<--label=jitney.execution=e1> <--label=jitney.task-run=test>",
        "<--env> <JITNEY_SCRIPT>",
        "<--entrypoint> <> <python:slim> </bin/sh> <-c> <jitney_script=$JITNEY_SCRIPT;",
        "seen: t0ken",
        "runs: set -e PIP_ROOT_USER_ACTION=ignore pip install --quiet",
        "'kestra' python main.py",
        &format!("<--volume={root}"),
    ] {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}

#[tokio::test]
async fn the_container_of_an_earlier_attempt_is_removed_before_the_next_one_begins() {
    let home = tempdir().unwrap();
    let programs = home.path().join("programs");
    fs::create_dir(&programs).unwrap();
    // A client that notes its calls, and knows one container by its label until that is removed.
    let client = "#!/bin/sh\ncd \"${0%/*}\"\necho \"$*\" >> calls\ncase $1 in\n  ps) [ -e gone ] || echo c0ffee ;;\n  \
                  rm) : > gone ;;\n  run) [ -e gone ] || exit 9 ;;\nesac\n";
    fs::write(programs.join("docker"), client).unwrap();
    fs::set_permissions(programs.join("docker"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", programs.display());
    let (mut context, _) = attempt::context(home.path(), &[("PATH", &path)]);
    context.attempt = 2;
    let fields = json!({"taskRunner": {"type": DOCKER}, "commands": ["true"]});
    attempt::run(context, COMMANDS, fields).await.unwrap();
    let calls = fs::read_to_string(programs.join("calls")).unwrap();
    let calls: Vec<&str> = calls.lines().collect();
    assert!(calls[1].starts_with("ps --all --quiet --filter label=jitney.mark="), "{calls:?}");
    assert_eq!(calls[2], "rm --force c0ffee");
    let mark = calls[1].rsplit_once(' ').unwrap().1;
    assert!(calls[3].starts_with("run ") && calls[3].contains(&format!("--{mark}")), "{calls:?}");
}

#[tokio::test]
async fn a_script_is_not_in_the_list_of_processes() {
    let home = tempdir().unwrap();
    let (context, lines) = attempt::context(home.path(), &[]);
    let commands = json!([": hunter22", "tr '\\0' ' ' < /proc/$$/cmdline"]);
    attempt::run(context, COMMANDS, json!({ "commands": commands })).await.unwrap();
    let seen = lines.lock().unwrap()[0].1.clone();
    assert!(seen.starts_with("/bin/sh ") && !seen.contains("hunter22"), "{seen}");
    let (context, lines) = attempt::context(home.path(), &[]);
    let fields =
        json!({"interpreter": ["bash", "-euc"], "commands": [": hunter22", "tr '\\0' ' ' < /proc/$$/cmdline"]});
    attempt::run(context, COMMANDS, fields).await.unwrap();
    let seen = lines.lock().unwrap()[0].1.clone();
    assert!(seen.starts_with("bash -eu ") && !seen.contains("hunter22"), "{seen}");
}

#[tokio::test]
async fn output_beyond_the_limit_is_left_out_and_said_and_the_last_lines_are_kept() {
    let home = tempdir().unwrap();
    let (mut context, lines) = attempt::context(home.path(), &[]);
    context.services.quota = std::sync::Arc::new(jitney::task::LogQuota::new(3000, 0));
    let commands = json!(["seq 100000", r#"echo '::{"outputs":{"a":1}}::'"#, "echo the end"]);
    let outputs = attempt::run(context, COMMANDS, json!({ "commands": commands })).await.unwrap();
    assert_eq!(outputs["vars"], json!({"a": 1}), "what the script gives counts all the same");
    let lines: Vec<String> = lines.lock().unwrap().iter().map(|(_, line)| line.clone()).collect();
    assert!(lines.len() < 60, "{} lines", lines.len());
    assert_eq!(lines[..3], ["1", "2", "3"]);
    let cuts: Vec<&String> = lines.iter().filter(|line| line.starts_with("output truncated")).collect();
    assert!(cuts[0].contains("3,000 bytes") && cuts[0].contains("JITNEY_LOG_LIMIT"), "{cuts:?}");
    // 100,001 lines in all.
    let kept = lines.len() - cuts.len();
    let left_out = jitney::text::thousands(100_001 - kept as u64);
    assert!(cuts[1].contains(&format!("{left_out} lines")), "{cuts:?}, {kept} kept");
    assert_eq!(lines[lines.len() - 2..], ["100000", "the end"]);
}

#[tokio::test]
async fn links_out_of_the_working_folder_are_not_followed() {
    let home = tempdir().unwrap();
    let outside = home.path().join("outside.txt");
    fs::write(&outside, "not yours").unwrap();
    let link = &format!("ln -s {} out.txt; echo mine > in.txt; ln -s in.txt also.txt", outside.display());
    let fields = json!({"commands": [link], "outputFiles": ["*.txt"]});
    let (context, lines) = attempt::context(home.path(), &[]);
    let outputs = attempt::run(context, COMMANDS, fields).await.unwrap();
    let names: Vec<&String> = outputs["outputFiles"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["also.txt", "in.txt"]);
    assert_eq!(stored(home.path(), &outputs["outputFiles"]["also.txt"]), "mine\n");
    assert!(lines.lock().unwrap().iter().any(|(level, line)| *level == Level::Warn && line.contains("`out.txt`")));
    let named = json!({"commands": [link], "outputFiles": ["out.txt"]});
    let error = run_in(home.path(), COMMANDS, named).await.unwrap_err();
    assert!(error.message.contains("is a link that leads out of the working folder"), "{error}");
}

#[tokio::test]
async fn input_files_are_not_written_through_links_that_an_earlier_script_left() {
    let home = tempdir().unwrap();
    let outside = home.path().join("outside");
    fs::create_dir_all(outside.join("deep")).unwrap();
    fs::write(outside.join("kept.txt"), "kept").unwrap();
    let shared = home.path().join("work/shared");
    fs::create_dir_all(shared.join("files")).unwrap();
    std::os::unix::fs::symlink(outside.join("kept.txt"), shared.join("files/a.txt")).unwrap();
    std::os::unix::fs::symlink(outside.join("deep"), shared.join("files/data")).unwrap();
    let attempt_with = async |name: &str| {
        let (mut context, _) = attempt::context(home.path(), &[]);
        context.services.folder = Some(shared.clone());
        let fields = json!({"inputFiles": {name: "new"}, "commands": [format!("test $(cat {name}) = new")]});
        attempt::run(context, COMMANDS, fields).await
    };
    attempt_with("a.txt").await.unwrap();
    assert_eq!(fs::read_to_string(outside.join("kept.txt")).unwrap(), "kept");
    let error = attempt_with("data/b.txt").await.unwrap_err();
    assert!(error.message.contains("is a link"), "{error}");
    assert!(!outside.join("deep/b.txt").exists());
}
