//! Does on a thread of its own, and slowly, what opening the library left for later.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use atelier_engine::store::Store;

/// How long the window has the disk to itself after the start.
const START: Duration = Duration::from_secs(3);

/// How many results are looked at in one go.
const AT_ONCE: usize = 8;

/// How long others have the disk and the library after that.
const PAUSE: Duration = Duration::from_millis(20);

/// Starts the upkeep of a library; it ends with its work, or when nobody has the library open.
pub fn start(store: &Arc<Store>) {
    let store = Arc::downgrade(store);
    // Without a thread the work waits for the next start.
    let _ = thread::Builder::new().name("atelier-upkeep".to_owned()).spawn(move || work(&store));
}

fn work(store: &Weak<Store>) {
    thread::sleep(START);
    loop {
        let Some(store) = store.upgrade() else { return };
        match store.upkeep(AT_ONCE) {
            Ok(upkeep) if upkeep.has_more => {}
            // A damaged index was noted and is made again by the next start; nothing is lost.
            Ok(_) => {
                let _ = store.tidy();
                return;
            }
            // A full disk, for instance: whoever writes next says so.
            Err(_) => return,
        }
        drop(store);
        thread::sleep(PAUSE);
    }
}
