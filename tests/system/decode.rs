//! `sanimon decode`: one frame, many frames, the list.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::BINARY;

fn decode(args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(BINARY).arg("decode").args(args).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_frame_is_printed_as_json() {
    let (code, said) =
        decode(&["--model", "EM400-TLD", "--port", "85", "01 75 5c 03 67 01 01 04 82 44 08 05 00 01"]);
    assert_eq!(code, Some(0));
    let readings = json(&said)["readings"].as_array().unwrap().clone();
    let value =
        |metric: &str| readings.iter().find(|reading| reading["metric"] == metric).unwrap()["value"].clone();
    assert_eq!((value("battery_pct"), value("distance_mm")), (92.0.into(), 2_116.0.into()));
    assert!(readings.iter().all(|reading| reading["at"].is_null()));
}

#[test]
fn what_cannot_be_decoded_says_why() {
    for (args, code, hint) in [
        (&["--model", "em400-tld", "--port", "85", "0175"][..], 1, "bad_frame"),
        (&["--model", "toaster", "00"], 1, "unknown_model"),
        (&["--model", "em400-tld", "xyz"], 1, ""),
        (&["--port", "85"], 2, ""),
    ] {
        let (found, said) = decode(args);
        assert_eq!(found, Some(code), "{args:?}: {said}");
        assert!(said.contains(hint), "{args:?}: {said}");
    }
}

#[test]
fn many_frames_give_a_line_each_whatever_is_wrong_with_one() {
    let mut child = Command::new(BINARY)
        .args(["decode", "--jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = concat!(
        r#"{"model":"gs301","port":85,"hex":"047dfeff"}"#,
        "\n",
        "not json\n",
        r#"{"model":"dl-mbx","port":1,"hex":"02012f000304d200010bb1"}"#,
        "\n",
        r#"{"model":"df702","port":3,"hex":"8"}"#,
        "\n",
    );
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let answers: Vec<Value> = String::from_utf8(output.stdout).unwrap().lines().map(json).collect();
    assert_eq!(answers.len(), 4);
    assert_eq!(answers[0]["events"][0]["event"], "warming_up");
    assert!(answers[0]["readings"].as_array().unwrap().is_empty());
    assert_eq!(answers[1]["error"]["code"], "not_json");
    assert_eq!(answers[2]["readings"][0]["metric"], "distance_mm");
    assert_eq!(answers[3]["error"]["code"], "not_hex");
}

#[test]
fn the_list_names_every_model_with_what_it_measures() {
    let (code, said) = decode(&["--list"]);
    assert_eq!(code, Some(0));
    assert!(said.lines().count() > 140);
    assert!(said.lines().any(|line| line.contains("df702") && line.contains("distance_mm")), "{said}");
}
