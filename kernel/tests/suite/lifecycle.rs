//! From start to end: information, heartbeat, restart, second front ends, orphans.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use zeromq::{SocketRecv, SocketSend};

use super::frontend::{Client, Kernel, PATIENCE, address, connection, program};

#[tokio::test]
async fn it_says_what_it_is() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    let info = c.question("kernel_info", json!({})).await;
    assert_eq!(
        (&info["protocol_version"], &info["status"]),
        (&json!("5.5"), &json!("ok"))
    );
    assert_eq!(info["language_info"]["file_extension"], ".opt");
    assert_eq!(info["language_info"]["mimetype"], "text/x-ravine");
    assert_eq!(info["supported_features"], json!([]));
    assert_eq!(c.command("kernel_info_request", json!({})).await.content, info);
    c.heartbeat.send("ping".into()).await.unwrap();
    let back = tokio::time::timeout(PATIENCE, c.heartbeat.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(back.get(0).map(|f| &f[..]), Some(&b"ping"[..]));
}

#[tokio::test]
async fn everything_asked_is_answered() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    assert_eq!(
        c.question("comm_info", json!({})).await,
        json!({ "status": "ok", "comms": {} })
    );
    let id = c
        .ask(
            "comm_open",
            json!({ "comm_id": "7", "target_name": "none", "data": {} }),
        )
        .await;
    let closed = c.outputs(&id).await;
    assert_eq!((closed.len(), closed[0].kind.as_str()), (1, "comm_close"));
    assert_eq!(closed[0].content["comm_id"], "7");
    let id = c.ask("comm_msg", json!({ "comm_id": "7", "data": {} })).await;
    assert!(c.outputs(&id).await.is_empty());
    let debug = c
        .command(
            "debug_request",
            json!({ "type": "request", "seq": 3, "command": "initialize" }),
        )
        .await;
    assert_eq!(
        (&debug.content["success"], &debug.content["request_seq"]),
        (&json!(false), &json!(3))
    );
    assert_eq!(c.question("knit", json!({})).await["status"], "error");
    assert_eq!(
        c.command("create_subshell_request", json!({})).await.content["status"],
        "error"
    );
}

#[tokio::test]
async fn shutdown_and_restart() {
    for restart in [false, true] {
        let mut kernel = Kernel::start();
        let mut c = Client::connect(&kernel).await;
        let reply = c.command("shutdown_request", json!({ "restart": restart })).await;
        assert_eq!(reply.kind, "shutdown_reply");
        assert_eq!(reply.content, json!({ "status": "ok", "restart": restart }));
        assert_eq!(kernel.ended(), Some(0));
        // What a manager does next: the same file, a new process.
        let again = Kernel::with(kernel.connection.clone());
        let mut c = Client::connect(&again).await;
        assert_eq!(c.run("print 1").await.ok().reply["execution_count"], 1);
    }
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_cell() {
    let mut kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    c.ask("execute_request", json!({ "code": super::interrupt::LONG }))
        .await;
    while c.next_output().await.kind != "execute_input" {}
    // On the shell channel, as old clients do; it is not queued behind the cell.
    let id = c.ask("shutdown_request", json!({ "restart": false })).await;
    let reply = c.answer().await;
    assert_eq!(
        (reply.kind.as_str(), reply.parent_id()),
        ("shutdown_reply", id.as_str())
    );
    assert_eq!(kernel.ended(), Some(0));
}

#[tokio::test]
async fn a_second_front_end_hears_everything() {
    let kernel = Kernel::start();
    let mut first = Client::connect(&kernel).await;
    let mut second = Client::connect(&kernel).await;
    let id = first
        .ask("execute_request", json!({ "code": "let a = 1\nprint a" }))
        .await;
    assert_eq!(first.answer().await.content["status"], "ok");
    let kinds = |list: Vec<super::frontend::Message>| list.into_iter().map(|m| m.kind).collect::<Vec<_>>();
    let heard = kinds(first.outputs(&id).await);
    assert_eq!(kinds(second.outputs(&id).await), heard);
    // They share the session.
    assert_eq!(second.run("print a").await.ok().stream("stdout"), "a = 1\n");
}

#[tokio::test]
async fn local_sockets_serve_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = connection();
    file["transport"] = "ipc".into();
    file["ip"] = folder.path().join("k").to_string_lossy().into_owned().into();
    for (k, port) in ["shell_port", "iopub_port", "stdin_port", "control_port", "hb_port"]
        .iter()
        .enumerate()
    {
        file[*port] = (k + 1).into();
    }
    assert!(address(&file, "shell_port").starts_with("ipc://"));
    let kernel = Kernel::with(file);
    let mut c = Client::connect(&kernel).await;
    c.run("print 1").await.ok();
}

#[test]
fn a_connection_file_that_cannot_be_used_is_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.json");
    let mut taken = connection();
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    taken["shell_port"] = held.local_addr().unwrap().port().into();
    for text in ["", "[]", "{}", &taken.to_string()] {
        std::fs::write(&file, text).unwrap();
        let out = Command::new(program()).arg("start").arg(&file).output().unwrap();
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(
            !out.status.success() && said.starts_with("error: ") && said.lines().count() == 1,
            "{said}"
        );
    }
}

/// A shell starts the kernel and is killed, so that it can tell nobody.
#[cfg(unix)]
#[tokio::test]
async fn it_ends_with_the_process_that_started_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.json");
    let said = connection();
    std::fs::write(&file, said.to_string()).unwrap();
    let mut parent = Command::new("sh")
        .arg("-c")
        // The second command keeps the shell from becoming the kernel.
        .arg(format!("'{}' start '{}'; true", program().display(), file.display()))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut c = Client::quiet(&said).await;
    c.ask("execute_request", json!({ "code": "print 1" })).await;
    assert_eq!(c.answer().await.content["status"], "ok");
    parent.kill().unwrap();
    parent.wait().unwrap();
    let begin = Instant::now();
    let port = said["shell_port"].as_u64().unwrap();
    while std::net::TcpStream::connect(("127.0.0.1", port as u16)).is_ok() {
        assert!(begin.elapsed() < PATIENCE, "an orphan goes on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
