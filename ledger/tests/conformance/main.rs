//! What the ledger promises, a function a promise, run on every database. Ledger behaviour is
//! tested nowhere else.

mod changes;
mod conversions;
mod damage;
mod deliveries;
mod erasures;
mod impressions;
mod keys;
mod migrations;
mod money;
mod network;
mod pricing;
mod reconciliations;
mod sample;
#[path = "../shared/schema.rs"]
mod schema;
mod segments;
mod suppressions;
mod traffic;

/// Runs every promise on the databases there are.
macro_rules! promises {
    ($($module:ident :: $promise:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $promise() {
                let folder = tempfile::tempdir().expect("a folder");
                let path = folder.path().join("ledger.sqlite");
                crate::$module::$promise(&|| {
                    ledger::Location::file(&path).open().expect("opens")
                });
            })+
        }

        mod postgres {
            $(#[test]
            fn $promise() {
                let schema = crate::schema::Schema::create();
                let url = schema.url().parse().expect("an address");
                let location = ledger::Location::Server(url);
                crate::$module::$promise(&|| location.open().expect("opens"));
            })+
        }
    };
}

promises! {
    network::a_new_ledger_is_empty,
    network::what_is_created_is_loaded_again,
    network::every_change_raises_the_version_and_a_rejected_one_does_not,
    network::an_update_changes_what_is_present_and_nothing_else,
    network::what_does_not_exist_is_named,
    network::an_affiliate_runs_an_offer_in_one_campaign,
    network::a_campaign_takes_only_its_offers_creatives,
    network::what_steers_an_offers_and_a_campaigns_clicks_is_kept,
    network::an_offer_redirects_to_another_one_that_exists,
    traffic::a_creative_is_kept_and_the_default_one_stays_active,
    traffic::a_landing_page_is_kept_and_an_offer_has_at_most_a_hundred,
    traffic::every_version_of_a_rule_is_kept,
    traffic::a_rule_always_asks_for_something,
    traffic::a_rule_comes_after_all_others_unless_told_otherwise,
    traffic::an_offer_has_at_most_fifty_rules,
    traffic::rules_and_caps_belong_to_an_offer_and_its_campaigns,
    traffic::a_cap_is_kept_and_does_at_its_limit_what_suits_what_it_counts,
    traffic::an_offer_has_at_most_a_thousand_caps,
    traffic::what_decides_clicks_raises_the_networks_version,
    pricing::an_event_is_kept_and_its_name_is_its_advertisers_only_one,
    pricing::what_an_offer_says_of_an_event_replaces_what_it_said,
    pricing::every_version_of_a_price_rule_is_kept,
    pricing::a_price_rule_always_asks_for_something_and_says_a_price,
    pricing::an_offer_has_at_most_two_hundred_price_rules,
    pricing::a_tiers_price_replaces_the_one_before_and_is_taken_away,
    pricing::an_exchange_rate_is_kept_by_currency_and_date,
    pricing::what_decides_prices_belongs_together,
    pricing::what_decides_prices_raises_the_networks_version,
    pricing::a_cap_that_was_never_asked_has_taken_nothing,
    pricing::an_affiliates_tier_is_kept_and_taken_away,
    pricing::what_an_offer_says_of_its_conversions_is_kept,
    suppressions::a_list_holds_each_fingerprint_once,
    suppressions::every_offer_has_a_list_of_its_own,
    keys::a_key_is_found_by_its_hash_even_by_another_process,
    keys::a_name_is_used_once,
    keys::a_revoked_key_stays_revoked,
    conversions::a_call_becomes_a_conversion_with_its_attempt,
    conversions::the_same_call_again_gets_the_original,
    conversions::the_same_call_twice_in_one_batch_is_one_conversion,
    conversions::another_click_with_the_same_unique_id_is_a_duplicate,
    conversions::a_click_without_unique_id_converts_once,
    conversions::a_repeat_with_other_amounts_is_told_and_changes_nothing,
    conversions::a_refused_call_leaves_its_attempt_with_its_reason,
    conversions::a_walk_meets_every_conversion_once_while_others_are_recorded,
    conversions::many_threads_record_one_key_once,
    conversions::two_servers_record_one_key_once,
    conversions::a_batch_of_many_offers_waits_for_no_other_for_ever,
    conversions::what_is_recorded_is_there_after_opening_again,
    conversions::a_click_tells_its_first_conversion,
    conversions::attempts_are_found_by_number_click_and_transaction,
    conversions::conversions_are_found_by_click_transaction_and_order,
    conversions::every_text_comes_back_as_it_was_but_for_zero,
    conversions::every_sort_pages_through_each_conversion_once,
    conversions::filters_count_and_list_the_same_rows,
    conversions::totals_are_the_rows_whatever_the_range,
    money::a_walk_meets_every_line_once_while_others_are_booked,
    money::a_conversion_is_booked_on_three_lines_that_add_up_to_nothing,
    money::what_pays_nobody_has_no_lines,
    money::a_cap_takes_exactly_its_limit_however_calls_come,
    money::a_cap_on_money_never_takes_more_than_its_limit,
    money::a_cap_begins_anew_in_its_next_window,
    money::a_cap_that_comes_later_counts_what_its_window_has_seen,
    money::who_is_on_a_list_is_refused_or_ignored,
    money::an_adjustment_is_a_dated_booking_and_overwrites_nothing,
    money::an_adjustment_that_changes_nothing_leaves_no_trace,
    money::each_adjustment_of_one_order_has_its_own_outcome,
    money::a_pending_conversion_is_approved_when_its_time_has_come,
    money::a_balance_is_the_sum_of_its_lines_at_any_date,
    money::a_closed_statement_never_changes_and_later_changes_are_on_the_next,
    money::a_statement_leaves_out_what_is_pending_and_is_never_empty,
    money::a_batch_is_taken_back_once_and_whole,
    money::a_batch_that_is_taken_back_takes_no_more,
    money::a_preview_decides_alike_and_records_nothing,
    money::a_conversion_is_found_by_its_transaction,
    money::lists_of_numbers_go_on_where_they_ended,
    money::sums_hold_over_many_recordings_and_adjustments,
    changes::every_recording_and_every_adjustment_is_a_change_in_the_order_they_were_made,
    changes::what_settles_undoes_and_approves_is_a_change_too,
    changes::who_follows_while_many_write_sees_every_change_once_and_in_order,
    changes::changes_are_filtered_and_a_page_goes_on_where_the_one_before_ended,
    changes::a_question_looks_at_ten_thousand_changes_at_most,
    changes::the_times_of_what_has_changed_are_told_unless_too_much_has,
    changes::facts_come_by_the_time_that_counts_with_all_that_a_conversion_took_from_its_click,
    changes::the_first_approval_is_kept_for_ever,
    reconciliations::a_reconciliation_is_found_once_it_is_finished_and_comes_back_as_it_was,
    reconciliations::rows_are_paged_by_class_in_their_order,
    reconciliations::a_reconciliation_is_accepted_once_however_many_try,
    reconciliations::theirs_is_taken_unless_the_conversion_has_changed_since,
    reconciliations::the_conversions_of_an_advertiser_are_paged_by_date,
    reconciliations::what_is_like_a_row_is_found_by_each_of_its_keys,
    reconciliations::what_is_old_is_dropped_part_by_part,
    deliveries::every_matching_postback_is_enqueued_with_its_conversion,
    deliveries::a_repeat_a_refusal_and_what_is_not_to_be_told_enqueue_nothing,
    deliveries::a_browser_is_handed_its_postbacks_only_where_it_waits,
    deliveries::a_delivery_waits_as_long_as_its_postback_says,
    deliveries::claims_of_several_threads_and_servers_are_disjoint,
    deliveries::what_has_been_due_longest_is_claimed_first,
    deliveries::a_lease_that_has_run_out_can_be_claimed_again,
    deliveries::who_has_lost_the_lease_changes_nothing_and_its_try_is_kept,
    deliveries::every_step_and_every_try_come_back_as_they_were,
    deliveries::causes_of_one_conversion_wait_for_each_other_at_one_receiver,
    deliveries::a_server_gives_back_only_its_own_leases,
    deliveries::a_replay_makes_due_again_and_begins_a_new_round,
    deliveries::what_told_of_an_erased_click_keeps_when_and_how_it_ended,
    deliveries::deliveries_are_listed_by_every_filter,
    deliveries::every_change_of_a_conversion_is_told_with_how_it_then_stood,
    deliveries::an_approval_after_the_offers_delay_is_told,
    deliveries::what_is_taken_back_is_told_once_and_as_it_stands_in_the_end,
    deliveries::what_is_recorded_with_a_status_is_told_once_as_it_stands_in_the_end,
    erasures::an_erasure_is_listed_until_it_is_done,
    erasures::erased_conversions_and_attempts_keep_money_and_ids,
    impressions::impressions_of_one_kind_add_up,
    impressions::impressions_are_listed_by_their_quarter,
    segments::a_segment_is_entered_once,
    segments::segments_are_replaced_at_once_and_once,
}
