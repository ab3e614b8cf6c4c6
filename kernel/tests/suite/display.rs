//! Forms of outputs: what is a stream, a display, a result, an error, and what each carries.

use serde_json::json;

use super::frontend::{Client, Kernel};

#[tokio::test]
async fn tables_are_displays_and_lines_are_text() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    let code = "set s = {\"<b>a\", \"c&d\"}\nparam p: Real[s] = {\"<b>a\": 1, \"c&d\": 2}\nprint p\nprint 1\nprint [1, 2; 3, 4]";
    let cell = c.run(code).await.ok();
    assert_eq!(
        cell.kinds(),
        ["execute_input", "display_data", "stream", "execute_result"]
    );
    let table = &cell.outputs[1].content["data"];
    let html = table["text/html"].as_str().unwrap();
    assert!(
        html.contains("&lt;b&gt;a") && html.contains("c&amp;d") && !html.contains("<b>"),
        "{html}"
    );
    assert!(table["text/plain"].as_str().unwrap().contains("<b>a"), "{table}");
    assert!(table["application/vnd.ravine.report.v1+json"].is_object());
}

#[tokio::test]
async fn a_failure_is_one_error_with_all_its_messages() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    let cell = c.run("let a = 1\nprint a\nprint b\nprint d").await;
    assert_eq!((cell.status(), cell.kinds()), ("error", vec!["execute_input", "error"]));
    let error = &cell.outputs[1].content;
    assert_eq!(error["ename"], "R0201");
    assert_eq!(error["traceback"], cell.reply["traceback"]);
    let text = error["traceback"].to_string();
    assert!(
        text.contains("print b") && text.contains("print d") && text.contains("cell 1"),
        "{text}"
    );
    // Nothing of a cell that does not check has an effect.
    assert_eq!(c.run("print a").await.reply["ename"], "R0201");
}

#[tokio::test]
async fn what_ran_before_a_failure_stays() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    let cell = c.run("let a = 1\nprint a\nassert a == 2\nprint 3").await;
    assert_eq!(
        (cell.status(), cell.kinds()),
        ("error", vec!["execute_input", "stream", "error"])
    );
    let text = cell.outputs[2].content["traceback"].to_string();
    assert!(text.contains("did not run"), "{text}");
    assert_eq!(c.run("print a").await.ok().stream("stdout"), "a = 1\n");
}

#[tokio::test]
async fn a_cell_run_again_replaces_what_it_declared() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    for (value, shown) in [(1, "a = 1\n"), (2, "a = 2\n")] {
        let (frames, _) = c.request(
            "execute_request",
            json!({ "cellId": "one" }),
            json!({ "code": format!("param a: Real = {value}") }),
        );
        zeromq::SocketSend::send(&mut c.shell, super::frontend::message(frames))
            .await
            .unwrap();
        assert_eq!(c.answer().await.content["status"], "ok");
        assert_eq!(c.run("print a").await.ok().stream("stdout"), shown);
    }
}

#[tokio::test]
async fn output_may_be_cleared() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    let cell = c.run("%clear\nprint 1").await.ok();
    assert_eq!(cell.kinds(), ["execute_input", "clear_output", "stream"]);
    assert_eq!(cell.outputs[1].content, json!({ "wait": false }));
}

#[tokio::test]
async fn pictures_are_svg_beside_words() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    let cell = c
        .run("problem p {\n  var x: Real from 3\n  minimize x^4\n}\ncompare p with { gd(1e-3) for 20 steps; lbfgs() }")
        .await
        .ok();
    assert_eq!(cell.kinds(), ["execute_input", "display_data", "execute_result"]);
    assert!(
        cell.outputs[1].content["data"]["text/html"]
            .as_str()
            .unwrap()
            .contains("lbfgs")
    );
    let picture = &cell.outputs[2].content["data"];
    assert!(
        picture["image/svg+xml"].as_str().unwrap().starts_with("<svg "),
        "{picture}"
    );
    assert!(picture["text/plain"].as_str().unwrap().contains("Convergence on p"));
    assert!(picture["text/html"].is_null());
    assert_eq!(picture["application/vnd.ravine.report.v1+json"]["kind"], "figure");
}
