//! Calls over real servers on loopback.

use std::{io, sync::Arc};

use prost::Message;
use serde_json::Value;
use tonic::client::Grpc;
use tonic_prost::ProstCodec;
use tower_micro::{BuildError, CallOptions, Channel, Error, RequestExt};
use tower_micro_testkit::{
    Echo, GoMicroGreeter, TestServer, closed_port,
    proto::{echo, go_micro as greeter},
};

use crate::support::{Wire, server, start};

use super::{
    call::{each, endpoint_of, path_of},
    choice::Choice,
    choices::Choices,
    client::Parts,
    scenario::{Call, Input, Operation},
    selector, stream,
};

/// The servers of one scenario, and the names that the traces have for their addresses.
struct Servers {
    _greeter: TestServer,
    _echo: TestServer,
    names: [(&'static str, String); 3],
}

impl Servers {
    async fn start() -> io::Result<Self> {
        let greeter = start("greeter", GoMicroGreeter::new()).await?;
        let echo = server().add_service(Echo.service());
        let echo = TestServer::serve("echo", echo).await?;
        let names = [
            ("@greeter", greeter.address().to_string()),
            ("@echo", echo.address().to_string()),
            ("@down", closed_port().await?),
        ];
        Ok(Self {
            _greeter: greeter,
            _echo: echo,
            names,
        })
    }

    fn address(&self, name: &str) -> String {
        let known = self.names.iter().find(|(known, _)| *known == name);
        known.map_or_else(|| name.to_owned(), |(_, address)| address.clone())
    }

    /// Options of a call, with the addresses in the place of the names.
    fn placed(&self, options: &[Choice]) -> Vec<Choice> {
        let placed = |choice: &Choice| match choice {
            Choice::WithAddress { addrs } => Choice::WithAddress {
                addrs: addrs.iter().map(|name| self.address(name)).collect(),
            },
            other => other.clone(),
        };
        options.iter().map(placed).collect()
    }

    /// Puts the names in the place of the addresses.
    fn renamed(&self, mut event: Value) -> Value {
        let address = event["addr"].as_str();
        let known = self
            .names
            .iter()
            .find(|(_, known)| Some(known.as_str()) == address);
        if let Some((name, _)) = known {
            event["addr"] = (*name).into();
        }
        event
    }
}

pub(super) async fn replay(input: &Input, choices: &Choices) -> Result<Vec<Value>, BuildError> {
    let servers = Servers::start().await.expect("loopback has free ports");
    let recorder = choices.recorder();
    let mut selecting = input.selector.clone();
    for node in &mut selecting.nodes {
        node.addr = servers.address(&node.addr);
    }
    let parts = Parts {
        input,
        choices,
        selector: Arc::new(selector::recorded(&selecting, recorder).await),
        connect: Wire::new(),
    };
    let channel = parts.client()?.channel(&input.service);
    each(input, choices, async |call| {
        let options = servers.placed(&call.options);
        let options = choices.all(CallOptions::new(), &options);
        let caller = Caller {
            channel: channel.clone(),
            path: path_of(input, call),
            options,
        };
        match call.op {
            Operation::Stream => Ok(("steps", caller.stream(call).await?.into())),
            Operation::Call => {
                let endpoint = endpoint_of(input, call);
                Ok(("rsp", caller.method(endpoint, call).await?.into()))
            }
        }
    })
    .await;
    let events = recorder.events().into_iter();
    Ok(events.map(|event| servers.renamed(event)).collect())
}

/// Calls one method, as a generated client does.
pub(super) struct Caller {
    pub(super) channel: Channel,
    pub(super) path: String,
    pub(super) options: CallOptions,
}

impl Caller {
    /// What the answer says, in the words of the traces.
    async fn method(self, endpoint: &str, call: &Call) -> Result<String, Error> {
        let body = &call.body;
        let is_echo = self.is_echo();
        match endpoint.rsplit(['.', '/']).next() {
            Some("Call") if is_echo => {
                let payload = text(body, "payload").into_bytes();
                let sleep_ms = number(body, "sleep_ms");
                self.echo(echo::EchoRequest { payload, sleep_ms }).await
            }
            Some("Status") if is_echo => {
                let (code, message) = (number(body, "code"), text(body, "message"));
                self.echo(echo::StatusRequest { code, message }).await
            }
            Some("Fail") => {
                let (id, detail) = (text(body, "id"), text(body, "detail"));
                let (code, kind) = (number(body, "code"), text(body, "kind"));
                self.greet(greeter::FailRequest {
                    code,
                    id,
                    detail,
                    kind,
                })
                .await
            }
            Some("Sleep") => {
                let ms = number(body, "ms").into();
                self.greet(greeter::SleepRequest { ms }).await
            }
            Some("Flaky") => {
                let (key, times) = (text(body, "key"), number(body, "times"));
                let code = number(body, "code");
                self.greet(greeter::FlakyRequest { key, times, code }).await
            }
            _ => {
                self.greet(greeter::Request {
                    name: text(body, "name"),
                })
                .await
            }
        }
    }

    /// What the steps of a stream gave.
    async fn stream(self, call: &Call) -> Result<Vec<Value>, Error> {
        let steps = &call.stream_steps;
        if self.is_echo() {
            let say = |text: &str| echo::EchoRequest {
                payload: text.to_owned().into(),
                sleep_ms: 0,
            };
            let heard =
                |said: echo::EchoResponse| String::from_utf8_lossy(&said.payload).into_owned();
            return stream::replay(self, steps, say, heard).await;
        }
        let say = |text: &str| greeter::Request {
            name: text.to_owned(),
        };
        stream::replay(self, steps, say, |said: greeter::Response| said.msg).await
    }

    fn is_echo(&self) -> bool {
        self.path.starts_with("/oracle.echo.")
    }

    async fn greet<Q: Message + 'static>(self, request: Q) -> Result<String, Error> {
        let answer: greeter::Response = self.unary(request).await?;
        Ok(answer.msg)
    }

    async fn echo<Q: Message + 'static>(self, request: Q) -> Result<String, Error> {
        let answer: echo::EchoResponse = self.unary(request).await?;
        Ok(String::from_utf8_lossy(&answer.payload).into_owned())
    }

    async fn unary<Q, R>(self, request: Q) -> Result<R, Error>
    where
        Q: Message + 'static,
        R: Message + Default + 'static,
    {
        let request = tonic::Request::new(request).with_options(self.options);
        let path = self.path.parse().expect("a path that begins with a slash");
        let mut client = Grpc::new(self.channel);
        client.ready().await.expect("a channel is always ready");
        let answer = client
            .unary(request, path, ProstCodec::<Q, R>::default())
            .await;
        answer.map(tonic::Response::into_inner).map_err(Error::from)
    }
}

fn text(body: &Value, member: &str) -> String {
    body[member].as_str().unwrap_or_default().to_owned()
}

fn number(body: &Value, member: &str) -> i32 {
    let number = body[member].as_i64().unwrap_or_default();
    i32::try_from(number).unwrap_or_default()
}
