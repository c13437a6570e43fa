//! `completions` and `man`: what shells and `man` want to know of the command line.

use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use super::args::{self, Edge};
use super::{FAILED, OK, terminal};

/// Prints the script by which `shell` completes our arguments.
pub(super) fn completions(edge: Edge, shell: Shell) -> u8 {
    let mut command = args::whole(edge);
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    terminal::print(&String::from_utf8_lossy(&script))
}

/// Prints the manual page of the program, or writes those of all its subcommands, too.
pub(super) fn man(edge: Edge, folder: Option<&Path>) -> u8 {
    let mut command = args::whole(edge);
    // Names the subcommands in full, as in `mcp-router-http-check`.
    command.build();
    let done = match folder {
        None => page(&command).map(|page| terminal::print(&String::from_utf8_lossy(&page))),
        Some(folder) => written(&command, folder).map(|files| {
            files
                .iter()
                .for_each(|file| terminal::say(&file.display().to_string()));
            OK
        }),
    };
    done.unwrap_or_else(|error| {
        terminal::complain(&format!("the manual cannot be written: {error}"));
        FAILED
    })
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    Ok(page)
}

/// One page for the program and one for each subcommand; where they are.
fn written(command: &Command, folder: &Path) -> io::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder)?;
    let below = command.get_subcommands();
    let below = below.filter(|sub| !sub.is_hide_set() && sub.get_name() != "help");
    let mut files = Vec::new();
    for command in std::iter::once(command).chain(below) {
        let name = command.get_display_name().unwrap_or(command.get_name());
        let file = folder.join(format!("{name}.1"));
        std::fs::write(&file, page(command)?)?;
        files.push(file);
    }
    Ok(files)
}
