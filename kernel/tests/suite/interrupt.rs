//! Interrupts: by message and by signal, of what runs and of nothing.

use serde_json::json;

use super::frontend::{Client, Kernel};

/// Ends only by an interrupt or by its steps, after minutes.
pub const LONG: &str = "param n: Int = 200000\nvar x: Vector[n]\nminimize sum(i in 1..n-1) (100*(x[i+1] - x[i]^2)^2 + (1 - x[i])^2)\nsolve from x = -1.2 to 1e-300";

#[tokio::test]
async fn an_interrupt_ends_the_cell_and_not_the_session() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    c.run("let a = 7").await.ok();
    // Nothing runs: the next cell is not meant.
    assert_eq!(
        c.command("interrupt_request", json!({})).await.content,
        json!({ "status": "ok" })
    );
    c.run("print a").await.ok();
    for by_message in [true, false] {
        let long = c.ask("execute_request", json!({ "code": LONG })).await;
        let behind = c.ask("execute_request", json!({ "code": "print a" })).await;
        loop {
            let m = c.next_output().await;
            if m.kind == "execute_input" && m.parent_id() == long {
                break;
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        if by_message {
            c.command("interrupt_request", json!({})).await;
        } else {
            let id = kernel.child.id().to_string();
            let done = std::process::Command::new("kill").args(["-INT", &id]).status().unwrap();
            assert!(done.success());
        }
        let reply = c.answer().await;
        assert_eq!(
            (reply.parent_id(), &reply.content["status"]),
            (long.as_str(), &json!("error"))
        );
        assert_eq!(reply.content["ename"], "Interrupted", "{reply:?}");
        let reply = c.answer().await;
        assert_eq!(
            (reply.parent_id(), &reply.content["status"]),
            (behind.as_str(), &json!("aborted"))
        );
        loop {
            let m = c.next_output().await;
            if m.parent_id() == behind && m.state() == "idle" {
                break;
            }
        }
        // A solve whose step is long may be on its way still; then a line before this one says so.
        let shown = c.run("print a").await.ok().stream("stdout");
        assert!(shown.ends_with("a = 7\n"), "{shown}");
    }
}

#[tokio::test]
async fn what_needs_no_session_is_answered_during_a_solve() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    let long = c.ask("execute_request", json!({ "code": LONG })).await;
    loop {
        if c.next_output().await.kind == "execute_input" {
            break;
        }
    }
    let id = c.ask("kernel_info_request", json!({})).await;
    assert_eq!(c.answer().await.parent_id(), id);
    // `idle` of the question is followed by `busy` of the cell, which front ends would take for idle otherwise.
    let mut heard = vec![];
    while heard.len() < 3 {
        let m = c.next_output().await;
        if m.kind == "status" {
            heard.push((m.parent_id().to_string(), m.state().to_string()));
        }
    }
    let (id, long) = (id.as_str(), long.as_str());
    let shown: Vec<(&str, &str)> = heard.iter().map(|h| (h.0.as_str(), h.1.as_str())).collect();
    assert_eq!(shown, [(id, "busy"), (id, "idle"), (long, "busy")]);
}

#[tokio::test]
async fn a_front_end_that_vanishes_leaves_the_kernel_to_others() {
    let kernel = Kernel::start();
    let mut gone = Client::connect(&kernel).await;
    gone.ask("execute_request", json!({ "code": LONG })).await;
    loop {
        if gone.next_output().await.kind == "execute_input" {
            break;
        }
    }
    drop(gone);
    let mut c = Client::connect(&kernel).await;
    c.question("kernel_info", json!({})).await;
    c.command("interrupt_request", json!({})).await;
    c.run("print 1").await.ok();
}

#[tokio::test]
async fn progress_is_one_line_rewritten() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    // Steps of some milliseconds, and many of them.
    let code = LONG.replace("200000", "20000");
    let long = c.ask("execute_request", json!({ "code": code })).await;
    let mut lines = vec![];
    while lines.len() < 4 {
        let m = c.next_output().await;
        if m.kind.ends_with("display_data") {
            lines.push(m);
        }
    }
    c.command("interrupt_request", json!({})).await;
    assert_eq!(c.answer().await.content["ename"], "Interrupted");
    let mut last = vec![];
    loop {
        let m = c.next_output().await;
        if m.parent_id() == long && m.state() == "idle" {
            break;
        }
        last.push(m);
    }
    assert_eq!(lines[0].kind, "display_data");
    let id = &lines[0].content["transient"]["display_id"];
    assert!(id.is_string());
    for m in &lines[1..] {
        assert_eq!(
            (m.kind.as_str(), &m.content["transient"]["display_id"]),
            ("update_display_data", id)
        );
        assert!(
            m.content["data"]["text/plain"].as_str().unwrap().contains("step"),
            "{m:?}"
        );
    }
    // The last word on it, and then what it came to.
    let kinds: Vec<&str> = last
        .iter()
        .map(|m| m.kind.as_str())
        .filter(|k| *k != "status")
        .collect();
    assert_eq!(
        kinds[kinds.len() - 3..],
        ["update_display_data", "display_data", "error"]
    );
    let report = &last.iter().rev().find(|m| m.kind == "display_data").unwrap().content["data"];
    assert_eq!(report["application/vnd.ravine.report.v1+json"]["status"], "interrupted");
}
