//! Which of a visitor's clicks on an offer counts: what is remembered of them, whether another is
//! the same again, and which one is credited where a conversion names none.

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use thiserror::Error;

use crate::click::Click;
use crate::ids::{AffiliateId, ClickId, CreativeId};
use crate::network::{Attribution, Offer};

/// What is remembered of a visitor's clicks on one offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Footprint {
    /// The click that is credited where a conversion names none.
    pub credited: ClickId,
    /// The last click.
    pub last: ClickId,
    /// Whose the last click was.
    pub affiliate_id: AffiliateId,
    /// Which creative it followed.
    pub creative_id: CreativeId,
}

/// A text that is no footprint.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a footprint")]
pub struct NotAFootprint;

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}", self.credited, self.last, self.affiliate_id, self.creative_id)
    }
}

impl FromStr for Footprint {
    type Err = NotAFootprint;

    fn from_str(text: &str) -> Result<Self, NotAFootprint> {
        let mut parts = text.split('.');
        let mut part = || parts.next().ok_or(NotAFootprint);
        let footprint = Self {
            credited: part()?.parse().map_err(|_| NotAFootprint)?,
            last: part()?.parse().map_err(|_| NotAFootprint)?,
            affiliate_id: part()?.parse().map_err(|_| NotAFootprint)?,
            creative_id: part()?.parse().map_err(|_| NotAFootprint)?,
        };
        if parts.next().is_some() { Err(NotAFootprint) } else { Ok(footprint) }
    }
}

impl Footprint {
    /// Whether a click is the same again: of the same affiliate, on the same creative, within so many
    /// seconds after the one before.
    pub fn is_repeated_by(&self, click: &Click, throw_out_seconds: u32) -> bool {
        let same = self.affiliate_id == click.affiliate_id && self.creative_id == click.creative_id;
        let since = click.date().duration_since(self.last.time());
        same && (SignedDuration::ZERO..SignedDuration::from_secs(throw_out_seconds.into())).contains(&since)
    }

    /// What is remembered after `click` has reached `offer`. First touch keeps the credited click until its
    /// session is over; last touch gives the credit to a click of another affiliate.
    pub fn after(before: Option<&Self>, offer: &Offer, click: &Click) -> Self {
        let mine = Self {
            credited: click.id,
            last: click.id,
            affiliate_id: click.affiliate_id,
            creative_id: click.creative_id,
        };
        let Some(before) = before else { return mine };
        let age = click.date().duration_since(before.credited.time());
        let in_session = age < SignedDuration::from_secs(i64::from(offer.session_seconds));
        let keeps = match offer.attribution {
            Attribution::FirstTouch => in_session,
            Attribution::LastTouch => in_session && before.affiliate_id == click.affiliate_id,
        };
        if keeps { Self { credited: before.credited, ..mine } } else { mine }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::ids::{ClickIdMint, NodeNumber};
    use crate::network::sample;

    fn id(second: i64) -> ClickId {
        let at = Timestamp::from_second(second).expect("in range");
        ClickIdMint::after(NodeNumber::new(1).expect("in range"), None).mint(at, 7)
    }

    fn click(second: i64, affiliate: u32, creative: u32) -> Click {
        let (affiliate_id, creative_id) = (AffiliateId(affiliate), CreativeId(creative));
        Click { affiliate_id, creative_id, ..Click::blank(id(second)) }
    }

    fn footprint(credited: i64, last: i64) -> Footprint {
        let (affiliate_id, creative_id) = (AffiliateId(4), CreativeId(3));
        Footprint { credited: id(credited), last: id(last), affiliate_id, creative_id }
    }

    #[test]
    fn the_same_again_within_the_throw_out_period_is_a_repeat() {
        let check = |affiliate, creative, now, expected| {
            let repeated = footprint(100, 200).is_repeated_by(&click(now, affiliate, creative), 60);
            assert_eq!(repeated, expected, "{affiliate} {creative} {now}");
        };
        check(4, 3, 200, true);
        check(4, 3, 259, true);
        check(4, 3, 260, false);
        check(4, 3, 199, false);
        check(5, 3, 210, false);
        check(4, 9, 210, false);
    }

    #[test]
    fn first_touch_keeps_the_credit_for_a_session_and_last_touch_passes_it_on() {
        let mut offer = sample::entities().offers.remove(0);
        offer.session_seconds = 1000;
        let mut check = |attribution, affiliate, now, credited| {
            offer.attribution = attribution;
            let after = Footprint::after(Some(&footprint(100, 200)), &offer, &click(now, affiliate, 3));
            assert_eq!((after.credited, after.last), (id(credited), id(now)), "{attribution:?} {affiliate}");
        };
        check(Attribution::FirstTouch, 4, 300, 100);
        check(Attribution::FirstTouch, 5, 300, 100);
        check(Attribution::FirstTouch, 5, 1100, 1100);
        check(Attribution::LastTouch, 4, 300, 100);
        check(Attribution::LastTouch, 5, 300, 300);
        check(Attribution::LastTouch, 4, 1100, 1100);
        let first = Footprint::after(None, &offer, &click(300, 4, 3));
        assert_eq!(first, footprint(300, 300));
    }

    #[test]
    fn a_footprint_is_read_as_it_is_written() {
        assert_eq!(footprint(1, 2).to_string().parse(), Ok(footprint(1, 2)));
        for text in ["", "1.2.3.4", &format!("{}.5", footprint(1, 2))] {
            assert_eq!(text.parse::<Footprint>(), Err(NotAFootprint), "{text}");
        }
    }
}
