//! What `crumb demo` prints works when it is pasted, line by line.

use std::io::Write as _;
use std::process::{Command, Stdio};

use e2e::{Process, crumb};
use serde_json::Value;

/// What the demo prints, up to its last line.
fn printed(demo: &Process) -> String {
    let mut text = String::new();
    while let Some(line) = demo.next_line() {
        text.push_str(&line);
        text.push('\n');
        if line.starts_with("Ctrl-C") {
            return text;
        }
    }
    panic!("the demo ended:\n{text}\n{}", demo.stderr());
}

/// The command lines in it, as printed.
fn command_lines(text: &str) -> Vec<&str> {
    let begins = |line: &&str| line.trim_start().starts_with("CLICK=");
    text.lines()
        .filter_map(|line| line.find("curl ").map(|at| if begins(&line) { line } else { &line[at..] }))
        .collect()
}

/// Runs lines in one shell, one after the other: what each printed.
fn paste(lines: &[&str]) -> Vec<String> {
    const END: &str = "--- next line ---";
    let script = lines.join(&format!("\necho; echo '{END}'\n"));
    let mut shell = Command::new("sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    shell.stdin.take().expect("piped").write_all(script.as_bytes()).expect("pasted");
    let output = shell.wait_with_output().expect("the shell ends");
    let output = String::from_utf8(output.stdout).expect("UTF-8");
    output.split(END).map(|text| text.trim().to_owned()).collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

#[test]
fn every_line_the_demo_prints_does_what_it_says() {
    let demo = Process::start(crumb(&["demo", "--listen", "127.0.0.1:0"]));
    let text = printed(&demo);
    assert!(text.starts_with("listening on http://127.0.0.1:"), "{text}");
    assert!(
        text.lines().any(|line| line.trim_start().starts_with("http://127.0.0.1:")),
        "a tracking link: {text}"
    );
    let lines = command_lines(&text);
    let line = |named: &str| {
        *lines.iter().find(|line| line.contains(named)).unwrap_or_else(|| panic!("no {named} in {text}"))
    };
    let visit = *lines.first().expect("lines to paste");
    let record = line("/conversion.json?");
    let pasted = paste(&[
        visit,
        line("/click.json?"),
        record,
        record,
        line("/conversions.json?"),
        line("/click.json?"),
        line("/campaigns.json?"),
        line("/metrics"),
        line("/update_campaign.json?"),
        visit,
    ]);
    let [click_id, click, recorded, repeated, listed, converted, campaigns, metrics, paused, refused] =
        pasted.try_into().expect("as many answers as lines");
    assert_eq!(click_id.len(), 36, "a click id: {click_id}");
    let (click, converted) = (json(&click)["response"].clone(), json(&converted)["response"].clone());
    assert_eq!(
        (&click["total_rows"], &click["clicks"][0]["click_id"]),
        (&1.into(), &click_id.as_str().into())
    );
    assert_eq!(click["clicks"][0]["sub_id_1"], "banner_300x250");
    assert_eq!(click["clicks"][0]["converted"], false);
    let recorded = json(&recorded);
    assert_eq!(recorded["conversion"]["unique_id"], "ORD-98765");
    assert_eq!(json(&repeated), recorded, "twice the same call is one conversion");
    let id = &recorded["conversion"]["conversion_id"];
    assert_eq!(&json(&listed)["conversions"][0]["conversion"]["conversion_id"], id);
    assert_eq!(
        (&converted["clicks"][0]["converted"], &converted["clicks"][0]["conversion_id"]),
        (&true.into(), id)
    );
    assert_eq!(json(&campaigns)["request_status"], "Success");
    assert!(metrics.contains("crumb_clicks_accepted_total 1"), "{metrics}");
    assert_eq!(json(&paused)["campaign"]["campaign_status"], "paused");
    assert_ne!(refused.len(), 36, "a paused campaign sends nobody on: {refused}");

    let data = text.split_once("Data: ").expect("the data folder is named").1;
    let data = std::path::PathBuf::from(data.split_whitespace().next().expect("a path"));
    assert!(data.is_dir());
    demo.signal("INT");
    let finished = demo.finish();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(!data.exists(), "Ctrl-C removes the data folder");
}
