//! Has the program built again when a migration changes, since the compiler does not see the files that it embeds.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
