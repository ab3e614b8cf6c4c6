//! Completion, help and continuation, while the session is free and while it is busy.

use serde_json::{Value as Json, json};

use super::frontend::{Client, Kernel};
use super::interrupt::LONG;

async fn complete(c: &mut Client, code: &str, at: usize) -> (Vec<String>, u64, u64, Json) {
    let reply = c.question("complete", json!({ "code": code, "cursor_pos": at })).await;
    assert_eq!(reply["status"], "ok");
    let matches = reply["matches"].as_array().unwrap();
    let names = matches.iter().map(|m| m.as_str().unwrap().to_string()).collect();
    let types = reply["metadata"]["_jupyter_types_experimental"].clone();
    (
        names,
        reply["cursor_start"].as_u64().unwrap(),
        reply["cursor_end"].as_u64().unwrap(),
        types,
    )
}

#[tokio::test]
async fn names_with_types_and_documentation() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    let (names, start, end, _) = complete(&mut c, "minimi", 6).await;
    assert_eq!((names.join(" ").as_str(), start, end), ("minimize", 0, 6));
    c.run("## How much a unit weighs.\nparam weight_of_α: Real = 2\nset towns = {\"a\", \"b\"}")
        .await
        .ok();
    // Positions count code points: 𝛼 has four bytes and counts once.
    let code = "print \"𝛼𝛼\", 2*weig + 1";
    let (names, start, end, types) = complete(&mut c, code, 18).await;
    assert_eq!((names.join(" ").as_str(), start, end), ("weight_of_α", 14, 18));
    assert_eq!(types[0]["type"], "param");
    assert_eq!(types[0]["signature"], "Real");
    assert_eq!((&types[0]["start"], &types[0]["end"]), (&json!(14), &json!(18)));
    // Beyond the end, and in the middle of nothing.
    for (code, at) in [("wei", 99), ("", 0), ("((((", 4), ("\"", 1)] {
        complete(&mut c, code, at).await;
    }
    let text = json!({ "code": "print weight_of_α", "cursor_pos": 9, "detail_level": 0 });
    let help = c.question("inspect", text).await;
    assert_eq!((&help["status"], &help["found"]), (&json!("ok"), &json!(true)));
    let plain = help["data"]["text/plain"].as_str().unwrap();
    assert!(plain.contains("weight_of_α") && plain.contains("Real"), "{plain}");
    let nothing = c
        .question("inspect", json!({ "code": "print nowhere", "cursor_pos": 9 }))
        .await;
    assert_eq!((&nothing["status"], &nothing["found"]), (&json!("ok"), &json!(false)));
}

#[tokio::test]
async fn two_levels_of_detail_and_the_pager() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    let mut lengths = vec![];
    for level in [0, 1] {
        let help = c
            .question(
                "inspect",
                json!({ "code": "logsumexp(x)", "cursor_pos": 3, "detail_level": level }),
            )
            .await;
        let plain = help["data"]["text/plain"].as_str().unwrap().to_string();
        assert!(
            plain.contains("logsumexp") && help["data"]["text/html"].is_string(),
            "{help}"
        );
        lengths.push(plain.len());
    }
    assert!(lengths[0] < lengths[1], "{lengths:?}");
    for (code, length) in [("logsumexp?", lengths[0]), ("logsumexp??", lengths[1])] {
        let cell = c.run(code).await.ok();
        assert_eq!(cell.kinds(), ["execute_input"]);
        let page = &cell.reply["payload"][0];
        assert_eq!((&page["source"], &page["start"]), (&json!("page"), &json!(0)));
        assert_eq!(page["data"]["text/plain"].as_str().unwrap().len(), length);
    }
    let cell = c.run("nowhere?").await.ok();
    assert!(
        cell.reply["payload"][0]["data"]["text/plain"]
            .as_str()
            .unwrap()
            .contains("nowhere")
    );
}

#[tokio::test]
async fn a_busy_session_still_answers() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    c.run("param weight: Real = 2").await.ok();
    let long = c.ask("execute_request", json!({ "code": LONG })).await;
    while c.next_output().await.kind != "execute_input" {}
    let (names, ..) = complete(&mut c, "print weig", 10).await;
    assert_eq!(names, ["weight"]);
    let help = c
        .question("inspect", json!({ "code": "weight", "cursor_pos": 2 }))
        .await;
    assert_eq!(help["found"], true);
    c.command("interrupt_request", json!({})).await;
    assert_eq!(c.answer().await.parent_id(), long);
}

#[tokio::test]
async fn continuation_is_the_languages_own() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    for (code, status) in [
        ("let a = 1", "complete"),
        ("", "complete"),
        ("problem p {\n  var x: Real\n}", "complete"),
        ("problem p {\n  var x: Real", "incomplete"),
        ("let a = [1, 2,", "incomplete"),
        ("let a = 1 +", "incomplete"),
        ("let a = )", "invalid"),
    ] {
        let reply = c.question("is_complete", json!({ "code": code })).await;
        assert_eq!(reply["status"], status, "{code}");
        if status == "incomplete" {
            assert!(reply["indent"].as_str().unwrap().chars().all(|c| c == ' '));
        }
    }
}
