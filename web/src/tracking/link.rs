//! Reading a tracking link. Names ignore case; of a name given twice the first counts; what has no
//! field of its own is kept as it came.

use std::borrow::Cow;
use std::str::FromStr;

use domain::dialect::{sub_id_index, sub_id_rank};
use domain::routing::Link;

use crate::params::decode_lossy;

/// The forms a link can have, by path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// `/?a=&c=` or `/?a=&o=`.
    Classic,
    /// `/click?c=`: the campaign.
    Click,
    /// `/rd/r.php?sid=&aff_id=`: the campaign and its affiliate.
    Redirect,
    /// `/i?a=&c=` or `/i?a=&o=`: shown, not followed.
    Impression,
}

impl Form {
    pub(super) fn of(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::Classic),
            "/click" => Some(Self::Click),
            "/rd/r.php" => Some(Self::Redirect),
            "/i" => Some(Self::Impression),
            _ => None,
        }
    }
}

/// What a link says.
#[derive(PartialEq, Eq, Debug, Default)]
pub(super) struct Read {
    /// What it names; none when that is missing or no number.
    pub(super) link: Option<Link>,
    pub(super) sub_ids: [String; 5],
    /// `cp=js`: a script is wanted instead of a redirect.
    pub(super) is_pixel: bool,
    /// The affiliate's own destination; empty when there is none.
    pub(super) deep_link: String,
    pub(super) udid: String,
    pub(super) extra_query: String,
}

#[derive(Default)]
struct Ids<'q> {
    affiliate: Option<&'q str>,
    creative: Option<&'q str>,
    offer: Option<&'q str>,
    campaign: Option<&'q str>,
}

pub(super) fn read(form: Form, query: &str) -> Read {
    let mut read = Read::default();
    let mut ids = Ids::default();
    let mut ranks = [usize::MAX; 5];
    let mut source = None;
    let (query, deep_link) = split_deep_link(query);
    read.deep_link = deep_link;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = lower_case(name);
        if let Some(id) = id_field(&mut ids, form, &name) {
            id.get_or_insert(value);
        } else if let Some(index) = sub_id_index(&name).map(usize::from) {
            let rank = sub_id_rank(&name);
            if !value.is_empty() && rank < ranks[index] {
                ranks[index] = rank;
                read.sub_ids[index] = decode_lossy(value);
            }
        } else if name == "cp" && value.eq_ignore_ascii_case("js") {
            read.is_pixel = true;
        } else if matches!(&*name, "udid" | "k") {
            if read.udid.is_empty() || name == "udid" {
                read.udid = decode_lossy(value);
            }
        } else {
            if name == "source" {
                source = Some(value);
            }
            let joint = if read.extra_query.is_empty() { "" } else { "&" };
            read.extra_query.push_str(joint);
            read.extra_query.push_str(pair);
        }
    }
    if let Some(source) = source.filter(|_| read.sub_ids[0].is_empty()) {
        read.sub_ids[0] = decode_lossy(source);
    }
    read.link = link(form, &ids);
    read
}

/// Takes `ckmrdr` out of a query: percent-encoded it ends where its value ends; written raw
/// (`ckmrdr=https://…`) it goes on to the end of the query, its own `&` included.
fn split_deep_link(query: &str) -> (Cow<'_, str>, String) {
    const NAME: &str = "ckmrdr=";
    let starts = std::iter::once(0).chain(query.match_indices('&').map(|(at, _)| at + 1));
    let named =
        |at: &usize| query[*at..].get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME));
    let Some(start) = starts.into_iter().find(named) else { return (query.into(), String::new()) };
    let value = &query[start + NAME.len()..];
    let is_raw = |scheme: &str| value.get(..scheme.len()).is_some_and(|it| it.eq_ignore_ascii_case(scheme));
    if is_raw("http://") || is_raw("https://") {
        (query[..start].into(), value.to_owned())
    } else {
        let (value, rest) = value.split_once('&').unwrap_or((value, ""));
        (format!("{}{rest}", &query[..start]).into(), decode_lossy(value))
    }
}

/// A name in lower case, as almost all of them are sent.
fn lower_case(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|b| b.is_ascii_uppercase()) { name.to_ascii_lowercase().into() } else { name.into() }
}

