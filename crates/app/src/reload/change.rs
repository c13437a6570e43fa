//! From what runs to what shall run: who stays, who comes, who goes.

use std::collections::HashMap;

use mcp_router_config::BackendConfig;
use mcp_router_core::{Router, Transition};
use mcp_router_protocol::BackendName;

use crate::build::{NamedBy, Plan, Shape, StartError};

/// What runs: the file's backends, then those that clients registered.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) plan: Plan,
    pub(super) registered: Vec<BackendConfig>,
    shapes: HashMap<BackendName, Shape>,
}

/// Names, in the order of the file.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Difference {
    pub(super) added: Vec<String>,
    pub(super) removed: Vec<String>,
    pub(super) updated: Vec<String>,
}

impl Running {
    /// What was built of `plan`.
    pub(super) fn new(plan: Plan) -> Self {
        let shapes = shapes(&plan, &[]).into_iter();
        Self {
            shapes: shapes
                .map(|(_, shape)| (shape.name().clone(), shape))
                .collect(),
            registered: Vec::new(),
            plan,
        }
    }

    pub(super) fn has(&self, name: &BackendName) -> bool {
        self.shapes.contains_key(name)
    }

    /// Changes the router to `plan` and the registered backends; those whose every setting is the
    /// same are left alone.
    ///
    /// # Errors
    /// If that cannot be done at all. Nothing has changed then.
    pub(super) async fn change(
        &mut self,
        router: &Router,
        plan: Plan,
        registered: Vec<BackendConfig>,
        how: Transition,
    ) -> Result<Difference, StartError> {
        let mut difference = Difference::default();
        let mut builder = plan.settings();
        let mut shapes = HashMap::new();
        for (config, shape) in self::shapes(&plan, &registered) {
            let name = config.name.clone();
            builder = match self.shapes.get(&name) {
                Some(old) if *old == shape => builder.keep(name.clone()),
                old => {
                    let list = match old {
                        Some(_) => &mut difference.updated,
                        None => &mut difference.added,
                    };
                    list.push(name.to_string());
                    builder.backend(plan.backend(config, shape.named_by())?)
                }
            };
            shapes.insert(name, shape);
        }
        let gone = self
            .shapes
            .keys()
            .filter(|name| !shapes.contains_key(*name));
        difference.removed = gone.map(ToString::to_string).collect();
        difference.removed.sort_unstable();
        router.update(builder, how).await?;
        if let Some(alerts) = &plan.alerts {
            alerts.update(&plan.config.alerts);
        }
        (self.plan, self.registered, self.shapes) = (plan, registered, shapes);
        Ok(difference)
    }
}

fn shapes<'a>(plan: &'a Plan, registered: &'a [BackendConfig]) -> Vec<(&'a BackendConfig, Shape)> {
    let of = |by| move |config| (config, plan.shape(config, by));
    let by_client = NamedBy::Client {
        private: plan.config.registration.allow_private,
    };
    let listed = plan.config.backends.iter().map(of(NamedBy::Operator));
    listed.chain(registered.iter().map(of(by_client))).collect()
}

impl Difference {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
