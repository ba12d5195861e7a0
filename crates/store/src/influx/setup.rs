//! What `sanimon check` looks for in InfluxDB, and `check --fix` makes.

use influxdb2::api::buckets::ListBucketsRequest;
use influxdb2::api::organization::ListOrganizationRequest;
use influxdb2::models::retention_rule::Type as RuleType;
use influxdb2::models::{Bucket, PostBucketRequest, RetentionRule};

use super::{Influx, said};
use crate::error::{Result, StoreError};

const SECONDS_PER_DAY: i64 = 86_400;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketState {
    Sound,
    Missing,
    /// Points are kept for another time than configured; 0: for ever.
    OtherRetention {
        found_days: i64,
    },
}

/// Looks at a bucket, and makes it.
#[derive(Debug)]
pub struct Setup<'a>(pub &'a Influx);

impl Setup<'_> {
    pub fn state(&self) -> Result<BucketState> {
        let Some(bucket) = self.bucket()? else { return Ok(BucketState::Missing) };
        let found_days =
            bucket.retention_rules.first().map_or(0, |rule| i64::from(rule.every_seconds) / SECONDS_PER_DAY);
        let wanted_days = self.0.options.retention_days.map_or(0, i64::from);
        Ok(if found_days == wanted_days {
            BucketState::Sound
        } else {
            BucketState::OtherRetention { found_days }
        })
    }

    /// Creates the bucket in its organization, with its retention.
    pub fn create(&self) -> Result<()> {
        let options = &self.0.options;
        let request = ListOrganizationRequest { org: Some(options.org.clone()), ..none() };
        let found = self.0.wait(self.0.client.list_organizations(request)).map_err(|e| failed(&e))?;
        let id = found.orgs.into_iter().find(|org| org.name == options.org).and_then(|org| org.id);
        let id = id.ok_or_else(|| StoreError::Influx {
            doing: "find the organization",
            detail: format!("there is no `{}` that this token may see", options.org),
        })?;
        let mut request = PostBucketRequest::new(id, options.bucket.clone());
        request.retention_rules = self.rules()?;
        self.0.wait(self.0.client.create_bucket(Some(request))).map_err(|e| failed(&e))
    }

    /// Gives the bucket the retention that is configured. The client library has no call for it.
    pub fn set_retention(&self) -> Result<()> {
        let options = &self.0.options;
        let id = self.bucket()?.and_then(|bucket| bucket.id).ok_or_else(|| StoreError::Influx {
            doing: "find the bucket",
            detail: format!("there is no `{}`", options.bucket),
        })?;
        let body = serde_json::json!({ "retentionRules": self.rules()? });
        let request = reqwest::Client::new()
            .patch(format!("{}/api/v2/buckets/{id}", options.url.trim_end_matches('/')))
            .header("Authorization", format!("Token {}", options.token))
            .header("Content-Type", "application/json")
            .timeout(super::REQUEST_WITHIN)
            .body(body.to_string());
        let answer = self.0.wait(async { request.send().await });
        let failed = |detail: String| StoreError::Influx { doing: "change the bucket", detail };
        match answer {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(failed(answer.status().to_string())),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    fn rules(&self) -> Result<Vec<RetentionRule>> {
        let Some(days) = self.0.options.retention_days else { return Ok(Vec::new()) };
        let seconds = i32::try_from(i64::from(days) * SECONDS_PER_DAY).map_err(|_| StoreError::Influx {
            doing: "make the bucket",
            detail: format!("{days} days are more than its client can say: leave retention_days out"),
        })?;
        Ok(vec![RetentionRule::new(RuleType::Expire, seconds)])
    }

    fn bucket(&self) -> Result<Option<Bucket>> {
        let options = &self.0.options;
        let request = ListBucketsRequest {
            name: Some(options.bucket.clone()),
            org: Some(options.org.clone()),
            ..ListBucketsRequest::default()
        };
        match self.0.wait(self.0.client.list_buckets(Some(request))) {
            Ok(found) => Ok(found.buckets.into_iter().find(|bucket| bucket.name == options.bucket)),
            // Some versions answer a name that nobody has with 404.
            Err(influxdb2::RequestError::Http { status, .. }) if status.as_u16() == 404 => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }
}

fn none() -> ListOrganizationRequest {
    ListOrganizationRequest::default()
}

fn failed(error: &influxdb2::RequestError) -> StoreError {
    StoreError::Influx { doing: "answer", detail: said(error) }
}
