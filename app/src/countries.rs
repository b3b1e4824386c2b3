//! From an address to its country, by a file in MaxMind's format. The file is read whole into
//! memory; when it changes on disk it is read again, and until it can be, the one before stays.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use domain::click::Country;
use maxminddb::{PathElement, Reader};
use thiserror::Error;

/// Why the country file cannot be used.
#[derive(Debug, Error)]
#[error("the country file {} cannot be used", path.display())]
pub struct CountryFileError {
    path: PathBuf,
    source: maxminddb::MaxMindDbError,
}

/// What a file looked like when it was read: another time or size means another content.
type Stamp = Option<(SystemTime, u64)>;

/// Knows the country of an address, where a file is configured.
pub(crate) struct Countries {
    path: Option<PathBuf>,
    reader: ArcSwapOption<Reader<Vec<u8>>>,
    read_at: Mutex<Stamp>,
}

impl Countries {
    /// Reads the file, where there is to be one.
    pub(crate) fn open(path: Option<PathBuf>) -> Result<Self, CountryFileError> {
        let countries = Self { path, reader: ArcSwapOption::empty(), read_at: Mutex::default() };
        countries.reload()?;
        Ok(countries)
    }

    /// The country of an address; unknown without a file, or where the file does not say.
    pub(crate) fn of(&self, address: IpAddr) -> Country {
        // GeoIP2 nests the code, the plain country files have it at the top.
        const PATHS: [&[PathElement<'_>]; 2] = [
            &[PathElement::Key("country"), PathElement::Key("iso_code")],
            &[PathElement::Key("country_code")],
        ];
        if is_local(address) {
            return Country::UNKNOWN;
        }
        let reader = self.reader.load();
        let Some(Ok(found)) = reader.as_ref().map(|reader| reader.lookup(address)) else {
            return Country::UNKNOWN;
        };
        let code = PATHS.iter().find_map(|path| found.decode_path::<&str>(path).ok().flatten());
        code.and_then(Country::new).unwrap_or_default()
    }

    /// Reads the file again if it has changed. Blocks.
    pub(crate) fn reload(&self) -> Result<(), CountryFileError> {
        let Some(path) = &self.path else { return Ok(()) };
        let mut read_at = self.read_at.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(path);
        if stamp.is_some() && *read_at == stamp {
            return Ok(());
        }
        let read = Reader::open_readfile(path);
        // Also after a failure: the same broken file is not tried again and again.
        *read_at = stamp;
        let reader = read.map_err(|source| CountryFileError { path: path.clone(), source })?;
        self.reader.store(Some(reader.into()));
        Ok(())
    }
}

/// Whether an address means another machine in every network. Some files name a country even so.
fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => {
            v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified()
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
