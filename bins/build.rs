//! Has the linker lay side by side what a router runs: `first.ld` names it.
//!
//! The kernel maps sixteen pages around each that is touched. With what runs scattered among what
//! does not, all of the program was in memory; and calls jump less far.

use std::env;
use std::path::Path;

fn main() {
    let var = |name| env::var(name).unwrap_or_default();
    let script = Path::new(&var("CARGO_MANIFEST_DIR")).join("../first.ld");
    println!("cargo::rerun-if-changed={}", script.display());
    println!("cargo::rerun-if-changed=../build.rs");
    let wanted = var("CARGO_CFG_TARGET_OS") == "linux" && var("PROFILE") == "release";
    // Whoever brings a linker may bring one that cannot read this, as mold cannot.
    let usual = var("RUSTC_LINKER").is_empty() && !var("CARGO_ENCODED_RUSTFLAGS").contains("link");
    if wanted && usual {
        println!("cargo::rustc-link-arg-bins=-T");
        println!("cargo::rustc-link-arg-bins={}", script.display());
    }
}
