//! How many files the system lets this process open, and how many of them connections may be.

use std::io;

/// Files kept free for the data folder where there are many; where there are few, a quarter of them.
const RESERVED_MAX: u64 = 1024;

/// Raises the limit as far as the system permits without asking, and fits `wanted` connections to it, beside
/// so many `calls` to others.
pub(crate) fn fit_connections(wanted: usize, calls: usize) -> io::Result<usize> {
    let files = rlimit::increase_nofile_limit(u64::MAX)?;
    let fit = usize::try_from(for_connections(files, calls as u64)).unwrap_or(usize::MAX);
    if fit < wanted {
        tracing::info!(files, connections = fit, "open files limit the connections to fewer than are set");
    }
    Ok(wanted.min(fit))
}

fn for_connections(files: u64, calls: u64) -> u64 {
    files - RESERVED_MAX.min(files / 4) - calls.min(files / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_files_is_kept_for_the_data_folder_and_for_calls() {
        for (files, calls, connections) in [
            (0, 0, 0),
            (256, 0, 192),
            (1024, 0, 768),
            (4096, 0, 3072),
            (20_000, 0, 18_976),
            (20_000, 1_000, 17_976),
            (1024, 1_000, 512),
        ] {
            assert_eq!(for_connections(files, calls), connections, "{files}");
        }
    }
}
