use std::future::poll_fn;
use std::mem;
use std::sync::Arc;
use std::task::{Poll, ready};

use futures_util::StreamExt;
use tower_micro_registry::{Change, Changes, Error, Registry, ServiceName};

use super::catalog::Catalog;
use super::set::Set;
use crate::SelectError;

/// Changes that lie ready together are published together, up to this many.
const BURST: usize = 64;

/// Follows what `registry` says of `service`, until it has no more to say.
pub(super) async fn watch(
    registry: Arc<dyn Registry>,
    service: ServiceName,
    mut publisher: Publisher,
) {
    match registry.watch(&service).await {
        Ok(changes) => publisher.follow(changes).await,
        Err(error) => publisher.hear(Err(error)),
    }
    let registry = registry.name().to_owned();
    publisher.end(Error::WatchEnded { registry, service }.into());
}

/// The writing end of a [`Set`]. However the task ends, nobody waits for it any longer.
pub(super) struct Publisher {
    catalog: Catalog,
    set: Arc<Set>,
    news: News,
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
    pub(super) fn new(set: &Arc<Set>, catalog: Catalog) -> Self {
        Self {
            catalog,
            set: Arc::clone(set),
            news: News::Nothing,
        }
    }

    async fn follow(&mut self, mut changes: Changes) {
        let mut heard = 0;
        let words = poll_fn(|cx| {
            loop {
                let word = changes.poll_next_unpin(cx);
                if heard == BURST || !matches!(word, Poll::Ready(Some(_))) {
                    self.publish();
                    heard = 0;
                }
                let Some(word) = ready!(word) else {
                    return Poll::Ready(());
                };
                self.hear(word);
                heard += 1;
            }
        });
        words.await;
    }

    fn hear(&mut self, word: Result<Change, Error>) {
        match word {
            Ok(change) => {
                let changed = self.catalog.apply(change);
                self.news = self.news.max(if changed {
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
        match mem::replace(&mut self.news, News::Nothing) {
            News::Nothing => {}
            News::Confirmed if self.set.is_known() => self.set.confirm(),
            News::Confirmed | News::Changed => self.set.publish(self.catalog.snapshot()),
        }
    }

    /// The reason, unless the registry gave a better one before.
    fn end(&self, reason: SelectError) {
        self.set.end(self.set.trouble().unwrap_or(reason));
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.end(SelectError::other(
            "the task that watched the registry was stopped",
        ));
    }
}