fn id_field<'i, 'q>(ids: &'i mut Ids<'q>, form: Form, name: &str) -> Option<&'i mut Option<&'q str>> {
    match (form, name) {
        (Form::Classic | Form::Impression, "a") | (Form::Redirect, "aff_id") => Some(&mut ids.affiliate),
        (Form::Classic | Form::Impression, "c") => Some(&mut ids.creative),
        (Form::Classic | Form::Impression, "o") => Some(&mut ids.offer),
        (Form::Click, "c") | (Form::Redirect, "sid") => Some(&mut ids.campaign),
        _ => None,
    }
}

fn link(form: Form, ids: &Ids<'_>) -> Option<Link> {
    match form {
        Form::Classic | Form::Impression => {
            let affiliate_id = number(ids.affiliate)?;
            match number(ids.creative) {
                Some(creative_id) => Some(Link::Creative(affiliate_id, creative_id)),
                None => Some(Link::Offer(affiliate_id, number(ids.offer)?)),
            }
        }
        Form::Click | Form::Redirect => Some(Link::Campaign(number(ids.campaign)?, number(ids.affiliate))),
    }
}

fn number<T: FromStr>(value: Option<&str>) -> Option<T> {
    decode_lossy(value?).parse().ok()
}

#[cfg(test)]
mod tests {
    use domain::ids::{AffiliateId, CampaignId, CreativeId, OfferId};

    use super::*;

    fn named(form: Form, query: &str) -> Option<Link> {
        read(form, query).link
    }

    #[test]
    fn every_form_names_its_target() {
        let creative = Link::Creative(AffiliateId(7), CreativeId(3));
        assert_eq!(named(Form::Classic, "a=7&c=3"), Some(creative));
        assert_eq!(named(Form::Classic, "C=3&A=7&c=4"), Some(creative));
        assert_eq!(named(Form::Classic, "a=%37&c=3"), Some(creative));
        assert_eq!(named(Form::Classic, "a=7&o=2"), Some(Link::Offer(AffiliateId(7), OfferId(2))));
        assert_eq!(named(Form::Click, "c=9"), Some(Link::Campaign(CampaignId(9), None)));
        let redirect = Link::Campaign(CampaignId(9), Some(AffiliateId(7)));
        assert_eq!(named(Form::Redirect, "sid=9&aff_id=7"), Some(redirect));
        for query in ["", "a=7", "c=3", "a=x&c=3", "a=-1&c=3", "a=7&c=99999999999", "&&&", "a&c"] {
            assert_eq!(named(Form::Classic, query), None, "{query}");
        }
    }

    #[test]
    fn sub_ids_are_read_whole_in_every_dialect() {
        let long = "x".repeat(3000);
        let found =
            read(Form::Classic, &format!("a=7&c=3&s1=a%20b%2Bc&S2=d+e&sub3={long}&t4=f&s4=g&c1=h&s5=%ff"));
        assert_eq!(found.sub_ids, ["a b+c".into(), "d e".into(), long, "g".into(), "\u{fffd}".to_owned()]);
        assert_eq!(read(Form::Classic, "source=x").sub_ids[0], "x");
        assert_eq!(read(Form::Classic, "source=x&s1=y").sub_ids[0], "y");
    }

    #[test]
    fn a_deep_link_is_read_encoded_or_raw_to_the_end() {
        let found = read(Form::Classic, "a=7&ckmrdr=https%3A%2F%2Fshop.example%2F%3Fx%3D1%26y%3D2&c=3&s1=b");
        assert_eq!(found.deep_link, "https://shop.example/?x=1&y=2");
        assert_eq!((found.link, found.sub_ids[0].as_str()), (named(Form::Classic, "a=7&c=3"), "b"));
        let found = read(Form::Classic, "a=7&c=3&s1=b&CKMRDR=https://shop.example/?x=1&s1=c");
        assert_eq!(found.deep_link, "https://shop.example/?x=1&s1=c");
        assert_eq!(found.sub_ids[0], "b");
        assert_eq!(read(Form::Classic, "a=7&c=3&xckmrdr=https://e.test/").deep_link, "");
    }

    #[test]
    fn what_has_no_field_is_kept_as_it_came() {
        let found = read(Form::Classic, "a=7&p=r&c=3&E=kk%3d&s6=x&k=phone&flag");
        assert_eq!(found.extra_query, "p=r&E=kk%3d&s6=x&flag");
        assert_eq!(found.udid, "phone");
        assert!(read(Form::Classic, "a=7&c=3&CP=JS").is_pixel && !found.is_pixel);
    }
}
