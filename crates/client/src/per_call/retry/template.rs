//! What further attempts of a call are made of.
//!
//! A generated client says the same of each call of a method, and most calls need one attempt. So what was kept of the call before is
//! looked at, and not made anew, as long as it is the same.

use std::sync::Arc;

use http::Request;

use super::head::Head;

/// The head of a call as it came in, and what its further attempts go through.
#[derive(Debug)]
pub(super) struct Template<S> {
    pub(super) spare: Arc<S>,
    pub(super) head: Head,
}

/// What was kept of the last call. Each clone of a service keeps its own, for threads that count the references of one and the same wait for each other.
#[derive(Debug)]
pub(super) struct Last<S>(Option<Arc<Template<S>>>);

impl<S> Default for Last<S> {
    fn default() -> Self {
        Self(None)
    }
}

impl<S> Clone for Last<S> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<S> Last<S> {
    /// What is kept of `request`.
    #[inline]
    pub(super) fn of<B>(&mut self, request: &Request<B>, spare: &Arc<S>) -> Arc<Template<S>> {
        match &self.0 {
            Some(last) if last.head.is_of(request) => Arc::clone(last),
            _ => self.keep(Head::of(request), spare),
        }
    }

    /// What came in extensions is let go of with its call; anything else takes the place of what was kept, if no call needs that any more.
    #[cold]
    fn keep(&mut self, head: Head, spare: &Arc<S>) -> Arc<Template<S>> {
        if head.is_plain()
            && let Some(last) = &mut self.0
            && let Some(template) = Arc::get_mut(last)
        {
            template.head = head;
            return Arc::clone(last);
        }
        let is_plain = head.is_plain();
        let spare = Arc::clone(spare);
        let template = Arc::new(Template { spare, head });
        if is_plain {
            self.0 = Some(Arc::clone(&template));
        }
        template
    }
}
