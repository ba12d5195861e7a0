use proptest::prelude::*;
use sanimon_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};

use super::*;
use crate::routing::NotificationRule;
use crate::teams::tests::{at, teams};

fn settings() -> OperationsSettings {
    let rule = NotificationRule::new("chat", AlertEvent::ALL.to_vec());
    let calendar = teams().calendar;
    OperationsSettings {
        teams: teams(),
        notification_rules: vec![rule],
        ..OperationsSettings::standard(calendar)
    }
}

fn case(severity: Severity) -> CaseState {
    CaseState {
        severity,
        condition: Condition::Active,
        handling: Handling::New,
        zone: None,
        zone_class: None,
        owner: None,
        deadlines: Deadlines::default(),
        is_acknowledged: false,
        has_arrived: false,
        escalations: 0,
        escalated_at: None,
    }
}

fn messages(decisions: &[Decision]) -> Vec<Message> {
    let message = |decision: &Decision| match decision {
        Decision::Notify(message) => Some(message.clone()),
        _ => None,
    };
    decisions.iter().filter_map(message).collect()
}

#[test]
fn a_new_case_has_an_owner_deadlines_and_a_message_and_all_count_from_when_it_was_known() {
    let known_at = at("2026-03-05T12:00:00+08:00");
    let facts = Facts { kind: Some(sanimon_domain::DeviceKind::Drain), ..Facts::default() };
    let all = consequences(&case(Severity::Critical), Change::Raised(facts), &settings(), known_at);
    let due = known_at.plus_ms(5 * MINUTE_MS);
    assert_eq!(all[0], Decision::Assign("drains".to_owned()));
    assert!(matches!(all[1], Decision::SetDeadlines(d) if d.acknowledge_by == Some(due)), "{all:?}");
    assert_eq!(all[2], Decision::SetNextEscalation(Some(due)));
    let sent = messages(&all);
    assert_eq!((sent.len(), sent[0].due.at, sent[0].expires_at), (1, known_at, known_at.plus_ms(DAY_MS)));
}

#[test]
fn a_worse_severity_tightens_deadlines_and_a_milder_one_leaves_them() {
    let (noon, settings) = (at("2026-03-05T12:00:00+08:00"), settings());
    let major = CaseState {
        deadlines: settings.teams.deadlines(Severity::Major, None, noon),
        ..case(Severity::Critical)
    };
    let later = noon.plus_ms(10 * MINUTE_MS);
    let worse = Change::SeverityChanged { from: Severity::Major, to: Severity::Critical };
    let all = consequences(&major, worse, &settings, later);
    let Decision::SetDeadlines(new) = all[0] else { panic!("{all:?}") };
    assert_eq!(new.acknowledge_by, Some(noon.plus_ms(15 * MINUTE_MS)), "the sooner of 12:15 and 12:15");
    assert_eq!(new.arrive_by, Some(later.plus_ms(30 * MINUTE_MS)));
    let milder = CaseState { severity: Severity::Minor, ..major };
    let back = Change::SeverityChanged { from: Severity::Critical, to: Severity::Minor };
    let all = consequences(&milder, back, &settings, later);
    assert!(!all.iter().any(|decision| matches!(decision, Decision::SetDeadlines(_))), "{all:?}");
    assert_eq!(messages(&all)[0].event, AlertEvent::Changed);
}

#[test]
fn what_people_handled_and_the_sensor_calls_clear_is_verified_whichever_comes_last() {
    let (noon, settings) = (at("2026-03-05T12:00:00+08:00"), settings());
    let handled =
        CaseState { handling: Handling::Handled, condition: Condition::Cleared, ..case(Severity::Major) };
    for (change, event) in
        [(Change::Cleared, AlertEvent::Cleared), (Change::Step(Action::Handle), AlertEvent::Closed)]
    {
        let all = consequences(&handled, change, &settings, noon);
        assert!(all.contains(&Decision::Verify), "{all:?}");
        assert_eq!(messages(&all)[0].event, event);
    }
    let superseded = consequences(&handled, Change::Superseded, &settings, noon);
    assert!(!superseded.contains(&Decision::Verify), "a wider alert says nothing about this place");
}

