//! A client of ours, made as a scenario makes go-micro's: by the same doors, in the same order.

use std::sync::Arc;

use tower_micro::{
    BuildError, CallOptions, Client, ClientBuilder, Connect, Selector, wrap::erase::ErasedLayer,
};

use super::{
    choice::{Choice, Names},
    choices::Choices,
    scenario::Input,
    wrappers::{Place, Several, Wrapper},
};
use crate::support::builder;

type Builder<K> = ClientBuilder<ErasedLayer, ErasedLayer, K>;

/// One call of a door with all wrappers, as a tuple; more than three are tuples in tuples.
macro_rules! by_one_door {
    ($builder:ident.$door:ident($names:ident, $layer:ident)) => {
        match $names {
            [] => $builder,
            [a] => $builder.$door($layer(a)).erased(),
            [a, b] => $builder.$door(($layer(a), $layer(b))).erased(),
            [a, b, c] => $builder.$door(($layer(a), $layer(b), $layer(c))).erased(),
            [a, b, rest @ ..] => {
                let rest = Several(rest.iter().map($layer).collect());
                $builder.$door(($layer(a), ($layer(b), rest))).erased()
            }
        }
    };
}

/// What a client is made of.
pub(super) struct Parts<'a, K> {
    pub(super) input: &'a Input,
    pub(super) choices: &'a Choices,
    pub(super) selector: Arc<dyn Selector>,
    pub(super) connect: K,
}

impl<K: Connect + Clone> Parts<'_, K> {
    /// `NewClient`, `Init` and, if there is one, `NewService`.
    pub(super) fn client(&self) -> Result<Client, BuildError> {
        let builder = self.new_client(self.started());
        let Some(service) = &self.input.service_options else {
            return self.initialised(builder.build()?, &[]);
        };
        // What comes before `micro.Client` is done to go-micro's default client, and lost.
        let given = after_client(service).iter().cloned();
        let (doors, live): (Vec<_>, Vec<_>) = given.partition(|choice| self.is_by_door(choice));
        let builder = doors
            .iter()
            .fold(builder, |builder, choice| self.door(builder, choice));
        self.initialised(builder.build()?, &live)
    }

    /// Once `Init` has added call wrappers, the service's come after them, and so by `Init` too.
    fn is_by_door(&self, choice: &Choice) -> bool {
        let mut live = self.input.client_init.iter();
        let any_live = live.any(|choice| matches!(choice, Choice::WrapCall(_)));
        !(any_live && matches!(choice, Choice::WrapCall(_)))
    }

    fn started(&self) -> Builder<K> {
        builder()
            .preset(self.choices.preset())
            .selector(Arc::clone(&self.selector))
            .proxy(self.input.proxy())
            .connect(self.connect.clone())
            .erased()
    }

    fn new_client(&self, builder: Builder<K>) -> Builder<K> {
        let choices = self.input.client_options.iter();
        choices.fold(builder, |builder, choice| self.door(builder, choice))
    }

    /// Later options of a running client. `Wrap` has no door there, as it has no effect in go-micro.
    fn initialised(&self, client: Client, service: &[Choice]) -> Result<Client, BuildError> {
        let init = self
            .choices
            .all(CallOptions::new(), &self.input.client_init);
        let init = self.choices.all(init, service);
        client.configure(|settings| {
            settings.options(init.clone());
        })?;
        Ok(client)
    }

    /// The door that a choice goes in by.
    fn door(&self, builder: Builder<K>, choice: &Choice) -> Builder<K> {
        match choice {
            Choice::Wrap(Names { names }) => names.iter().fold(builder, |builder, name| {
                builder.wrap(self.wrapper(name, Place::Client)).erased()
            }),
            Choice::WrapClient(Names { names }) => self.wrap_client(builder, names),
            Choice::WrapCall(Names { names }) => self.wrap_call(builder, names),
            other => builder.options(self.choices.chosen(CallOptions::new(), other)),
        }
    }

    fn wrapper(&self, name: &str, place: Place) -> Wrapper {
        Wrapper::new(name, place, self.choices)
    }

    fn wrap_client(&self, builder: Builder<K>, names: &[String]) -> Builder<K> {
        let layer = |name: &String| self.wrapper(name, Place::Client);
        by_one_door!(builder.wrap_client(names, layer))
    }

    fn wrap_call(&self, builder: Builder<K>, names: &[String]) -> Builder<K> {
        let layer = |name: &String| self.wrapper(name, Place::Call);
        by_one_door!(builder.wrap_call(names, layer))
    }
}

/// The options from `micro.Client` on.
pub(super) fn after_client(service: &[Choice]) -> &[Choice] {
    let client = service
        .iter()
        .position(|choice| matches!(choice, Choice::Client));
    &service[client.unwrap_or(service.len())..]
}
