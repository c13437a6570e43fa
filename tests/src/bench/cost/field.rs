//! Who is measured: the backend itself, and everything that can stand before it.

use std::net::SocketAddr;
use std::str::FromStr;

use serde_json::json;

use super::scenario::{Kind, Scenario};
use super::taken::{Column, Taken};
use crate::bench::Options;
use crate::bench::load::Load;
use crate::bench::process::{Backends, Logged, Nginx, OwnServer, sample};
use crate::fixture::Era;
use crate::harness::{ModernClient, config};

/// Tools of the backend, beside the built-in ones.
const TOOLS: usize = 500;

/// Takes the namespace off and does nothing else.
pub(super) const FORWARDER: &str = "forwarder";
pub(super) const ROUTER: &str = "router";
pub(super) const DIRECT: &str = "direct";
pub(super) const NGINX: &str = "nginx";
/// Writes as many bytes as the router's list has.
pub(super) const PLAIN: &str = "bytes alone";

/// Where a load is put.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(super) who: String,
    addr: SocketAddr,
    path: String,
    /// What it calls the backend's tool `echo`.
    tool: String,
    pid: Option<u32>,
}

impl Target {
    fn new(who: &str, addr: SocketAddr, pid: Option<u32>) -> Self {
        Self {
            who: who.to_owned(),
            addr,
            path: "/mcp".to_owned(),
            tool: "bench.echo".to_owned(),
            pid,
        }
    }

    fn unprefixed(self) -> Self {
        Self {
            tool: "echo".to_owned(),
            ..self
        }
    }
}

/// `NAME=http://ADDR:PORT/PATH,PID[,TOOL]`.
impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = (|| {
            let (who, rest) = text.split_once("=http://")?;
            let mut parts = rest.split(',');
            let (addr, path) = parts.next()?.split_once('/')?;
            let pid = parts.next()?.parse().ok()?;
            let target = Self::new(who, addr.parse().ok()?, Some(pid));
            Some(Self {
                path: format!("/{path}"),
                tool: parts.next().unwrap_or("bench.echo").to_owned(),
                ..target
            })
        })();
        parsed.ok_or_else(|| "NAME=http://ADDR:PORT/PATH,PID[,TOOL]".to_owned())
    }
}

/// All that stands for the whole run. Router and forwarder are started anew for each round: where
/// a process happens to lie in memory makes it a little faster or slower for all of its life.
pub(super) struct Field {
    url: String,
    direct: SocketAddr,
    nginx: Option<Nginx>,
    _backends: Option<Backends>,
}

impl Field {
    pub(super) async fn start(options: &Options) -> Self {
        let (backends, url) = match &options.upstream {
            Some(url) => (None, url.clone()),
            None => {
                let backends = Backends::start(&["--tools", &TOOLS.to_string()]).await;
                let url = backends.urls[0].clone();
                (Some(backends), url)
            }
        };
        let authority = url.trim_start_matches("http://").split('/').next();
        let direct = authority.and_then(|authority| authority.parse().ok());
        let direct: SocketAddr = direct.expect("the backend's URL is http://ADDR:PORT/mcp");
        let nginx = if options.no_nginx {
            None
        } else {
            Nginx::start(direct).await
        };
        Self {
            url,
            direct,
            nginx,
            _backends: backends,
        }
    }

    /// Puts the load on everybody in turn, as often as there are rounds.
    pub(super) async fn measure(&self, scenario: &Scenario, era: Era, options: &Options) -> Taken {
        let file = config([("bench", &self.url)]);
        let mut taken: Vec<Column> = Vec::new();
        for round in 0..options.rounds {
            let router = Logged::start(&file, scenario.log, &["bench"]).await;
            let forwarder = OwnServer::start(&["forward", &self.direct.to_string()]).await;
            let mut plain = None;
            if scenario.kind == Kind::List {
                let length = list_length(&router, era).await.to_string();
                plain = Some(OwnServer::start(&["plain", &length]).await);
            }
            let mut targets = self.targets(&router, &forwarder, plain.as_ref(), options);
            if taken.is_empty() {
                taken = targets.iter().map(|t| Column::new(&t.who)).collect();
            }
            // There and back again, so that a machine that slows down slows all of them alike.
            if round % 2 == 1 {
                targets.reverse();
            }
            for target in targets {
                let load = load(scenario, era, &target, options);
                let sample = sample(&load, target.pid).await;
                if let Some(column) = taken.iter_mut().find(|c| c.who == target.who) {
                    column.samples.push(sample);
                }
            }
        }
        Taken::new(*scenario, era, taken)
    }

    fn targets(
        &self,
        router: &Logged,
        forwarder: &OwnServer,
        plain: Option<&OwnServer>,
        options: &Options,
    ) -> Vec<Target> {
        let mut targets = vec![Target::new(DIRECT, self.direct, None).unprefixed()];
        targets.push(Target::new(FORWARDER, forwarder.addr, Some(forwarder.pid)));
        targets.push(Target::new(ROUTER, router.addr, Some(router.pid)));
        if let Some(nginx) = &self.nginx {
            targets.push(Target::new(NGINX, nginx.addr, Some(nginx.pid)).unprefixed());
        }
        targets.extend(plain.map(|plain| Target::new(PLAIN, plain.addr, Some(plain.pid))));
        targets.extend(options.beside.iter().cloned());
        targets
    }
}

fn load(scenario: &Scenario, era: Era, target: &Target, options: &Options) -> Load {
    let tool = scenario.tool().map(|_| target.tool.clone());
    Load {
        era,
        path: target.path.clone(),
        payload: scenario.payload,
        connections: scenario.connections,
        run_ms: options.millis(),
        ..Load::new(target.addr, tool.into_iter().collect())
    }
}

/// How many bytes the router's list is in this era.
async fn list_length(router: &Logged, era: Era) -> usize {
    let reply = if era == Era::Legacy {
        router.session().await.post("tools/list", json!({})).await
    } else {
        let client = ModernClient::new(router.addr);
        client.post("tools/list", json!({})).await
    };
    reply.body.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_beside_ours_is_named_with_its_process_and_its_name_of_the_tool() {
        let target: Target = "other=http://127.0.0.1:3000/a/mcp,42,bench_echo"
            .parse()
            .expect("all is there");

        assert_eq!((target.who.as_str(), target.pid), ("other", Some(42)));
        assert_eq!(
            (target.path.as_str(), target.tool.as_str()),
            ("/a/mcp", "bench_echo")
        );
        let short: Target = "x=http://127.0.0.1:3000/mcp,42".parse().expect("enough");
        assert_eq!(short.tool, "bench.echo");
        assert!("x=http://127.0.0.1:3000/mcp".parse::<Target>().is_err());
        assert!("http://127.0.0.1:3000/mcp,1".parse::<Target>().is_err());
    }
}
