//! Keys of later releases: wrong values are said now.

use super::Site;
use crate::raw::RawRegistration;
use crate::yaml::Path;

pub(super) fn registration(raw: &RawRegistration, site: &mut Site<'_>) {
    let path = Path::root().key("registration").key("allow_commands");
    let commands = raw.allow_commands.iter().flatten().enumerate();
    for (at, _) in commands.filter(|(_, command)| command.trim().is_empty()) {
        site.wrong(&path.item(at), "must not be empty");
    }
}