#[test]
fn what_was_missed_while_the_site_was_down_is_told_once_and_goes_on_half_an_hour_later() {
    let (noon, settings) = (at("2026-03-05T12:00:00+08:00"), settings());
    let deadlines = settings.teams.deadlines(Severity::Critical, None, noon);
    let mut open = CaseState { deadlines, ..case(Severity::Critical) };
    let back = noon.plus_ms(3 * HOUR_MS);
    let missed = missed_deadline(&open, &settings.teams, back).expect("two were missed");
    let all = consequences(&open, Change::DeadlineMissed(missed), &settings, back);
    assert_eq!(all[0], Decision::Escalate { deadline: Deadline::Acknowledge, to: "chief".to_owned() });
    assert_eq!(messages(&all)[0].to.as_deref(), Some("chief"));
    open = CaseState { escalations: 1, escalated_at: Some(back), ..open };
    assert_eq!(missed_deadline(&open, &settings.teams, back), None);
    let later = back.plus_ms(30 * MINUTE_MS);
    assert_eq!(missed_deadline(&open, &settings.teams, later), Some(Deadline::Acknowledge));
}

fn cases() -> impl Strategy<Value = CaseState> {
    let words = (
        prop::sample::select(Severity::ALL),
        prop::sample::select(Condition::ALL),
        prop::sample::select(Handling::ALL),
    );
    let time = || prop::option::of((0_i64..4_000).prop_map(|minute| TimestampMs(minute * MINUTE_MS)));
    (words, [time(), time(), time()], any::<[bool; 2]>(), 0_u32..4, time()).prop_map(
        |((severity, condition, handling), by, [is_acknowledged, has_arrived], escalations, escalated_at)| {
            CaseState {
                condition,
                handling,
                deadlines: Deadlines { acknowledge_by: by[0], arrive_by: by[1], resolve_by: by[2] },
                is_acknowledged,
                has_arrived,
                escalations,
                escalated_at,
                owner: Some("east".to_owned()),
                ..case(severity)
            }
        },
    )
}

fn changes() -> impl Strategy<Value = Change<'static>> {
    prop_oneof![
        Just(Change::Raised(Facts::default())),
        (prop::sample::select(Severity::ALL), prop::sample::select(Severity::ALL))
            .prop_map(|(from, to)| Change::SeverityChanged { from, to }),
        Just(Change::Cleared),
        Just(Change::Superseded),
        prop::sample::select(Action::ALL.to_vec()).prop_map(Change::Step),
        Just(Change::DeadlineMissed(Deadline::Arrive)),
    ]
}

proptest! {
    #[test]
    fn nothing_new_is_due_before_it_was_known_and_the_same_change_decides_the_same(
        case in cases(), change in changes(), minute in 0_i64..5_000,
    ) {
        let (known_at, settings) = (TimestampMs(minute * MINUTE_MS), settings());
        let all = consequences(&case, change, &settings, known_at);
        prop_assert_eq!(&all, &consequences(&case, change, &settings, known_at));
        for decision in &all {
            match decision {
                Decision::SetDeadlines(new) => {
                    let old = case.deadlines;
                    for (new, old) in [
                        (new.acknowledge_by, old.acknowledge_by),
                        (new.arrive_by, old.arrive_by),
                        (new.resolve_by, old.resolve_by),
                    ] {
                        prop_assert!(new == old || new.is_none_or(|at| at > known_at), "{:?}", decision);
                    }
                }
                Decision::Notify(message) => prop_assert!(message.due.at >= known_at),
                Decision::Assign(owner) => prop_assert!(!owner.is_empty()),
                _ => {}
            }
        }
        prop_assert_eq!(messages(&all).len(), 1, "a channel that wants everything is told once");
    }

    #[test]
    fn escalation_goes_on_and_ends(case in cases(), minute in 0_i64..5_000) {
        let (mut case, settings) = (case, settings());
        let mut now = TimestampMs(minute * MINUTE_MS);
        for _ in 0..12 {
            let Some((at, _)) = settings.teams.next_escalation(&case.progress()) else { return Ok(()) };
            now = now.max(at);
            prop_assert!(missed_deadline(&case, &settings.teams, now).is_some());
            case.escalations += 1;
            case.escalated_at = Some(now);
        }
        prop_assert!(false, "escalation never ends: {:?}", case);
    }
}
