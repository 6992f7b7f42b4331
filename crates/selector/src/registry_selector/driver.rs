use std::future::poll_fn;
use std::mem;
use std::sync::Arc;
use std::task::{Poll, ready};

use futures_util::StreamExt;
use tower_micro_registry::{Change, Changes, Error, Registry, ServiceName};

use super::catalog::Catalog;
use super::set::Set;
use crate::SelectError;

/// Changes that lie ready together are published together, up to this many; then it is the turn of other tasks.
const BURST: usize = 64;

/// Follows what `registry` says of `service`, until it has no more to say.
pub(super) async fn watch(
    registry: Arc<dyn Registry>,
    service: ServiceName,
    mut publisher: Publisher,
) {
    match registry.watch(&service).await {
        Ok(changes) => publisher.follow(changes, registry.keeps_watching()).await,
        Err(error) => publisher.hear(Err(error)),
    }
    let registry = registry.name().to_owned();
    publisher.end(Error::WatchEnded { registry, service }.into());
}

/// The writing end of a [`Set`]. However the task ends, nobody waits for it any longer. One that was stopped leaves what it heard to the next.
pub(super) struct Publisher {
    heard: Heard,
    set: Arc<Set>,
    /// Whether the registry told this watch anything, whatever it told one before.
    is_told: bool,
    is_over: bool,
}

/// What the registry said so far.
pub(super) struct Heard {
    catalog: Catalog,
    news: News,
}

impl Heard {
    pub(super) const fn nothing(catalog: Catalog) -> Self {
        let news = News::Nothing;
        Self { catalog, news }
    }

    fn take(&mut self) -> Self {
        Self {
            catalog: self.catalog.take(),
            news: mem::replace(&mut self.news, News::Nothing),
        }
    }
}

/// What was heard since the last publication: the more, the greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum News {
    Nothing,
    /// What is published already.
    Confirmed,
    Changed,
}

impl Publisher {
    pub(super) fn new(set: &Arc<Set>, heard: Heard) -> Self {
        Self {
            heard,
            set: Arc::clone(set),
            is_told: false,
            is_over: false,
        }
    }

    /// Until `changes` end, or fail before they have told anything, if they do not `go_on` then: the next call begins anew.
    async fn follow(&mut self, mut changes: Changes, go_on: bool) {
        let mut heard = 0;
        let words = poll_fn(|cx| {
            loop {
                if heard == BURST {
                    self.publish();
                    heard = 0;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                let word = changes.poll_next_unpin(cx);
                if !matches!(word, Poll::Ready(Some(_))) {
                    self.publish();
                    heard = 0;
                }
                let Some(word) = ready!(word) else {
                    return Poll::Ready(());
                };
                let is_over = word.is_err() && !go_on;
                self.hear(word);
                if is_over && !self.is_told {
                    return Poll::Ready(());
                }
                heard += 1;
            }
        });
        words.await;
    }

    fn hear(&mut self, word: Result<Change, Error>) {
        match word {
            Ok(change) => {
                self.is_told = true;
                let changed = self.heard.catalog.apply(change);
                self.heard.news = self.heard.news.max(if changed {
                    News::Changed
                } else {
                    News::Confirmed
                });
            }
            Err(error) => {
                self.publish();
                self.set.fail(error.into());
            }
        }
    }

    fn publish(&mut self) {
        match mem::replace(&mut self.heard.news, News::Nothing) {
            News::Nothing => {}
            News::Confirmed if self.set.is_known() => self.set.confirm(),
            News::Confirmed | News::Changed => self.set.publish(self.heard.catalog.snapshot()),
        }
    }

    /// The reason, unless the registry gave a better one before. A watch that was begun anew in vain is begun once more by the next call.
    pub(super) fn end(&mut self, reason: SelectError) {
        self.is_over = true;
        if self.set.is_known() && !self.is_told {
            self.set.leave(self.heard.take(), reason);
        } else {
            self.set.end(self.set.trouble().unwrap_or(reason));
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // Somebody may have begun the next watch already.
        if self.is_over {
            return;
        }
        let reason = "the task that watched the registry was stopped";
        self.set
            .leave(self.heard.take(), SelectError::other(reason));
    }
}
