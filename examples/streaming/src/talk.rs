//! What is said, and by whom it was answered.

use std::collections::VecDeque;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tower_micro::Channel;
use tower_micro_testkit::proto::chat::{Line, chat_client::ChatClient};

use crate::{KILLED_AFTER, cluster::Cluster};

/// A talk: each line is said when the one before it was answered.
pub(crate) struct Talk {
    /// Lines that were not answered yet.
    left: VecDeque<&'static str>,
    /// The node of each answer.
    answered_by: Vec<String>,
    /// Streams that broke.
    broken: usize,
}

impl Talk {
    pub(crate) fn about(lines: impl IntoIterator<Item = &'static str>) -> Self {
        Self {
            left: lines.into_iter().collect(),
            answered_by: Vec::new(),
            broken: 0,
        }
    }

    /// Says what is left over one new stream.
    pub(crate) async fn over_one_stream(
        &mut self,
        mut chat: ChatClient<Channel>,
        cluster: &Cluster,
    ) -> Result<(), Status> {
        let (say, lines) = mpsc::channel(1);
        let mut answers = chat.talk(ReceiverStream::new(lines)).await?.into_inner();
        while let Some(text) = self.left.front() {
            println!("   you: {text}");
            // Fails if the stream has broken, and then the next answer says why.
            let _ = say.send(line(text)).await;
            let Some(answer) = answers.message().await? else {
                return Err(Status::aborted("the node has ended the stream"));
            };
            self.hear(answer, cluster);
        }
        Ok(())
    }

    fn hear(&mut self, answer: Line, cluster: &Cluster) {
        println!("node {}: {}", answer.node, answer.text);
        self.left.pop_front();
        self.answered_by.push(answer.node);
        if self.answered_by.len() == KILLED_AFTER {
            cluster.kill(&self.answered_by[0]);
        }
    }

    pub(crate) fn broke(&mut self, status: &Status) {
        self.broken += 1;
        println!("        {:?}: {}\n", status.code(), status.message());
    }

    /// Whether every line was answered.
    pub(crate) fn is_over(&self) -> bool {
        self.left.is_empty()
    }

    /// What happened, in a sentence.
    pub(crate) fn summary(&self) -> String {
        let by_node = self.answered_by.chunk_by(PartialEq::eq);
        let by_node = by_node.map(|lines| format!("{} by node {}", lines.len(), lines[0]));
        let all = self.answered_by.len() + self.left.len();
        format!(
            "{} of {all} lines were answered ({}), though the stream broke {}",
            self.answered_by.len(),
            by_node.collect::<Vec<_>>().join(", "),
            times(self.broken),
        )
    }
}

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

fn line(text: &str) -> Line {
    Line {
        text: text.to_owned(),
        ..Line::default()
    }
}
