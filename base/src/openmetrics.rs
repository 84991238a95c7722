//! Pages of metrics in the text format of OpenMetrics, which Prometheus reads.
//!
//! A page has what is counted all the time, in a registry that is kept, and what is read at each scrape, in one that is made
//! anew.

use std::fmt;

use prometheus_client::{
    encoding::{
        EncodeLabelSet,
        text::{encode_eof, encode_registry},
    },
    metrics::{family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

/// Content type of a page.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Returns the page of several registries, which must not share a name.
///
/// # Errors
/// A metric cannot be written as text.
pub fn page(registries: &[&Registry]) -> Result<String, fmt::Error> {
    let mut page = String::new();
    for registry in registries {
        encode_registry(&mut page, registry)?;
    }
    encode_eof(&mut page)?;
    Ok(page)
}

/// Adds a gauge whose samples differ in their labels.
pub fn add_gauge<L>(
    registry: &mut Registry,
    name: &str,
    unit: Option<Unit>,
    help: &str,
    samples: impl IntoIterator<Item = (L, i64)>,
) where
    L: EncodeLabelSet + Clone + fmt::Debug + Eq + std::hash::Hash + Send + Sync + 'static,
{
    let family = Family::<L, Gauge>::default();
    for (labels, value) in samples {
        family.get_or_create(&labels).set(value);
    }
    match unit {
        Some(unit) => registry.register_with_unit(name, help, unit, family),
        None => registry.register(name, help, family),
    }
}

/// Converts a number that is far below what an `i64` can count.
pub fn count(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_all_registries_and_one_end() {
        let (mut kept, mut now) = (Registry::with_prefix("x"), Registry::with_prefix("x"));
        add_gauge(
            &mut kept,
            "rooms",
            None,
            "Rooms",
            [([("floor", "1")], 2), ([("floor", "2")], count(u64::MAX))],
        );
        add_gauge(&mut now, "size", Some(Unit::Bytes), "Size", [([("floor", "1")], 3)]);
        let text = page(&[&kept, &now]).unwrap();
        for line in [
            "x_rooms{floor=\"1\"} 2",
            "x_rooms{floor=\"2\"} 9223372036854775807",
            "x_size_bytes{floor=\"1\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
        assert_eq!(text.matches("# EOF").count(), 1);
        assert!(text.ends_with("# EOF\n"));
    }
}
