//! Hosts that are known to want names of their own kind, by what they call themselves.
//!
//! What they take was found out from what they refuse: the pattern `^[a-zA-Z0-9_-]{1,64}$` is that
//! of the Anthropic, OpenAI and Bedrock APIs, and Claude Desktop withholds *every* tool of a server
//! that has one name outside it. Hosts that put the server's name in front of the tool's, as the
//! user configured it there, leave that much less; the router knows only what it calls itself, and
//! counts with that.

use crate::spelling::{MAX_FITTED, Spelling};

/// A kind of host, as far as names go.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Profile {
    /// Everybody else: names as the operator's separator makes them.
    #[default]
    Plain,
    /// Claude Desktop and claude.ai: the pattern.
    ClaudeDesktop,
    /// Claude Code calls a tool `mcp__{server}__{tool}`.
    ClaudeCode,
    /// Cursor hides tools for which server and tool together have 60 characters.
    Cursor,
    /// VS Code puts up to 18 characters in front, and cuts at 64.
    VsCode,
    /// The OpenAI API and ChatGPT: the pattern.
    OpenAi,
    /// Codex calls a tool `mcp__{server}__{tool}`.
    Codex,
    /// Copilot CLI calls a tool `{server}-{tool}`.
    Copilot,
    /// Windsurf puts `mcp{n}_` in front.
    Windsurf,
    /// Agents on Bedrock: the pattern.
    Bedrock,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Plain,
        Self::ClaudeDesktop,
        Self::ClaudeCode,
        Self::Cursor,
        Self::VsCode,
        Self::OpenAi,
        Self::Codex,
        Self::Copilot,
        Self::Windsurf,
        Self::Bedrock,
    ];

    /// What operators call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::ClaudeDesktop => "claude-desktop",
            Self::ClaudeCode => "claude-code",
            Self::Cursor => "cursor",
            Self::VsCode => "vscode",
            Self::OpenAi => "openai",
            Self::Codex => "codex",
            Self::Copilot => "copilot",
            Self::Windsurf => "windsurf",
            Self::Bedrock => "bedrock",
        }
    }

    /// The kind of a host that says in `clientInfo.name` that this is its name. Bridges add
    /// themselves behind it (`claude-ai (via mcp-remote 0.1.37)`).
    pub fn of(client: &str) -> Self {
        // Nobody known has a longer name.
        let head = client.get(..client.floor_char_boundary(128));
        let lower = head.unwrap_or_default().to_ascii_lowercase();
        let name = lower.split(" (via ").next().unwrap_or_default().trim();
        let starts = |all: &[&str]| all.iter().any(|start| name.starts_with(start));
        // Cursor before VS Code: it calls itself `cursor-vscode`.
        if starts(&["claude-code", "claude code"]) {
            Self::ClaudeCode
        } else if starts(&["claude", "anthropic", "local-agent-mode"]) {
            Self::ClaudeDesktop
        } else if starts(&["cursor"]) {
            Self::Cursor
        } else if starts(&[
            "visual studio code",
            "visual-studio-code",
            "vscode",
            "code - oss",
        ]) {
            Self::VsCode
        } else if starts(&["codex"]) {
            Self::Codex
        } else if starts(&["openai", "chatgpt"]) {
            Self::OpenAi
        } else if starts(&["github-copilot", "github copilot", "copilot"]) {
            Self::Copilot
        } else if starts(&["windsurf"]) {
            Self::Windsurf
        } else if starts(&["bedrock", "amazon-bedrock", "aws-bedrock", "amazon bedrock"]) {
            Self::Bedrock
        } else {
            Self::Plain
        }
    }

    /// How names are spelled for it by a server of this name.
    pub fn spelling(self, server: &str) -> Spelling {
        let server = server.chars().count();
        let taken = match self {
            Self::Plain => return Spelling::PLAIN,
            Self::ClaudeDesktop | Self::OpenAi | Self::Bedrock => 0,
            Self::ClaudeCode | Self::Codex => "mcp__".len() + server + "__".len(),
            // 60 less the server's name and what may stand between the two.
            Self::Cursor => MAX_FITTED - 60 + server + 1,
            Self::VsCode => 18,
            Self::Copilot => server + 1,
            Self::Windsurf => "mcp99_".len(),
        };
        Spelling::fitted(MAX_FITTED.saturating_sub(taken))
    }
}

impl std::str::FromStr for Profile {
    type Err = UnknownProfile;

    /// Reads the operator's name for it, or what the host calls itself.
    fn from_str(text: &str) -> Result<Self, UnknownProfile> {
        let named = Self::ALL.into_iter().find(|p| p.as_str() == text);
        let found = named.unwrap_or_else(|| Self::of(text));
        match found {
            Self::Plain if text != Self::Plain.as_str() => Err(UnknownProfile),
            found => Ok(found),
        }
    }
}

/// A host that nobody knows to want special names.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("must be one of {}, or what such a host calls itself", names())]
pub struct UnknownProfile;

fn names() -> String {
    Profile::ALL.map(Profile::as_str).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_known_by_what_they_call_themselves() {
        for (client, profile) in [
            ("claude-ai", Profile::ClaudeDesktop),
            ("claude-ai (via mcp-remote 0.1.37)", Profile::ClaudeDesktop),
            ("local-agent-mode-x", Profile::ClaudeDesktop),
            ("Anthropic/ClaudeAI", Profile::ClaudeDesktop),
            ("claude-code", Profile::ClaudeCode),
            ("cursor-vscode", Profile::Cursor),
            ("Cursor", Profile::Cursor),
            ("Visual Studio Code - Insiders", Profile::VsCode),
            ("openai-mcp", Profile::OpenAi),
            ("codex-mcp-client", Profile::Codex),
            ("github-copilot-developer", Profile::Copilot),
            ("windsurf-client", Profile::Windsurf),
            ("mcp", Profile::Plain),
            ("harness", Profile::Plain),
            ("", Profile::Plain),
        ] {
            assert_eq!(Profile::of(client), profile, "{client}");
        }
        for profile in Profile::ALL {
            assert_eq!(profile.as_str().parse(), Ok(profile));
        }
        assert_eq!("netscape".parse::<Profile>(), Err(UnknownProfile));
    }

    #[test]
    fn the_servers_name_counts_where_hosts_put_it_in_front() {
        let longest = |profile: Profile, server: &str| {
            let spelling = profile.spelling(server);
            (1..=200)
                .filter(|n| spelling.accepts(&"x".repeat(*n)))
                .count()
        };
        let server = "mcp-router";
        assert_eq!(longest(Profile::ClaudeDesktop, server), 64);
        assert_eq!(longest(Profile::ClaudeCode, server), 64 - 17);
        assert_eq!(longest(Profile::Cursor, server) + server.len() + 1, 60);
        assert_eq!(longest(Profile::VsCode, server), 46);
        assert_eq!(longest(Profile::Cursor, &"s".repeat(300)), 24);
        assert_eq!(longest(Profile::Plain, server), 200);
    }
}
