use std::ffi::OsString;

use mcp_router_config::VARIABLES;
use mcp_router_protocol::Profile;

use super::command::{AlwaysJson, Output};
use super::*;

fn parse(edge: Edge, args: &[&str]) -> Result<Cli, u8> {
    let args = ["mcp-router"].iter().chain(args).map(OsString::from);
    args::parse(edge, args).map_err(|early| early.code())
}

#[test]
fn flags_come_before_and_after_subcommands() {
    let cli = parse(
        Edge::Http,
        &[
            "--host", "::1", "check", "--config", "x.yaml", "--port", "0",
        ],
    );
    let cli = cli.unwrap();
    let check = Command::Check {
        connect: false,
        output: Output::default(),
    };
    assert_eq!(cli.command, Some(check));
    assert_eq!(cli.config.unwrap().to_str(), Some("x.yaml"));
    assert_eq!(
        (cli.flags.host.as_deref(), cli.flags.port),
        (Some("::1"), Some(0))
    );
}

#[test]
fn a_call_without_arguments_has_an_empty_object() {
    let cli = parse(Edge::Stdio, &["--demo", "call", "time.now"]).unwrap();
    let expected = Command::Call {
        name: "time.now".to_owned(),
        arguments: "{}".to_owned(),
        always: AlwaysJson::default(),
    };
    assert_eq!(cli.command, Some(expected));
    assert!(cli.demo);
}

#[test]
fn tools_can_be_shown_as_a_host_gets_them_whatever_the_address() {
    let profile = |args: &[&str]| match parse(Edge::Http, args).unwrap().command {
        Some(Command::Tools { profile, .. }) => profile,
        other => panic!("{other:?}"),
    };
    assert_eq!(profile(&["--host", "::1", "tools"]), Profile::Plain);
    assert_eq!(profile(&["tools", "--as", "cursor"]), Profile::Cursor);
    assert_eq!(
        profile(&["tools", "--as", "claude-ai"]),
        Profile::ClaudeDesktop
    );
    assert_eq!(
        parse(Edge::Stdio, &["tools", "--as", "x"]).unwrap_err(),
        USAGE
    );
}

#[test]
fn wrong_usage_is_2_and_help_is_0() {
    for (edge, args, code) in [
        (Edge::Http, &["--nonsense"][..], USAGE),
        (Edge::Http, &["--port", "65536"], USAGE),
        (Edge::Http, &["--log-format", "xml"], USAGE),
        (Edge::Http, &["--demo", "--config", "x"], USAGE),
        (Edge::Http, &["call"], USAGE),
        (Edge::Stdio, &["--port", "1"], USAGE),
        (Edge::Http, &["--help"], OK),
        (Edge::Stdio, &["--version"], OK),
    ] {
        assert_eq!(parse(edge, args).unwrap_err(), code, "{args:?}");
    }
}

#[test]
fn help_lists_every_variable() {
    let help = args::help(Edge::Http);
    for variable in VARIABLES {
        assert!(help.contains(variable.name), "{}", variable.name);
    }
    assert!(help.contains("--log-format") && help.contains("--demo"));
    assert!(!args::help(Edge::Stdio).contains("--port"));
}

#[test]
fn every_command_takes_json_or_prints_a_script() {
    for args in [
        &["check", "--json"][..],
        &["check", "--connect", "--json"],
        &["tools", "--json"],
        &["call", "a", "--json"],
        &["explain", "a", "--json"],
        &["schema", "--json"],
        &["import", "f", "--json"],
        &["completions", "fish"],
        &["man"],
    ] {
        assert!(parse(Edge::Http, args).is_ok(), "{args:?}");
        assert!(parse(Edge::Stdio, args).is_ok(), "{args:?}");
    }
    let commands = args::whole(Edge::Http);
    let all = commands
        .get_subcommands()
        .filter(|c| c.get_name() != "help");
    assert_eq!(all.count(), 8, "a new command needs a line above");
}

#[test]
fn colours_can_be_forced_and_refused() {
    let colours = |args: &[&str]| parse(Edge::Http, args).unwrap().colours;
    assert!(colours(&["--color", "always"]).on_stdout());
    assert!(!colours(&["--color=never"]).on_stderr());
    assert_eq!(parse(Edge::Http, &["--color", "blue"]).unwrap_err(), USAGE);
}

#[test]
fn every_argument_has_a_description() {
    fn described(command: &clap::Command) {
        for arg in command.get_arguments() {
            let hidden = arg.is_hide_set();
            assert!(
                hidden || arg.get_help().is_some(),
                "{} {}",
                command.get_name(),
                arg.get_id()
            );
        }
        command.get_subcommands().for_each(described);
    }
    for edge in [Edge::Http, Edge::Stdio] {
        described(&args::whole(edge));
    }
}
