//! Entities that make no sense.

use e2e::encode;

use crate::fixture::fixture;
use crate::texts::TEXTS;

#[test]
fn the_network_takes_no_nonsense() {
    let fixture = fixture();
    let advertiser_id = fixture.network.advertiser_id;
    let valid = format!("offer_name=x&advertiser_id={advertiser_id}&offer_url=http%3A%2F%2Fshop.example%2F");
    for (form, parameter) in [
        ("offer_url=javascript%3Aalert(1)", "offer_url"),
        ("offer_url=%2Frelative", "offer_url"),
        ("offer_url=http%3A%2F%2F", "offer_url"),
        ("offer_url=http%3A%2F%2Fa%0d%0aSet-Cookie%3Ax", "offer_url"),
        ("offer_url=http%3A%2F%2Fuser%40shop.example%2F", "offer_url"),
        ("offer_url=http%3A%2F%2Fshop.example%2F%3Fx%3D%7Bno_such_token%7D", "offer_url"),
        ("offer_url=http%3A%2F%2Fshop.example%2F%3Fx%3D%23nonsense%23", "offer_url"),
        ("offer_name=", "offer_name"),
        ("offer_name=%20%20", "offer_name"),
        (&format!("offer_name={}", "x".repeat(201)), "offer_name"),
        ("offer_status=paused-ish", "offer_status"),
        ("payout=-1", "payout"),
        ("payout=1e3", "payout"),
        ("payout_type=free", "payout_type"),
        ("currency=dollars", "currency"),
        ("session_hours=-1", "session_hours"),
        ("session_hours=8761", "session_hours"),
        ("conversion_approval=maybe", "conversion_approval"),
        ("one_per_click=perhaps", "one_per_click"),
        ("expiration_date=never", "expiration_date"),
        ("advertiser_id=x", "advertiser_id"),
        ("no_such_field=1", "no_such_field"),
    ] {
        let name = form.split('=').next().expect("a name");
        let rest: Vec<_> = valid.split('&').filter(|pair| !pair.starts_with(&format!("{name}="))).collect();
        let answer = fixture.api.post_form("offer.json", &format!("{}&{form}", rest.join("&")));
        assert_eq!(answer.refusal(400, "invalid_parameter")["parameter"], parameter, "{form}");
    }
    for (call, form, code) in [
        (
            "offer.json",
            "offer_name=x&advertiser_id=99&offer_url=http%3A%2F%2Fa.example",
            "advertiser_not_found",
        ),
        ("update_offer.json", "offer_id=99", "offer_not_found"),
        ("update_campaign.json", "campaign_id=99", "campaign_not_found"),
        ("update_affiliate.json", "affiliate_id=99", "affiliate_not_found"),
        ("campaign.json", "offer_id=99&affiliate_id=1", "offer_not_found"),
    ] {
        fixture.api.post_form(call, form).refusal(404, code);
    }
    for text in TEXTS.iter().filter(|text| text.trim() == **text && !text.contains('\0')) {
        let form = format!("advertiser_name={}", encode(text));
        let answer = fixture.api.post_form("advertiser.json", &form).success();
        assert_eq!(answer["advertiser"]["advertiser_name"], *text);
    }
    fixture.is_healthy();
}
