//! How many files the system lets this process open, and how many of them connections may be.

use std::io;

/// Files kept free for the data folder where there are many; where there are few, a quarter of them.
const RESERVED_MAX: u64 = 1024;

/// Raises the limit as far as the system permits without asking, and fits `wanted` connections to it.
pub(crate) fn fit_connections(wanted: usize) -> io::Result<usize> {
    let files = rlimit::increase_nofile_limit(u64::MAX)?;
    let fit = usize::try_from(for_connections(files)).unwrap_or(usize::MAX);
    if fit < wanted {
        tracing::info!(files, connections = fit, "open files limit the connections to fewer than are set");
    }
    Ok(wanted.min(fit))
}

fn for_connections(files: u64) -> u64 {
    files - RESERVED_MAX.min(files / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_files_is_kept_for_the_data_folder() {
        for (files, connections) in [(0, 0), (256, 192), (1024, 768), (4096, 3072), (20_000, 18_976)] {
            assert_eq!(for_connections(files), connections, "{files}");
        }
    }
}
