//! Where the binary under test is.

use std::path::PathBuf;

/// The `crumb` to test: the environment's `CRUMB_BIN`, else the one beside the running test, as
/// `cargo build` leaves it.
pub fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("CRUMB_BIN") {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "CRUMB_BIN names {}, which is not there", named.display());
        return named;
    }
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile = test.ancestors().nth(2).expect("tests are in target/<profile>/deps");
    let binary = profile.join("crumb");
    assert!(
        binary.is_file(),
        "{} is not there; run `cargo build --workspace --all-targets` first, or `make test`",
        binary.display()
    );
    binary
}
