//! The system's file dialogs. They are futures that are looked at once per frame, so that the
//! window goes on while one is open.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use rfd::{AsyncFileDialog, FileHandle};

use crate::update::LibraryTask;

/// Says what a dialog is for.
enum Purpose {
    /// Where a copy of the file is saved.
    SaveCopyOf(PathBuf),
    /// Where the data is moved.
    MoveData,
}

struct OpenDialog {
    purpose: Purpose,
    answer: Pin<Box<dyn Future<Output = Option<FileHandle>>>>,
}

/// Holds the dialogs that are open.
pub struct Dialogs {
    open: Vec<OpenDialog>,
    waker: Waker,
}

struct WakeBy<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for WakeBy<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

impl Dialogs {
    /// Makes the holder; `wake` is called when a dialog was answered.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self { open: Vec::new(), waker: Waker::from(Arc::new(WakeBy(wake))) }
    }

    /// Asks where a copy of a picture is saved.
    pub fn ask_save(&mut self, from: PathBuf, name: &str) {
        let dialog = AsyncFileDialog::new().set_file_name(name).add_filter("PNG", &["png"]);
        let answer = Box::pin(dialog.save_file());
        self.open.push(OpenDialog { purpose: Purpose::SaveCopyOf(from), answer });
    }

    /// Asks where the data is moved.
    pub fn ask_data_folder(&mut self) {
        let answer = Box::pin(AsyncFileDialog::new().pick_folder());
        self.open.push(OpenDialog { purpose: Purpose::MoveData, answer });
    }

    /// Returns what the dialogs that were answered ask of the librarian; never blocks.
    pub fn poll(&mut self) -> Vec<LibraryTask> {
        let mut tasks = Vec::new();
        let waker = self.waker.clone();
        self.open.retain_mut(|dialog| {
            let Poll::Ready(answer) = dialog.answer.as_mut().poll(&mut Context::from_waker(&waker))
            else {
                return true;
            };
            if let Some(file) = answer {
                let path = file.path().to_path_buf();
                tasks.push(match &dialog.purpose {
                    Purpose::SaveCopyOf(from) => {
                        LibraryTask::CopyFile { from: from.clone(), to: path }
                    }
                    Purpose::MoveData => LibraryTask::MoveData(path),
                });
            }
            false
        });
        tasks
    }
}
