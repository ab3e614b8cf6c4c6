//! Cells: their outputs in order, their replies, what fails and what is aborted.

use serde_json::json;

use super::frontend::{Client, Kernel};

#[tokio::test]
async fn a_cell_says_what_it_does_in_order() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    let cell = c.run("let a = 2\nprint a").await.ok();
    assert_eq!(cell.kinds(), ["execute_input", "stream"]);
    assert_eq!(
        cell.outputs[0].content,
        json!({ "code": "let a = 2\nprint a", "execution_count": 1 })
    );
    assert_eq!(cell.stream("stdout"), "a = 2\n");
    assert_eq!(cell.reply["execution_count"], 1);

    let cell = c.run("var x: Vector[2] >= 0\nminimize sumsq(x - 1)\nsolve").await.ok();
    assert_eq!(cell.kinds(), ["execute_input", "execute_result"]);
    let data = &cell.outputs[1].content["data"];
    assert!(
        data["text/plain"].as_str().unwrap().starts_with("the problem: optimal"),
        "{data}"
    );
    assert!(
        data["text/html"].as_str().unwrap().contains("class=\"ravine\""),
        "{data}"
    );
    assert_eq!(data["application/vnd.ravine.report.v1+json"]["status"], "optimal");
    assert_eq!(cell.outputs[1].content["execution_count"], 2);

    // A result with something behind it is a display.
    let cell = c.run("solve\nprint a").await.ok();
    assert_eq!(cell.kinds(), ["execute_input", "display_data", "stream"]);
    c.nothing_left();
}

#[tokio::test]
async fn silence_history_and_expressions() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    let cell = c
        .execute(json!({ "code": "let a = 3\nprint a", "silent": true }))
        .await
        .ok();
    assert_eq!(cell.kinds(), [""; 0]);
    assert_eq!(cell.reply["execution_count"], 0);
    let asked = json!({ "double": "2*a", "wrong": "b", "two": "a; print a" });
    let cell = c
        .execute(json!({ "code": "", "store_history": false, "user_expressions": asked }))
        .await
        .ok();
    assert_eq!(cell.kinds(), ["execute_input"]);
    let values = &cell.reply["user_expressions"];
    assert!(
        values["double"]["data"]["text/plain"]
            .as_str()
            .unwrap()
            .ends_with("= 6"),
        "{values}"
    );
    assert_eq!(values["wrong"]["ename"], "R0201");
    assert_eq!(values["two"]["status"], "error");

    c.run("print a").await.ok();
    c.run("print 2*a").await.ok();
    let all = c
        .question(
            "history",
            json!({ "hist_access_type": "tail", "output": false, "raw": true }),
        )
        .await;
    assert_eq!(all["history"], json!([[1, 1, "print a"], [1, 2, "print 2*a"]]));
    let last = c
        .question("history", json!({ "hist_access_type": "tail", "n": 1, "output": true }))
        .await;
    assert_eq!(last["history"], json!([[1, 2, ["print 2*a", null]]]));
    let range = json!({ "hist_access_type": "range", "session": 0, "start": 1, "stop": 2 });
    assert_eq!(
        c.question("history", range).await["history"],
        json!([[1, 1, "print a"]])
    );
    let search = json!({ "hist_access_type": "search", "pattern": "print ?\\*a" });
    assert_eq!(c.question("history", search).await["history"], json!([]));
    let search = json!({ "hist_access_type": "search", "pattern": "*2*" });
    assert_eq!(
        c.question("history", search).await["history"],
        json!([[1, 2, "print 2*a"]])
    );
}

#[tokio::test]
async fn what_fails_aborts_what_waits_behind_it() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    let mut other = Client::connect(&kernel).await;
    let mut ids = vec![];
    for code in ["print 1", "print b", "print 2", "print 3"] {
        ids.push(c.ask("execute_request", json!({ "code": code })).await);
    }
    let theirs = other.run("print 4").await.ok();
    let mut ends = vec![];
    for id in &ids {
        let reply = c.answer().await;
        assert_eq!(reply.parent_id(), id, "answers come in the order of the questions");
        ends.push(reply.content["status"].as_str().unwrap().to_string());
    }
    assert_eq!(ends, ["ok", "error", "aborted", "aborted"]);
    assert_eq!(
        theirs.stream("stdout"),
        "4 = 4\n",
        "cells of another front end are not aborted"
    );
    c.outputs(&ids[0]).await;
    let failed = c.outputs(&ids[1]).await;
    let kinds: Vec<&str> = failed.iter().map(|m| m.kind.as_str()).collect();
    assert_eq!(kinds, ["execute_input", "error"]);
    let error = &failed[1].content;
    assert_eq!(error["ename"], "R0201");
    let text = error["traceback"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l.as_str().unwrap())
        .collect::<Vec<_>>()
        .join("\n");
    assert!(text.contains("\x1b[") && text.contains("print b"), "{text}");
    assert!(c.outputs(&ids[2]).await.is_empty() && c.outputs(&ids[3]).await.is_empty());

    // Without `stop_on_error` those behind run.
    let first = c
        .ask("execute_request", json!({ "code": "print b", "stop_on_error": false }))
        .await;
    let second = c.ask("execute_request", json!({ "code": "print 5" })).await;
    assert_eq!(c.answer().await.content["status"], "error");
    assert_eq!(c.answer().await.content["status"], "ok");
    c.outputs(&first).await;
    c.outputs(&second).await;
}

#[tokio::test]
async fn warnings_are_told_and_do_not_fail() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    let cell = c.run("param A: Matrix[2, 2] = [1, 1; 1, 1]\nparam b: Vector[2] = [1, 1]\nvar x: Vector[2]\nminimize sumsq(A*x - b)\nsolve").await.ok();
    assert_eq!(cell.kinds(), ["execute_input", "stream", "execute_result"]);
    assert!(cell.stream("stderr").contains("warning"), "{cell:#?}");
}

#[tokio::test]
async fn ten_thousand_quick_cells() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    c.run("let a = 1").await.ok();
    let before = kernel.memory();
    let mut ids = vec![];
    for _ in 0..10_000 {
        ids.push(c.ask("execute_request", json!({ "code": "print a" })).await);
    }
    for (k, id) in ids.iter().enumerate() {
        let reply = c.answer().await;
        assert_eq!(reply.parent_id(), id);
        assert_eq!(reply.content["execution_count"], k + 2);
    }
    for id in &ids {
        let outputs = c.outputs(id).await;
        let kinds: Vec<&str> = outputs.iter().map(|m| m.kind.as_str()).collect();
        assert_eq!(kinds, ["execute_input", "stream"]);
    }
    c.nothing_left();
    let grown = kernel.memory().saturating_sub(before);
    assert!(grown < 200 << 20, "{grown} bytes");
}

#[tokio::test]
async fn a_flood_of_text_is_put_together() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    let code = format!("let a = 1\n{}", "print a\n".repeat(20_000));
    let cell = c.run(&code).await.ok();
    assert_eq!(cell.stream("stdout"), "a = 1\n".repeat(20_000));
    assert!(cell.outputs.len() < 2_000, "{} messages", cell.outputs.len());
}
