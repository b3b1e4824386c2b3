//! Get Conversions: a page of those that match.

use std::sync::Arc;

use domain::access::Caller;
use domain::conversion::Conversion;
use domain::conversion_query::{ConversionPage, ConversionQuery, ConversionSort};
use domain::network::Network;

use crate::failure::blocking;
use crate::{App, Failure};

/// A conversion with the names that are printed beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConversionRow {
    /// The conversion.
    pub conversion: Conversion,
    /// The offer's name.
    pub offer_name: String,
    /// The affiliate's name.
    pub affiliate_name: String,
}

/// A page of conversions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConversionList {
    /// All matches, before paging.
    pub total: u64,
    /// The page.
    pub rows: Vec<ConversionRow>,
    /// Whether more follow.
    pub more: bool,
    /// Whether the caller sees revenue.
    pub revenue: bool,
}

impl App {
    /// Lists conversions, narrowed to what the caller may see.
    pub async fn list_conversions(
        &self,
        caller: &Caller,
        mut query: ConversionQuery,
    ) -> Result<ConversionList, Failure> {
        let view = caller.may_read()?;
        query.filter.affiliate_id = view.affiliate(query.filter.affiliate_id)?;
        if query.sort == ConversionSort::Revenue && !view.revenue {
            return Err(Failure::NotPermitted);
        }
        let _turn = self.turn().await?;
        let ledger = Arc::clone(&self.ledger);
        let page = blocking(move || Ok(ledger.list_conversions(&query)?)).await?;
        Ok(named(page, &self.network.load(), view.revenue))
    }
}

impl ConversionRow {
    /// The conversion with its names.
    pub(crate) fn of(conversion: Conversion, network: &Network) -> Self {
        let (offer_name, affiliate_name) = names(&conversion, network);
        Self { conversion, offer_name, affiliate_name }
    }
}

/// The names of its offer and its affiliate.
pub(crate) fn names(conversion: &Conversion, network: &Network) -> (String, String) {
    let offer = network.offer(conversion.offer_id).map(|it| it.name.clone());
    let affiliate = network.affiliate(conversion.affiliate_id).map(|it| it.name.clone());
    (offer.unwrap_or_default(), affiliate.unwrap_or_default())
}

fn named(page: ConversionPage, network: &Network, revenue: bool) -> ConversionList {
    let row = |conversion| ConversionRow::of(conversion, network);
    ConversionList {
        total: page.total,
        rows: page.conversions.into_iter().map(row).collect(),
        more: page.more,
        revenue,
    }
}
