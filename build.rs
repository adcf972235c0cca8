//! Has the program built anew when a migration changes, since it carries them.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
