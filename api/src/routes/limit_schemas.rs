//! Schemas of the fields that have limits.
//!
//! Attributes of utoipa take bounds as literals only. A field gets the numbers of [`wrenn_domain::limits`] through
//! `#[schema(schema_with = …)]`, which also replaces its doc comment in the OpenAPI document.

use std::ops::RangeInclusive;

use utoipa::openapi::{KnownFormat, Object, ObjectBuilder, SchemaFormat, Type, schema::SchemaType};
use wrenn_control::api_key_create;
use wrenn_domain::{limits, quota};

/// Returns the schema of a number of vCPUs that has a default.
pub(crate) fn vcpus() -> Object {
    integer(&limits::VCPUS).default(Some(limits::DEFAULT_VCPUS.into())).build()
}

/// Returns the schema of a size of memory that has a default.
pub(crate) fn memory_mb() -> Object {
    integer(&limits::MEMORY_MB).default(Some(limits::DEFAULT_MEMORY_MB.into())).build()
}

/// Returns the schema of the size of a capsule's disk; the template sets the lower bound.
pub(crate) fn disk_size_mb() -> Object {
    integer(&limits::DISK_MB)
        .minimum(None::<i64>)
        .default(Some(limits::DEFAULT_DISK_MB.into()))
        .description(Some("At least what the template needs."))
        .build()
}

/// Returns the schema of an idle time that is optional.
pub(crate) fn optional_timeout_sec() -> Object {
    idle_time().default(Some(limits::TIMEOUT_SEC.start().to_owned().into())).build()
}

/// Returns the schema of an idle time that must be given.
pub(crate) fn timeout_sec() -> Object {
    idle_time().build()
}

/// Returns the schema of the name of a user or a team.
pub(crate) fn name() -> Object {
    text(limits::NAME_CHARACTERS).build()
}

/// Returns the schema of an API key's name, which is optional.
pub(crate) fn api_key_name() -> Object {
    text(limits::NAME_CHARACTERS).default(Some(api_key_create::DEFAULT_NAME.into())).build()
}

/// Returns the schema of an email address.
pub(crate) fn email() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Email)))
        .max_length(Some(limits::MAX_EMAIL_BYTES))
        .build()
}

/// Returns the schema of a new password.
pub(crate) fn password() -> Object {
    let least = limits::MIN_PASSWORD_CHARACTERS;
    ObjectBuilder::new().schema_type(Type::String).min_length(Some(least)).build()
}

/// Returns the schema of the name that a build gives its template.
pub(crate) fn template_name() -> Object {
    template(
        "Name of the platform's template that the build makes; a template of that name is replaced when the build \
         succeeds.",
    )
    .examples([serde_json::json!("python-app")])
    .build()
}

/// Returns the schema of the tag of a host.
pub(crate) fn host_tag() -> Object {
    text(limits::HOST_TAG_CHARACTERS).pattern(Some(limits::HOST_TAG_PATTERN)).build()
}

/// Returns the schema of the name of a template that is made of a capsule, which is optional.
pub(crate) fn snapshot_name() -> Object {
    template("Lower-case letters, digits, `.`, `_` and `-`, the first a letter or digit. By default one is made up.")
        .build()
}

/// Returns the schema of a limit of a quota; null is no limit of its own.
pub(crate) fn quota_limit() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(0))
        .maximum(Some(quota::MAX_LIMIT))
        .build()
}

/// Returns the schema of a notification channel's configuration.
pub(crate) fn channel_config() -> Object {
    let value =
        ObjectBuilder::new().schema_type(Type::String).max_length(Some(limits::MAX_CHANNEL_VALUE_BYTES));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(value))
        .description(Some(
            "Fields of the provider. `webhook`: `url`. `slack`, `discord`, `teams`, `googlechat`: `webhook_url`. \
             `telegram`: `bot_token`, `chat_id`, and `api_url` for an API server of one's own. `matrix`: \
             `homeserver_url`, `access_token`, `room_id`. No answer shows them.",
        ))
        .examples([serde_json::json!({"url": "https://example.com/hook"})])
        .build()
}

fn template(description: &str) -> ObjectBuilder {
    text(limits::TEMPLATE_NAME_CHARACTERS)
        .pattern(Some(limits::TEMPLATE_NAME_PATTERN))
        .description(Some(description))
}

fn text(characters: RangeInclusive<usize>) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(*characters.start()))
        .max_length(Some(*characters.end()))
}

fn idle_time() -> ObjectBuilder {
    integer(&limits::TIMEOUT_SEC)
        .description(Some("Seconds of no activity after which it is paused; 0 means never."))
}

/// Begins the schema of an integer in a range, which fits an `i32`.
pub(crate) fn integer(allowed: &RangeInclusive<i64>) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
        .minimum(Some(*allowed.start()))
        .maximum(Some(*allowed.end()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_schema_has_the_numbers_of_the_domain() {
        let of = |schema: Object| serde_json::to_value(schema).unwrap();
        let integer = |rest: Value| {
            let mut schema = json!({"type": "integer", "format": "int32"});
            schema.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            schema
        };
        assert_eq!(of(vcpus()), integer(json!({"default": 1, "minimum": 1, "maximum": 32})));
        assert_eq!(of(memory_mb()), integer(json!({"default": 512, "minimum": 128, "maximum": 65_536})));
        let disk = of(disk_size_mb());
        assert_eq!((&disk["default"], &disk["maximum"]), (&json!(5120), &json!(1_048_576)));
        assert!(disk.get("minimum").is_none(), "{disk}");
        let timeout = of(timeout_sec());
        assert_eq!((&timeout["minimum"], &timeout["maximum"]), (&json!(0), &json!(31_536_000)));
        assert!(timeout.get("default").is_none(), "{timeout}");
        assert_eq!(of(optional_timeout_sec())["default"], json!(0));
    }
}
