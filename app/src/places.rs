//! From an address to its country, region and network, by files in MaxMind's format. A file is read
//! whole into memory; when it changes on disk it is read again, and until it can be, the one before
//! stays.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use domain::click::Country;
use maxminddb::{PathElement, Reader};
use thiserror::Error;

/// Why a file cannot be used.
#[derive(Debug, Error)]
#[error("the {what} file {} cannot be used", path.display())]
pub struct PlaceFileError {
    what: &'static str,
    path: PathBuf,
    source: maxminddb::MaxMindDbError,
}

/// The files that tell of addresses, where there are any.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PlaceFiles {
    /// Countries, and regions where the file knows them.
    pub country: Option<PathBuf>,
    /// Autonomous systems.
    pub asn: Option<PathBuf>,
}

/// Where an address is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Place {
    pub(crate) country: Country,
    /// What follows the country in an ISO 3166-2 code, or empty.
    pub(crate) region: String,
    /// The number of the autonomous system.
    pub(crate) asn: Option<u32>,
}

/// What a file looked like when it was read: another time or size means another content.
type Stamp = Option<(SystemTime, u64)>;

/// Knows the place of an address, as far as the files say.
pub(crate) struct Places {
    countries: PlaceFile,
    systems: PlaceFile,
}

impl Places {
    /// Reads the files there are to be.
    pub(crate) fn open(files: PlaceFiles) -> Result<Self, PlaceFileError> {
        let places = Self {
            countries: PlaceFile::new("country", files.country),
            systems: PlaceFile::new("network", files.asn),
        };
        places.reload()?;
        Ok(places)
    }

    /// The place of an address; unknown is what no file says.
    pub(crate) fn of(&self, address: IpAddr) -> Place {
        use PathElement::{Index, Key};
        // GeoIP2 nests the code, the plain country files have it at the top.
        const COUNTRY: [&[PathElement<'_>]; 2] = [&[Key("country"), Key("iso_code")], &[Key("country_code")]];
        const REGION: &[PathElement<'_>] = &[Key("subdivisions"), Index(0), Key("iso_code")];
        const ASN: &[PathElement<'_>] = &[Key("autonomous_system_number")];
        if is_local(address) {
            return Place::default();
        }
        let mut place = Place::default();
        if let Some(reader) = &*self.countries.reader.load()
            && let Ok(found) = reader.lookup(address)
        {
            let code = COUNTRY.iter().find_map(|path| found.decode_path::<&str>(path).ok().flatten());
            place.country = code.and_then(Country::new).unwrap_or_default();
            let region = found.decode_path::<&str>(REGION).ok().flatten();
            place.region = region.map(str::to_owned).unwrap_or_default();
        }
        if let Some(reader) = &*self.systems.reader.load()
            && let Ok(found) = reader.lookup(address)
        {
            place.asn = found.decode_path(ASN).ok().flatten();
        }
        place
    }

    /// Reads again what has changed. Blocks.
    pub(crate) fn reload(&self) -> Result<(), PlaceFileError> {
        self.countries.reload()?;
        self.systems.reload()
    }
}

struct PlaceFile {
    what: &'static str,
    path: Option<PathBuf>,
    reader: ArcSwapOption<Reader<Vec<u8>>>,
    read_at: Mutex<Stamp>,
}

impl PlaceFile {
    fn new(what: &'static str, path: Option<PathBuf>) -> Self {
        Self { what, path, reader: ArcSwapOption::empty(), read_at: Mutex::default() }
    }

    fn reload(&self) -> Result<(), PlaceFileError> {
        let Some(path) = &self.path else { return Ok(()) };
        let mut read_at = self.read_at.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(path);
        if stamp.is_some() && *read_at == stamp {
            return Ok(());
        }
        let read = Reader::open_readfile(path);
        // Also after a failure: the same broken file is not tried again and again.
        *read_at = stamp;
        let reader = read.map_err(|source| PlaceFileError { what: self.what, path: path.clone(), source })?;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use maxminddb_writer::Database;
    use maxminddb_writer::paths::IpAddrWithMask;
    use tempfile::TempDir;

    use super::*;

    /// A file that says one thing of 81.2.69.0/24.
    fn file(folder: &TempDir, name: &str, says: impl serde::Serialize) -> PathBuf {
        let mut database = Database::default();
        database.metadata.binary_format_major_version = 2;
        let says = database.insert_value(says).expect("a value");
        database.insert_node("81.2.69.0/24".parse::<IpAddrWithMask>().expect("a net"), says);
        let path = folder.path().join(name);
        database.write_to(std::fs::File::create(&path).expect("created")).expect("written");
        path
    }

    #[test]
    fn an_address_tells_country_region_and_network() {
        let folder = tempfile::tempdir().expect("a folder");
        let city = serde_json::json!({
            "country": { "iso_code": "GB" },
            "subdivisions": [{ "iso_code": "ENG" }, { "iso_code": "LND" }],
        });
        let asn = BTreeMap::from([("autonomous_system_number", 20_712_u32)]);
        let files = PlaceFiles {
            country: Some(file(&folder, "city.mmdb", city)),
            asn: Some(file(&folder, "asn.mmdb", asn)),
        };
        let places = Places::open(files).expect("readable");
        let found = places.of([81, 2, 69, 142].into());
        let expected = Place {
            country: Country::new("GB").expect("a country"),
            region: "ENG".to_owned(),
            asn: Some(20_712),
        };
        assert_eq!(found, expected);
        assert_eq!(places.of([81, 2, 70, 1].into()), Place::default());
        assert_eq!(places.of([127, 0, 0, 1].into()), Place::default());
    }
}
