//! Day aggregates made anew from the blocks: after a migration, and when the site's zone has changed.

use rusqlite::{Connection, TransactionBehavior};
use sanimon_domain::{LocalDay, SiteCalendar, TimestampMs};

use crate::days::{self, Days};
use crate::error::{Result, StoreError};
use crate::read;
use crate::seal::Sealer;
use crate::sealed::{self, Damage, Series};
use crate::write::retention;

/// Where the zone of the day aggregates is remembered.
const ZONE_KEY: &str = "day_zone";
/// Series a transaction.
const SERIES_PER_STEP: usize = 200;

/// The calendar of the stored days: the one asked for, after the days were brought in line with it.
pub(crate) fn calendar(connection: &mut Connection, wanted: Option<SiteCalendar>) -> Result<SiteCalendar> {
    let known = stored(connection)?;
    let calendar = wanted.or(known).unwrap_or(SiteCalendar::utc());
    if known == Some(calendar) {
        return Ok(calendar);
    }
    let series = sealed::all_series(connection)?;
    if !series.is_empty() {
        tracing::info!(zone = calendar.zone_name(), series = series.len(), "making day aggregates anew");
    }
    for chunk in series.chunks(SERIES_PER_STEP) {
        let doing = || StoreError::doing("make day aggregates anew");
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(doing())?;
        for series in chunk {
            rebuild(&transaction, calendar, *series)?;
        }
        transaction.commit().map_err(doing())?;
    }
    // Last: broken off before, the next start begins again.
    connection
        .execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", [ZONE_KEY, calendar.zone_name()])
        .map_err(StoreError::doing("remember the site's zone"))?;
    Ok(calendar)
}

/// The calendar that the stored days follow.
pub(crate) fn stored(connection: &Connection) -> Result<Option<SiteCalendar>> {
    Ok(read::meta(connection, ZONE_KEY)?.as_deref().and_then(SiteCalendar::named))
}

/// Days whose readings retention has taken keep the sums they have.
fn rebuild(connection: &Connection, calendar: SiteCalendar, series: Series) -> Result<()> {
    let damage = Damage::default();
    let all = sealed::blocks(connection, series, TimestampMs(i64::MIN), TimestampMs(i64::MAX))?;
    let (Some(first), Some(last)) = (all.first(), all.last()) else { return Ok(()) };
    let (first, last) = (calendar.day_of(first.block.first_at), calendar.day_of(last.block.last_at));
    drop(all);
    let kept_from = retention::kept_from(connection, series.0)?.map(|at| calendar.day_of(at));
    let is_gone = |day: LocalDay| kept_from.is_some_and(|kept_from| day < kept_from);
    let sealer = Sealer { connection, damage: &damage, calendar };
    // A day of the old zone may have been of the month before or after.
    for month in first.month() - 1..=last.month() + 1 {
        let mut new = sealer.days_from_blocks(series, month)?;
        new.retain(|(day, _)| !is_gone(*day));
        let mut kept = Days::new();
        if let Some(blob) = sealed::month(connection, series, month)? {
            let start_of = |day: LocalDay| calendar.start_of(day);
            let take = |day: LocalDay, sum| {
                if is_gone(day) {
                    kept.push((day, sum));
                }
            };
            if let Err(error) = days::decode(&blob, month, start_of, take) {
                damage.note(series, calendar.start_of(LocalDay::first_of_month(month)), &error);
            }
        }
        kept.append(&mut new);
        let packed = (!kept.is_empty()).then(|| days::encode(&kept, month, calendar));
        sealed::put_month(connection, series, month, packed.as_deref())?;
    }
    Ok(())
}
