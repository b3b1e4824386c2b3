use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use tokio::time::timeout;

use super::*;

#[tokio::test]
async fn the_system_knows_this_machine_and_not_what_cannot_be() {
    let system = Blocking::system(1);
    let found = system.resolve("localhost").await.expect("an answer");
    assert!(found.iter().all(IpAddr::is_loopback) && !found.is_empty(), "{found:?}");
    assert!(system.resolve("name.invalid").await.is_err());
}

#[tokio::test]
async fn a_lookup_keeps_its_place_until_the_system_answers_even_if_nobody_waits() {
    let (began, beginnings) = mpsc::channel();
    let (answer, answers) = mpsc::channel::<()>();
    let answers = Arc::new(Mutex::new(answers));
    let look_up = move |name: &str| {
        began.send(name.to_owned()).expect("the test listens");
        let _ = answers.lock().expect("not poisoned").recv();
        Ok(vec![IpAddr::from([192, 0, 2, 1])])
    };
    let resolver = Blocking::new(look_up, 1);

    assert!(timeout(Duration::from_millis(50), resolver.resolve("first")).await.is_err(), "gives up waiting");
    assert_eq!(beginnings.recv().expect("it began"), "first");
    let mut second = resolver.resolve("second");
    assert!(timeout(Duration::from_millis(50), &mut second).await.is_err(), "there is one place");
    assert!(beginnings.try_recv().is_err(), "the second has not begun");

    answer.send(()).expect("the first listens");
    answer.send(()).expect("the second will");
    assert_eq!(second.await.expect("an answer"), [IpAddr::from([192, 0, 2, 1])]);
    assert_eq!(beginnings.try_recv().expect("it began"), "second");
}
