//! Credentials: temporary ones of a bucket, and persistent ones of several.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::bucket_api::{Where, user};
use super::caller::Presented;
use super::error::{Fail, Result};
use super::schema::Fields;
use super::settings::ApoloAction;
use super::state::{Bucket, Credentials, moment, now};
use super::{Service, random, uuid};
use crate::s3::{Grant, Key};

const CAPITALS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const MIXED: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Service {
    /// What opens a bucket for an hour, or what was given when it was imported.
    pub(super) fn temporary(&self, presented: Result<Presented>, name: &str, place: &Where) -> Result<Value> {
        let bucket = self.resolve(name, place, user(&presented))?;
        let user = self.need(&presented?, &bucket, ApoloAction::Read)?;
        let write = self.may(&user, &bucket, ApoloAction::Write);
        let mut map = self.entrance(&bucket);
        if bucket.imported.is_some() {
            map.extend(bucket.credentials());
        } else {
            let (access_key, secret) = (format!("ASIA{}", random(CAPITALS, 16)), random(MIXED, 40));
            let session = format!("{}=", random(MIXED, 339));
            let lifetime = self.settings.lifetime;
            let end = now().saturating_add(i64::try_from(lifetime.as_micros()).unwrap_or(i64::MAX));
            map.insert("access_key_id".into(), json!(access_key));
            map.insert("secret_access_key".into(), json!(secret));
            map.insert("session_token".into(), json!(session));
            map.insert("expiration".into(), json!(moment(end)));
            let grant = Grant::Buckets { names: vec![bucket.name_at_provider.clone()], write };
            let expires = Some(SystemTime::now() + lifetime);
            self.provider.keys.add(access_key, Key { secret, session: Some(session), expires, grant });
        }
        Ok(
            json!({"bucket_id": bucket.id, "provider": bucket.provider, "read_only": !write, "credentials": map}),
        )
    }

    /// What is the same for all who open a bucket.
    fn entrance(&self, bucket: &Bucket) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("bucket_name".into(), json!(bucket.name_at_provider));
        if bucket.imported.is_none() {
            map.insert("region_name".into(), json!(self.settings.region));
            map.insert("endpoint_url".into(), json!(self.provider.endpoint));
        }
        map
    }

    fn describe_credentials(&self, credentials: &Credentials) -> Map<String, Value> {
        let entry = |id: &String| {
            let bucket = self.state.bucket(|b| b.id == *id)?;
            let mut map = self.entrance(&bucket);
            map.insert("access_key_id".into(), json!(credentials.access_key));
            map.insert("secret_access_key".into(), json!(credentials.secret));
            Some(json!({"bucket_id": bucket.id, "provider": bucket.provider,
                "read_only": credentials.read_only, "credentials": map}))
        };
        let entries: Vec<_> = credentials.buckets.iter().filter_map(entry).collect();
        let mut map = Map::new();
        map.insert("id".into(), json!(credentials.id));
        map.insert("name".into(), json!(credentials.name));
        map.insert("owner".into(), json!(credentials.owner));
        map.insert("read_only".into(), json!(credentials.read_only));
        map.insert("credentials".into(), entries.into());
        map
    }

    pub(super) async fn create_credentials(
        &self,
        presented: Result<Presented>,
        body: &[u8],
    ) -> Result<Map<String, Value>> {
        let presented = presented?;
        if !self.settings.creation {
            return Err(Fail::disabled("Credentials creation is disabled."));
        }
        let mut fields = Fields::parse(body, "{'_schema': ['Invalid input type.']}")?;
        let name = fields.name();
        let ids = fields.texts("bucket_ids");
        let read_only = fields.boolean("read_only");
        let (name, ids, read_only) = fields.done((name, ids, read_only))?;
        let action = if read_only.flatten() == Some(true) { ApoloAction::Read } else { ApoloAction::Write };
        let owner = self.confirm(&presented)?;
        let mut buckets = Vec::with_capacity(ids.len());
        for id in &ids {
            let gone = || Fail::Unexpected("UserBucket with id <built-in function id> doesn't exist".into());
            let bucket = self.state.bucket(|b| b.id == *id).ok_or_else(gone)?;
            self.need(&presented, &bucket, action)?;
            if bucket.imported.is_some() {
                let name = bucket.name_or_id();
                return Err(Fail::value(format!("Cannot create credential for imported bucket {name}")));
            }
            buckets.push(bucket);
        }
        let read_only = match read_only {
            None => false,
            Some(Some(value)) => value,
            Some(None) => {
                return Err(Fail::value(
                    "1 validation error for V1PersistentBucketCredentialCRDSpec\nread_only\n  Input should be a valid \
                     boolean [type=bool_type, input_value=None, input_type=NoneType]\n    For further information visit \
                     https://errors.pydantic.dev/2.14/v/bool_type",
                ));
            }
        };
        if buckets.is_empty() {
            let text = "cannot access local variable 'namespace' where it is not associated with a value";
            return Err(Fail::Unexpected(text.into()));
        }
        let _changing = self.state.changing.lock().await;
        if let Some(name) = &name
            && self.find_credentials(&owner, |c| c.name.as_ref() == Some(name)).is_some()
        {
            let text = format!("PersistentCredentials for {owner} with name {name} already exists");
            return Err(Fail::Unexpected(text));
        }
        let credentials = Credentials {
            id: format!("bucket-credentials-{}", uuid()),
            name,
            owner,
            read_only,
            created: now(),
            access_key: format!("AKIA{}", random(CAPITALS, 16)),
            secret: random(MIXED, 40),
            buckets: ids,
        };
        self.state.put_credentials(credentials.clone()).await?;
        self.admit(&credentials);
        Ok(self.describe_credentials(&credentials))
    }

    fn find_credentials(
        &self,
        owner: &str,
        found: impl Fn(&Credentials) -> bool,
    ) -> Option<Arc<Credentials>> {
        self.state.credentials().into_iter().find(|c| c.owner == owner && found(c))
    }

    /// Credentials of the caller, by id or by name.
    fn own_credentials(&self, presented: Result<Presented>, id_or_name: &str) -> Result<Arc<Credentials>> {
        let user = self.confirm(&presented?)?;
        self.find_credentials(&user, |c| c.id == id_or_name)
            .or_else(|| self.find_credentials(&user, |c| c.name.as_deref() == Some(id_or_name)))
            .ok_or_else(|| Fail::missing("PersistentCredentials", id_or_name))
    }

    pub(super) fn get_credentials(
        &self,
        presented: Result<Presented>,
        id_or_name: &str,
    ) -> Result<Map<String, Value>> {
        Ok(self.describe_credentials(&*self.own_credentials(presented, id_or_name)?))
    }

    pub(super) fn list_credentials(&self, presented: Result<Presented>) -> Result<Vec<Map<String, Value>>> {
        let user = self.confirm(&presented?)?;
        let all = self.state.credentials();
        Ok(all.iter().filter(|c| c.owner == user).map(|c| self.describe_credentials(c)).collect())
    }

    pub(super) async fn remove_credentials(
        &self,
        presented: Result<Presented>,
        id_or_name: &str,
    ) -> Result<()> {
        let found = self.own_credentials(presented, id_or_name)?;
        let _changing = self.state.changing.lock().await;
        self.provider.keys.remove(&found.access_key);
        Ok(self.state.remove_credentials(&found.id).await?)
    }

    /// Takes a bucket out of all credentials; those that opened nothing else go.
    pub(super) async fn forget_bucket(&self, bucket: &Bucket) -> Result<()> {
        for credentials in self.state.credentials() {
            if !credentials.buckets.contains(&bucket.id) {
                continue;
            }
            let mut changed = Credentials::clone(&credentials);
            changed.buckets.retain(|id| *id != bucket.id);
            if changed.buckets.is_empty() {
                self.provider.keys.remove(&changed.access_key);
                self.state.remove_credentials(&changed.id).await?;
            } else {
                self.admit(&changed);
                self.state.put_credentials(changed).await?;
            }
        }
        Ok(())
    }
}
